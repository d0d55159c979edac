"""What a text-to-text model may write next: equal to transformers' processors of logits, in their order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zoo.tasks.decoding.cached_decoder import Floats, Ids
from zoo.tasks.decoding.generation import Generation
from zoo.tasks.decoding.greedy import log_softmax


@dataclass(frozen=True)
class TextRules:
    """A ``Rule``. ``start`` is the token before the text, ``end`` the one that ends it, ``most`` tokens are written."""

    asked: Generation
    start: int
    end: int
    most: int

    def __call__(self, written: Ids, logits: Floats) -> None:
        """Changes ``logits`` (rows, vocabulary); ``written`` (rows, tokens) holds what followed the start."""
        asked, count = self.asked, written.shape[1]
        ids = np.concatenate([np.full((len(written), 1), self.start, dtype=np.int64), written], axis=1)
        if asked.repetition_penalty != 1.0:
            _penalise(ids, logits, asked.repetition_penalty)
        if asked.no_repeat_ngram_size:
            _forbid_repeats(ids, logits, asked.no_repeat_ngram_size)
        for word in asked.bad_words_ids:
            _forbid_word(ids, logits, word, self.end)
        if count < asked.least:
            logits[:, self.end] = -np.inf
        if asked.forced_bos_token_id is not None and count == 0:
            _force(logits, asked.forced_bos_token_id)
        if asked.forced_eos_token_id is not None and count == self.most - 1:
            _force(logits, asked.forced_eos_token_id)
        logits[:, list(asked.suppress_tokens)] = -np.inf
        if count == (0 if asked.forced_bos_token_id is None else 1):
            logits[:, list(asked.begin_suppress_tokens)] = -np.inf
        if asked.renormalize_logits:
            _renormalise(logits)


def _penalise(ids: Ids, logits: Floats, penalty: float) -> None:
    """Tokens that are there already are less likely (Keskar et al., "CTRL", 2019)."""
    values = np.take_along_axis(logits, ids, axis=1)
    np.put_along_axis(logits, ids, np.where(values < 0, values * penalty, values / penalty), axis=1)


def _forbid_repeats(ids: Ids, logits: Floats, size: int) -> None:
    """No ``size`` tokens in a row stand in a text twice."""
    if ids.shape[1] < size:
        return
    phrases = np.lib.stride_tricks.sliding_window_view(ids, size, axis=1)
    last = ids[:, ids.shape[1] + 1 - size :]
    rows, places = np.nonzero((phrases[:, :, :-1] == last[:, None]).all(axis=2))
    logits[rows, phrases[rows, places, -1]] = -np.inf


def _forbid_word(ids: Ids, logits: Floats, word: tuple[int, ...], end: int) -> None:
    """The last token of a word is not written where all before it were; the end of a text is no word."""
    *before, last = word
    if word == (end,) or len(before) > ids.shape[1]:
        return
    begun = (ids[:, ids.shape[1] - len(before) :] == before).all(axis=1)
    logits[begun, last] = -np.inf


def _force(logits: Floats, token: int) -> None:
    logits[:] = -np.inf
    logits[:, token] = 0.0


def _renormalise(logits: Floats) -> None:
    """A row of which nothing is allowed stays as it is."""
    possible = logits.max(axis=1) > -np.inf
    logits[possible] = log_softmax(logits[possible])
