"""One call around the work of a request: identical requests at once run once, and answers may be kept.

Keys are made of what the answer depends on, the contents of the version's files and never a name or an alias, so that
an alias that moves changes the key with it.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from typing import Any

from zoo.catalogue.entry import ModelEntry
from zoo.engine.answer_cache import AnswerCache
from zoo.engine.predictor import Prediction
from zoo.engine.single_flight import SingleFlight

LARGEST = 1024 * 1024  # of inputs that are compared: hashing 1 MiB takes 1 ms of the event loop
MOST_VERSIONS = 1024  # whose contents are remembered: hashing a manifest takes 50 µs
_IRRELEVANT = {"name", "version", "title", "created", "licence", "base", "metrics", "parity", "lineage"}


@dataclass(frozen=True)
class Question:
    """What is asked of a version. ``kind`` tells apart what the same inputs may be asked for."""

    entry: ModelEntry
    kind: str
    inputs: object
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class AnswerCounts:
    """``shared``: answered by a run that was under way; ``kept``: bytes of the answer cache, which is on or off."""

    shared: int
    hits: int
    misses: int
    kept: int
    on: bool


class Answers:
    """For callers on one event loop. ``cache_bytes`` of 0: nothing is kept."""

    def __init__(self, cache_bytes: int = 0) -> None:
        self._flights: SingleFlight[Prediction] = SingleFlight()
        self._cache: AnswerCache[Prediction] = AnswerCache(cache_bytes)
        self._salt = secrets.token_bytes(32)
        self._contents: dict[str, tuple[ModelEntry, bytes]] = {}

    async def answer(self, question: Question, work: Callable[[], Coroutine[Any, Any, Prediction]]) -> Prediction:
        """What ``work`` answers, or somebody else's equal question; ``run_ms`` is 0 for an answer that was kept."""
        began = time.perf_counter()
        key = self._key(question)
        if key is None:
            return await work()
        kept = self._cache.get(key) if (awake := self._cache.awake()) else None
        spent = time.perf_counter() - began
        if kept is None:
            prediction = await self._flights.run(key, work)
            if awake and not prediction.failed:
                began = time.perf_counter()
                size = size_of(prediction.body)
                self._cache.put(key, prediction, size=size, seconds=prediction.run_ms / 1000)
                spent += time.perf_counter() - began
        else:
            prediction = replace(kept, run_ms=0.0, queue_ms=0.0, batches=())
        if awake:
            self._cache.spent(spent)
        return prediction if prediction.entry is question.entry else replace(prediction, entry=question.entry)

    def counts(self) -> AnswerCounts:
        """Since the start."""
        cache = self._cache
        return AnswerCounts(self._flights.shared, cache.hits, cache.misses, cache.bytes, cache.on)

    def _key(self, question: Question) -> tuple[bytes, bytes] | None:
        asked = fingerprint([question.kind, dict(question.parameters), question.inputs], self._salt)
        return None if asked is None else (self._content(question.entry), asked)

    def _content(self, entry: ModelEntry) -> bytes:
        known = self._contents.get(entry.reference)
        if known is None or known[0] is not entry:
            if len(self._contents) >= MOST_VERSIONS:
                self._contents.clear()
            known = self._contents[entry.reference] = entry, content_of(entry)
        return known[1]


def content_of(entry: ModelEntry) -> bytes:
    """A hash of all that a version's answers depend on: its files (graph, adapter, tokenizer), labels and options."""
    return hashlib.sha256(entry.model_dump_json(exclude=_IRRELEVANT).encode()).digest()


def fingerprint(value: object, salt: bytes) -> bytes | None:
    """A hash of data as JSON has it, in which there may be bytes; None for other data and for more than ``LARGEST``.

    ``salt``: at most 64 secret bytes, so that no text can be made that stands for the same as some bytes.
    """
    if _weight(value) > LARGEST:
        return None

    def outside(part: object) -> str:
        if not isinstance(part, bytes):
            raise TypeError
        return hashlib.blake2b(part, key=salt).hexdigest()

    try:
        text = json.dumps(value, sort_keys=True, default=outside)
    except (TypeError, ValueError):
        return None
    return hashlib.blake2b(text.encode(), digest_size=32).digest()


def _weight(value: object) -> int:
    """Characters and bytes, roughly; ends as soon as they are more than ``LARGEST``, since the event loop waits."""
    total, waiting = 0, [value]
    while waiting and total <= LARGEST:
        part = waiting.pop()
        if isinstance(part, str | bytes):
            total += len(part)
        elif isinstance(part, list | tuple):
            total += 8 * len(part)
            waiting += part if total <= LARGEST else ()
        elif isinstance(part, Mapping):
            total += 8 * len(part)
            waiting += [*part.keys(), *part.values()] if total <= LARGEST else ()
    return total


def size_of(body: object) -> int:
    """Bytes of JSON-like data in memory."""
    if isinstance(body, Mapping):
        return sys.getsizeof(body) + sum(size_of(value) for value in body.values())
    if isinstance(body, list | tuple):
        return sys.getsizeof(body) + sum(map(size_of, body))
    return max(sys.getsizeof(body), getattr(body, "nbytes", 0))
