"""Sound to the numbers that a model takes: which features, at which rate, up to which length. Data of a manifest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from zoo.errors import ArtifactCorrupt
from zoo.tasks.processors.filter_bank import FilterBank
from zoo.tasks.processors.log_mel import LogMel
from zoo.tasks.processors.sound import open_sound
from zoo.tasks.processors.waveform import lengthened, standardised

MOST_SECONDS = 600.0  # of a sound of which a model hears the beginning


@dataclass(frozen=True, eq=False)
class EncodedSound:
    """A prepared sound: ``values`` (frames, bins) of a spectrum, (samples,) of a waveform; time is the first axis.

    ``cost`` is about the number of vectors that the model makes of it.
    """

    values: NDArray[np.float32]
    cost: int
    truncated: bool = False


@dataclass(frozen=True)
class Hearing:
    """How a model's sounds are prepared.

    ``kind``: ``log_mel`` (Whisper), ``filter_bank`` (AST) or ``waveform`` (wav2vec2, HuBERT). ``frames``: every
    spectrum is cut or padded to so many; 0 keeps a log-mel at its own length. ``seconds``: what is heard of a sound; of
    a longer one only its beginning, but where a model hears whole waveforms it is refused. ``mean`` and ``std``
    standardise a filter bank, ``standardise`` a waveform by itself.
    """

    kind: Literal["log_mel", "filter_bank", "waveform"]
    seconds: float
    rate: int = 16_000
    bins: int = 80
    fft: int = 400
    hop: int = 160
    frames: int = 0
    mean: float = 0.0
    std: float = 0.5
    standardise: bool = True

    @classmethod
    def of(cls, written: Any) -> Hearing:
        """From a manifest; raises ``ArtifactCorrupt`` for what is no description of this kind."""
        try:
            return cls(**written)
        except TypeError as error:  # no mapping, or unknown and missing fields
            raise ArtifactCorrupt("The version's manifest does not say how sounds are prepared.") from error

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, for the manifest."""
        return asdict(self)

    def encode(self, item: object) -> EncodedSound:
        """One sound as bytes or base64; raises as ``open_sound`` does."""
        most = self.seconds if self.kind == "waveform" else max(self.seconds, MOST_SECONDS)
        return self.prepare(open_sound(item, rate=self.rate, most_seconds=most))

    def prepare(self, samples: NDArray[np.float32]) -> EncodedSound:
        """Mono samples (n,) at ``rate``."""
        heard = samples[: round(self.seconds * self.rate)]
        truncated = len(heard) < len(samples)
        if self.kind == "waveform":
            values = lengthened(heard)
            values = standardised(values) if self.standardise else values
            return EncodedSound(values, max(1, len(values) // 320), truncated)
        if self.kind == "filter_bank":
            values = self._filter_bank(heard, self.frames)
        else:
            # Whisper's second convolution takes every other frame: with an odd number the last would be half a step.
            own = 2 * ((self._log_mel.frames(len(heard)) + 1) // 2)
            values = self._log_mel(heard, self.frames or own).T
        return EncodedSound(values, max(1, len(values) // 2), truncated)

    @cached_property
    def _log_mel(self) -> LogMel:
        return LogMel(self.bins, self.rate, self.fft, self.hop)

    @cached_property
    def _filter_bank(self) -> FilterBank:
        return FilterBank(self.bins, self.rate, self.mean, self.std)


def padded(values: Sequence[NDArray[np.float32]]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Arrays of several lengths as one, zeros behind the shorter ones, and (batch, time) 1 where they are."""
    longest = max(map(len, values))
    batch = np.zeros((len(values), longest, *values[0].shape[1:]), dtype=np.float32)
    mask = np.zeros((len(values), longest), dtype=np.int64)
    for row, one in enumerate(values):
        batch[row, : len(one)], mask[row, : len(one)] = one, 1
    return batch, mask
