"""A text for a text: what translation and summarization have in common, for models with an encoder and a decoder."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import ValidationError, model_validator

from zoo.catalogue.entry import ModelEntry
from zoo.errors import ArtifactCorrupt, InvalidInput, ZooError
from zoo.tasks.decoding.generation import Generation
from zoo.tasks.decoding.greedy import Hypothesis
from zoo.tasks.decoding.shared_batches import answered
from zoo.tasks.decoding.text_settings import Direction, TextSettings
from zoo.tasks.decoding.writer import Wanted, Writer
from zoo.tasks.processors.passages import Passage, passages, sentences
from zoo.tasks.processors.pieces import MOST_CHARACTERS, Pieces, cleaned
from zoo.tasks.processors.text import checked
from zoo.tasks.task import ROWS_ALONE, Parameters, Runs

AT_ONCE = 8  # passages of a stream that are written together, after the first
_CODE = re.compile(r">>([^<>\s]{1,40})<<\s*")
_NESTED = ("generate_parameters", "generation_parameters", "generate_kwargs")


class TextToTextParameters(Parameters):
    """``generate_parameters`` are options of the search under transformers' names; they may stand beside it too.

    An option sent as null counts as left out. A text that is longer than the model reads is answered passage by
    passage, unless ``truncation`` cuts it.
    """

    clean_up_tokenization_spaces: bool | None = None
    truncation: bool | Literal["do_not_truncate", "only_first", "only_second", "longest_first"] = False
    generate_parameters: dict[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def _gathered(cls, given: dict[str, Any]) -> dict[str, Any]:
        outer = {name: value for name, value in given.items() if value is not None}
        inner: dict[str, Any] = {}
        for name in _NESTED:
            some = outer.pop(name, None)
            if some is not None and not isinstance(some, dict):
                raise ValueError(f"{name} has to be an object such as {{'num_beams': 3}}")
            inner |= some or {}
        inner |= {name: outer.pop(name) for name in (*Generation.model_fields, "do_sample") if name in outer}
        return {**outer, "generate_parameters": {name: value for name, value in inner.items() if value is not None}}


@dataclass(frozen=True)
class Wish:
    """What a request asks for, worked out: the search, the text and tokens in front of each passage, what is cut."""

    asked: Generation
    prefix: str
    before: tuple[int, ...]
    cut: bool
    clean_up: bool


@dataclass(frozen=True, eq=False)
class Reading:
    """A text as the model reads it: token ids of each passage, special ones included, and the space behind it."""

    passages: tuple[tuple[Wanted, str], ...]
    clean_up: bool
    truncated: bool = False

    @property
    def cost(self) -> int:
        """Tokens."""
        return sum(len(wanted.ids) for wanted, _ in self.passages)


class TextToText:
    """Two graphs: ``model.onnx`` is the encoder, ``decoder.onnx`` some tokens more of the decoder.

    ``share``: how much of what the model can read a passage of a longer text may have. Safe to use from several threads
    after construction; raises ``ArtifactCorrupt`` when a file of the version cannot be read.
    """

    def __init__(self, entry: ModelEntry, folder: Path, *, share: float) -> None:
        try:
            self.settings = TextSettings.of(entry.options.get("text_to_text"))
        except ValueError as error:
            raise ArtifactCorrupt("The version's settings cannot be read: pull or adapt the model again.") from error
        self._most = entry.limits["max_tokens"]
        self._share = share
        self.pieces = Pieces(folder, count=self.settings.vocabulary, unknown=self.settings.unknown)
        self.writer = Writer(self.settings, alone=bool(entry.options.get(ROWS_ALONE, False)))

    def wish(self, parameters: TextToTextParameters, *, source: str | None = None, target: str | None = None) -> Wish:
        """What is asked for; raises ``InvalidInput`` that names the option at fault."""
        settings = self.settings
        before, first, direction = self._languages(source or settings.source, target or settings.target)
        asked = settings.generation.but({**direction.generation, **first})
        clean_up = parameters.clean_up_tokenization_spaces
        return Wish(
            asked=_searched(asked, parameters.generate_parameters, settings.vocabulary),
            prefix=direction.prefix,
            before=(*before, *settings.before),
            cut=parameters.truncation not in (False, "do_not_truncate"),
            clean_up=settings.clean_up if clean_up is None else clean_up,
        )

    def any_pair(self) -> dict[str, str]:
        """``source`` and ``target`` that the model knows, where it has to be told."""
        settings = self.settings
        if not settings.reads_language:
            return {}
        first = next(iter(settings.languages))
        return {"source": settings.source or first, "target": settings.target or first}

    def _languages(self, source: str | None, target: str | None) -> tuple[tuple[int, ...], dict[str, int], Direction]:
        """Tokens in front of the text that is read, how the written one starts, and what else belongs to the pair."""
        settings = self.settings
        if settings.reads_language:
            if source is None or target is None:
                message = "This model knows many languages: say from which one to which, src_lang and tgt_lang."
                raise InvalidInput(message, param="parameters.src_lang" if source is None else "parameters.tgt_lang")
            forced = {"forced_bos_token_id": self._language(target, "tgt_lang")}
            return (self._language(source, "src_lang"),), forced, Direction()
        if settings.languages:
            if source != settings.source:
                known = f"from {settings.source}" if settings.source else "from a language that it does not name"
                message = f"This model translates {known} and from nothing else: leave src_lang out."
                raise InvalidInput(message, param="parameters.src_lang")
            return ((self._language(target, "tgt_lang"),) if target else ()), {}, Direction()
        if settings.directions:
            return (), {}, self._direction(source, target)
        for given, own, name in ((source, settings.source, "src_lang"), (target, settings.target, "tgt_lang")):
            if given != own:
                pair = f"translates {settings.source or '?'} to {settings.target or '?'} and nothing else"
                known = pair if settings.source or settings.target else "knows no languages by name"
                raise InvalidInput(f"This model {known}: leave {name} out.", param=f"parameters.{name}")
        return (), {}, Direction()

    def _language(self, code: str, name: str) -> int:
        known = self.settings.languages
        if code not in known:
            some = ", ".join(sorted(known)[:200])
            raise InvalidInput(f"{name} {code[:40]!r} is unknown; there are {some}.", param=f"parameters.{name}")
        return known[code]

    def _direction(self, source: str | None, target: str | None) -> Direction:
        known = self.settings.directions
        if source is None and target is None:
            return next(iter(known.values()))
        wanted = f"{source}-{target}"
        if wanted not in known:
            message = f"This model does not translate {wanted[:80]}; it does {', '.join(known)}."
            raise InvalidInput(message, param="parameters.tgt_lang" if target else "parameters.src_lang")
        return known[wanted]

    def read(self, item: object, wish: Wish) -> Reading:
        """One text in token ids; raises ``InvalidInput`` and ``TooLarge``."""
        text, before = self._coded(checked(item, most=MOST_CHARACTERS), wish.before)
        room = self._most - len(before) - len(self.settings.after)
        parts = sentences(text) if self.settings.sentences and not wish.cut else [text]
        if len(parts) == 1:
            ids = self.pieces.read(wish.prefix + text)
            if len(ids) <= room or wish.cut:
                return Reading(((self._wanted(ids[:room], before, wish), ""),), wish.clean_up, len(ids) > room)
        found = [passage for part in parts for passage in self._passages(part, wish, room)]
        return Reading(tuple(self._passage(part, before, wish, room) for part in found), wish.clean_up)

    def _passages(self, text: str, wish: Wish, room: int) -> list[Passage]:
        """A text whole if it fits, else in parts that leave room for what is written."""
        prefix = len(self.pieces.read(wish.prefix))
        whole = len(self.pieces.read(text)) + prefix <= room
        most = max(1, (room if whole else int(self._share * room)) - prefix)
        return passages(text, lambda part: len(self.pieces.read(part)), most)

    def _coded(self, text: str, before: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
        """Marian's models of several languages are told which one to write by ``>>deu<<`` in front of the text."""
        settings = self.settings
        found = _CODE.match(text) if settings.languages and not settings.reads_language else None
        if found is None or not text[found.end() :].strip():
            return text, before
        token = settings.languages.get(found[1], settings.unknown)
        return text[found.end() :], before if token is None else (token, *settings.before)

    def _passage(self, part: Passage, before: tuple[int, ...], wish: Wish, room: int) -> tuple[Wanted, str]:
        return self._wanted(self.pieces.read(wish.prefix + part.text)[:room], before, wish), part.gap

    def _wanted(self, ids: Sequence[int], before: tuple[int, ...], wish: Wish) -> Wanted:
        return Wanted(np.array([*before, *ids, *self.settings.after], dtype=np.int64), wish.asked)

    def run(self, batch: Sequence[Reading], run: Runs) -> list[list[Hypothesis] | ZooError]:
        """What is written to each passage of each text; what a text failed with, if one of its passages did."""
        found = iter(self.writer.write([wanted for reading in batch for wanted, _ in reading.passages], run))
        return [_whole([next(found) for _ in reading.passages]) for reading in batch]

    def text(self, row: Sequence[Hypothesis], reading: Reading) -> str:
        """What was written to a text's passages, put together."""
        return "".join(self._written(row, reading.passages, reading.clean_up)).strip()

    def stream(self, reading: Reading, run: Runs) -> Iterator[str]:
        """The text bit by bit, one or more passages each; the bits joined are the text."""
        waiting, told = list(reading.passages), ""
        rows: list[Hypothesis] = []
        while len(rows) < len(waiting):
            some = waiting[len(rows) :][: AT_ONCE if rows else 1]
            rows += answered(self.writer.write([wanted for wanted, _ in some], run))
            text = "".join(self._written(rows, waiting, reading.clean_up)).strip()
            yield text[len(told) :]
            told = text

    def _written(self, row: Sequence[Hypothesis], read: Sequence[tuple[Wanted, str]], clean_up: bool) -> Iterator[str]:
        for hypothesis, (_, gap) in zip(row, read, strict=False):
            text = self.pieces.write(hypothesis.tokens).strip()
            yield (cleaned(text) if clean_up else text) + gap


def _whole(found: Sequence[Hypothesis | ZooError]) -> list[Hypothesis] | ZooError:
    try:
        return answered(found)
    except ZooError as error:
        return error


def _searched(asked: Generation, changes: dict[str, Any], vocabulary: int) -> Generation:
    given = dict(changes)
    where = "parameters.generate_parameters"
    if given.pop("do_sample", False) is not False:
        message = "Texts are searched for, not drawn: leave do_sample out, or use num_beams for better ones."
        raise InvalidInput(message, param=f"{where}.do_sample")
    if unknown := sorted(set(given) - set(Generation.model_fields)):
        known = ", ".join(sorted(Generation.model_fields))
        message = f"{where}.{unknown[0][:60]} is not an option of the search; it has: {known}."
        raise InvalidInput(message, code="unknown_field", param=f"{where}.{unknown[0][:60]}")
    try:
        wanted = asked.but(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        name = ".".join([where, *map(str, first["loc"])])[:100]
        raise InvalidInput(f"{name}: {first['msg']}.", param=name) from None
    if any(not 0 <= token < vocabulary for token in _tokens(wanted)) or () in wanted.bad_words_ids:
        message = f"A token id of {where} is none of this model's: they go from 0 to {vocabulary - 1}."
        raise InvalidInput(message, param=where)
    return wanted


def _tokens(asked: Generation) -> Iterator[int]:
    """All token ids that a request may name."""
    yield from (token for word in asked.bad_words_ids for token in word)
    yield from (*asked.suppress_tokens, *asked.begin_suppress_tokens)
    yield from (token for token in (asked.forced_bos_token_id, asked.forced_eos_token_id) if token is not None)
