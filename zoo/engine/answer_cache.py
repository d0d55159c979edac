"""Answers that were given, kept within a bound of bytes for as long as keeping them is worth it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
WINDOW = 1000  # questions after which gain and cost are compared
REST = 20_000  # questions that a cache that did not pay lets pass before it tries again
OVERHEAD = 500  # bytes of a key and of the records around an answer


@dataclass(frozen=True)
class _Kept(Generic[T]):
    answer: T
    bytes: int
    seconds: float


class AnswerCache(Generic[T]):
    """Least recently asked for leaves first. Not safe for several threads at once.

    The user reports by ``spent`` what the cache cost it. When a window's hits saved less than that, the cache forgets
    all, and is off (``on`` is False) for ``REST`` questions.
    """

    def __init__(self, most_bytes: int) -> None:
        self.on = most_bytes > 0
        self.bytes = 0
        self.hits = 0
        self.misses = 0
        self._most = most_bytes
        self._kept: OrderedDict[Hashable, _Kept[T]] = OrderedDict()
        self._asked = 0
        self._balance = 0.0  # seconds saved by hits of this window less those spent

    def awake(self) -> bool:
        """Counts a question, and says whether to ask the cache at all."""
        if not self._most:
            return False
        self._asked += 1
        if self.on and self._asked >= WINDOW:
            self._asked, self.on = 0, self._balance > 0
            self._balance = 0.0
            if not self.on:
                self._kept.clear()
                self.bytes = 0
        elif not self.on and self._asked >= REST:
            self._asked, self.on = 0, True
        return self.on

    def get(self, key: Hashable) -> T | None:
        """The answer that is kept under a key."""
        kept = self._kept.get(key)
        if kept is None:
            self.misses += 1
            return None
        self._kept.move_to_end(key)
        self.hits += 1
        self._balance += kept.seconds
        return kept.answer

    def put(self, key: Hashable, answer: T, *, size: int, seconds: float) -> None:
        """Keep an answer of ``size`` bytes that took ``seconds`` to make, unless it is a tenth of all."""
        size += OVERHEAD
        if not self.on or size * 10 > self._most:
            return
        earlier = self._kept.pop(key, None)
        self._kept[key] = _Kept(answer, size, seconds)
        self.bytes += size - (earlier.bytes if earlier else 0)
        while self.bytes > self._most:
            self.bytes -= self._kept.popitem(last=False)[1].bytes

    def spent(self, seconds: float) -> None:
        """What a question cost: the hash of its input, the look, the measuring of its answer."""
        self._balance -= seconds
