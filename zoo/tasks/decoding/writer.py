"""Token ids to token ids: batches through the encoder, then a search in the decoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zoo.errors import ZooError
from zoo.tasks.decoding.beam import beam
from zoo.tasks.decoding.cached_decoder import CachedDecoder, Decoder, Ids
from zoo.tasks.decoding.caller import caller_of
from zoo.tasks.decoding.generation import Generation
from zoo.tasks.decoding.greedy import Hypothesis, Limits, greedy
from zoo.tasks.decoding.merged_decoder import MergedDecoder
from zoo.tasks.decoding.shared_batches import SharedBatches
from zoo.tasks.decoding.text_rules import TextRules
from zoo.tasks.decoding.text_settings import TextSettings
from zoo.tasks.task import Runs

BATCH = 4096  # positions, filling and hypotheses counted: 100 MB of keys and values of a Marian
UNLIKE = 2.0  # times as long: such texts are not written together, the shorter would wait for the longer
APART = -1e9  # added to the scores of the filling


@dataclass(frozen=True, eq=False)
class Wanted:
    """Ids of a text with its special tokens, and how it is searched for what to write."""

    ids: Ids
    asked: Generation


class Writer:
    """Safe to use from several threads: what they ask for at once is written together, or where ``alone`` in turn."""

    def __init__(self, settings: TextSettings, *, alone: bool = False) -> None:
        self._settings = settings
        self._batches: SharedBatches[Wanted, Hypothesis] = SharedBatches(
            _first if alone else _batch, cost=lambda wanted: len(wanted.ids)
        )

    def write(self, texts: Sequence[Wanted], run: Runs) -> list[Hypothesis | ZooError]:
        """What is written to each text, in their order, or what it failed with."""
        return self._batches(texts, lambda batch: self._answered(batch, run), caller_of(run))

    def rules(self, asked: Generation) -> TextRules:
        """What may be written next."""
        settings = self._settings
        return TextRules(asked, settings.start, settings.end, asked.most(settings.most_tokens))

    def decoder(self, texts: Sequence[Ids], run: Runs) -> Decoder:
        """A decoder for some texts, which has read nothing yet."""
        settings = self._settings
        shape = len(texts), max(len(ids) for ids in texts)
        given, mask = np.full(shape, settings.pad, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        for row, ids in enumerate(texts):
            given[row, : len(ids)], mask[row, : len(ids)] = ids, 1
        cross = run({"input_ids": given, "attention_mask": mask})
        head = settings.heads, settings.width
        if settings.merged:
            return MergedDecoder(run["decoder"], cross[0], mask, layers=settings.layers, head=head)
        fixed = {f"cross_{name}": values for name, values in zip(settings.names, cross, strict=True)}
        fixed["weights"] = np.where(mask > 0, 0.0, APART).astype(np.float32)
        return CachedDecoder(run["decoder"], fixed, settings.names, head)

    def _answered(self, batch: Sequence[Wanted], run: Runs) -> list[Hypothesis]:
        """Of texts with the same wishes."""
        asked, count = batch[0].asked, len(batch)
        decoder = self.decoder([wanted.ids for wanted in batch], run)
        logits = decoder.step(np.full((count, 1, 1), self._settings.start, dtype=np.int64))[:, 0, 0]
        rules = self.rules(asked)
        limits = Limits(self._settings.end, [rules.most] * count)
        if asked.num_beams > 1:
            return beam(decoder, logits, limits, rules, asked.beams)
        return greedy(decoder, logits, limits, rules)


def _first(waiting: Sequence[Wanted]) -> list[int]:
    return [0]


def _batch(waiting: Sequence[Wanted]) -> list[int]:
    """The first and those most like it in length that want the same: at most ``BATCH`` positions with filling."""
    first = waiting[0]
    length = len(first.ids)
    alike = [
        place
        for place, wanted in enumerate(waiting)
        if wanted.asked == first.asked and max(len(wanted.ids), length) <= UNLIKE * min(len(wanted.ids), length)
    ]
    alike.sort(key=lambda place: abs(len(waiting[place].ids) - length))  # stable: the first stays the first
    batch: list[int] = []
    longest = 0
    for place in alike:
        longest = max(longest, len(waiting[place].ids))
        if batch and longest * first.asked.num_beams * (len(batch) + 1) > BATCH:
            break
        batch.append(place)
    return batch
