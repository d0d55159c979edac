"""What Whisper may write next: after Radford et al. (2022) and equal to transformers' processors of logits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zoo.tasks.decoding.cached_decoder import Floats, Ids

MOST_FIRST = 50  # steps of 20 ms: the first time that is written lies within the first second


@dataclass(frozen=True)
class WhisperRules:
    """A ``Rule``: tokens that are never written, others that are not the first, and, with ``times``, pairs of times.

    ``first_time`` is the token of 0.00 s, all above it are later ones; ``end`` ends the text.
    """

    suppressed: Ids
    suppressed_first: Ids
    end: int
    no_times: int
    first_time: int
    times: bool = False

    def __call__(self, written: Ids, logits: Floats) -> None:
        """Changes ``logits`` (rows, vocabulary); ``written`` (rows, tokens) holds what followed the prompt."""
        logits[:, self.suppressed] = -np.inf
        if written.shape[1] == 0:
            logits[:, self.suppressed_first] = -np.inf
        if self.times:
            logits[:, self.no_times] = -np.inf
            for row, tokens in enumerate(written):
                self._pair(tokens, logits[row])
            self._prefer_times(logits)

    def _pair(self, tokens: Ids, logits: Floats) -> None:
        """Times come first, in pairs but for the very first and last, and never fall."""
        if not len(tokens):
            logits[: self.first_time] = -np.inf
            logits[self.first_time + MOST_FIRST + 1 :] = -np.inf
            return
        last = tokens[-1] >= self.first_time
        before = len(tokens) < 2 or tokens[-2] >= self.first_time
        if last and before:
            logits[self.first_time :] = -np.inf
        elif last:
            logits[: self.end] = -np.inf
        times = tokens[tokens >= self.first_time]
        if len(times):
            least = times[-1] if last and not before else times[-1] + 1
            logits[self.first_time : least] = -np.inf

    def _prefer_times(self, logits: Floats) -> None:
        """Where all times together are likelier than any one word, a time it is."""
        times, words = logits[:, self.first_time :], logits[:, : self.first_time]
        top = np.maximum(times.max(axis=1), -1e30)
        together = top + np.log(np.exp(times - top[:, None]).sum(axis=1) + 1e-45)
        words[together > words.max(axis=1)] = -np.inf
