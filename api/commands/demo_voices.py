"""The recordings of `zoo demo speech`, spoken by espeak-ng: sentences of an invented workshop in several voices.

`python -m api.commands.demo_voices FOLDER` speaks the sentences of the two metadata.jsonl anew. FOLDER holds
libespeak-ng.so and espeak-ng-data, as the package espeakng-loader has them.
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from api.commands.demo_clips import LEARN, NEW, RATE, transcripts
from zoo.errors import InvalidInput

SMALL = 0.95  # libsndfile's compression of Opus: about 20 kbit a second
LOUDNESS = 0.5  # largest sample of a clip
# Those of espeak-ng whose everyday words Whisper understands.
VOICES = ("en-us", "en-us+m3", "en+m7", "en-us+steph", "en-us+edward", "en-us+m1")
SLOWEST, FASTEST = 115, 140  # words a minute
GAP = 6  # hundredths of a second between words: run together, one unknown word spoils its neighbours
MARGIN = 0.3  # seconds of silence before and after
LOWEST, HIGHEST = 35, 65  # pitch, of 0 to 99
SEED = 1

_RETRIEVAL, _UTF8 = 1, 1
_SPEED, _PITCH, _GAP = 1, 3, 7
_HEARD = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class Espeak:
    """espeak-ng's library in ``folder``; one at a time in a process. Raises ``InvalidInput`` if it cannot be used."""

    def __init__(self, folder: Path) -> None:
        try:
            self._library = ctypes.CDLL(str(folder / "libespeak-ng.so"))
        except OSError as error:
            message = f"{folder} has no libespeak-ng.so; unpack the package espeakng-loader there"
            raise InvalidInput(message) from error
        self._rate = int(self._library.espeak_Initialize(_RETRIEVAL, 0, str(folder).encode(), 0))
        if self._rate <= 0:
            raise InvalidInput(f"{folder} has no espeak-ng-data that fits its library")
        self._parts: list[NDArray[np.int16]] = []
        self._heard = _HEARD(self._take)  # kept, since the library calls it later
        self._library.espeak_SetSynthCallback(self._heard)

    def say(self, text: str, voice: str, *, speed: int, pitch: int) -> NDArray[np.float32]:
        """Samples (n,) at ``RATE``, full scale 1."""
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise InvalidInput(f"espeak-ng has no voice {voice}")
        self._library.espeak_SetParameter(_SPEED, speed, 0)
        self._library.espeak_SetParameter(_PITCH, pitch, 0)
        self._library.espeak_SetParameter(_GAP, GAP, 0)
        self._parts.clear()
        sent = text.encode()
        self._library.espeak_Synth(sent, len(sent) + 1, 0, 0, 0, _UTF8, None, None)
        self._library.espeak_Synchronize()
        spoken = np.concatenate(self._parts).astype(np.float32)
        return np.asarray(soxr.resample(spoken / np.abs(spoken).max(), self._rate, RATE), np.float32)

    def _take(self, samples: object, count: int, _: object) -> int:
        if samples and count > 0:
            self._parts.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0


def speak(espeak: Espeak, folder: Path, rng: np.random.Generator) -> None:
    """Write the clips of a folder, each in a voice, speed and pitch of its own."""
    for number, (path, text) in enumerate(transcripts(folder)):
        speed, pitch = int(rng.integers(SLOWEST, FASTEST)), int(rng.integers(LOWEST, HIGHEST))
        spoken = LOUDNESS * espeak.say(text, VOICES[number % len(VOICES)], speed=speed, pitch=pitch)
        samples = np.pad(spoken, round(RATE * MARGIN))
        soundfile.write(path, samples, RATE, format="OGG", subtype="OPUS", compression_level=SMALL)


if __name__ == "__main__":
    voices = Espeak(Path(sys.argv[1]))
    for number, folder in enumerate((LEARN, NEW)):
        speak(voices, folder, np.random.default_rng(SEED + number))
