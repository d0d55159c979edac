"""Recognisers with CTC (wav2vec2, HuBERT): waveforms to letters, long recordings in pieces that overlap."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np
from numpy.typing import NDArray

from zoo.catalogue.entry import ModelEntry
from zoo.errors import ArtifactCorrupt, InvalidInput, ZooError
from zoo.tasks.decoding.caller import caller_of
from zoo.tasks.decoding.ctc import Frames, Letters, Written, sentences, word_of
from zoo.tasks.decoding.recogniser import MOST_SECONDS, AutomaticSpeechRecognitionParameters
from zoo.tasks.decoding.shared_batches import SharedBatches, answered
from zoo.tasks.decoding.transcript import Segment, Spoken, Transcript, Word
from zoo.tasks.processors.hearing import Hearing
from zoo.tasks.processors.overlaps import Piece, overlapping
from zoo.tasks.processors.sound import sound_blocks
from zoo.tasks.task import Runs

CHUNK = 30.0  # seconds that are heard at once; attention over 60 takes four times as much memory
OVERLAP = 1 / 6  # of a piece, at either side, as transformers' pipeline has it
PAUSE, MOST = 0.5, 15.0  # seconds: segments end at such a pause, and are no longer
BLOCK = 10.0  # seconds that are read at once
Samples = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class EncodedPieces:
    """A clip of one piece, or a recording of several, read and heard one by one."""

    pieces: Iterator[Piece]
    cost: int
    truncated: bool = False


@dataclass(frozen=True, eq=False)
class Heard:
    """All frames of a recording, which is so many ``seconds`` long."""

    frames: Frames
    seconds: float


class CtcRecogniser:
    """The graph takes ``sound`` (batch, samples) and answers logits (batch, frames, classes).

    Clips of one length share a run: networks whose first norm goes over time would hear the filling of shorter ones.
    """

    def __init__(self, entry: ModelEntry) -> None:
        self._hearing = Hearing.of(entry.options.get("hearing"))
        try:
            self._letters = Letters.model_validate(entry.options.get("ctc"))
        except ValueError as error:
            raise ArtifactCorrupt("The version's letters cannot be read: import the model again.") from error
        self._batches: SharedBatches[Samples, Frames] = SharedBatches(_alike)

    def preprocess(self, item: object, parameters: AutomaticSpeechRecognitionParameters) -> EncodedPieces:
        coming = self._pieces(item, parameters)
        begun = list(islice(coming, 2))  # what cannot be read fails here
        cost = sum(len(piece.samples) for piece in begun) // self._letters.step
        return EncodedPieces(chain(begun, coming), max(1, cost))

    def run(self, batch: Sequence[EncodedPieces], run: Runs) -> list[Heard | ZooError]:
        return [self._recording(speech, run) for speech in batch]

    def transcript(self, row: Heard, parameters: AutomaticSpeechRecognitionParameters) -> Transcript:
        return self._transcript(row.frames, 0, row.seconds, parameters)

    def listen(
        self, sound: object, parameters: AutomaticSpeechRecognitionParameters, run: Runs, *, eager: bool
    ) -> Iterator[Transcript]:
        """Each stretch ends behind a word, so that together they are what the whole recording is."""
        waiting, place, seconds = Frames.joined([_NOTHING]), 0, 0.0
        for piece in self._pieces(sound, parameters):
            waiting = Frames.joined([waiting, self._heard(piece, run)])
            seconds += self._own(piece)
            if piece.right and (end := self._letters.settled(waiting)):
                yield self._transcript(waiting[:end], place, self._seconds(place + end), parameters)
                waiting, place = waiting[end:], place + end
        yield self._transcript(waiting, place, seconds, parameters)

    def _recording(self, speech: EncodedPieces, run: Runs) -> Heard | ZooError:
        found, seconds = [_NOTHING], 0.0
        try:
            for piece in speech.pieces:
                found.append(self._heard(piece, run))
                seconds += self._own(piece)
        except ZooError as error:
            return error
        return Heard(Frames.joined(found), seconds)

    def _pieces(self, sound: object, parameters: AutomaticSpeechRecognitionParameters) -> Iterator[Piece]:
        self._check(parameters)
        size, left, right = self._sizes(parameters)
        parts = sound_blocks(sound, rate=self._hearing.rate, seconds=BLOCK, most_seconds=MOST_SECONDS)
        return overlapping(parts, size, left, right)

    def _sizes(self, parameters: AutomaticSpeechRecognitionParameters) -> tuple[int, int, int]:
        """Samples of a piece and of its margins, whole frames each."""
        seconds = parameters.chunk_length_s or CHUNK
        margin = seconds * OVERLAP if parameters.stride_length_s is None else parameters.stride_length_s
        margins = margin if isinstance(margin, tuple) else (margin, margin)
        step, rate = self._letters.step, self._hearing.rate
        size, left, right = (round(length * rate / step) * step for length in (seconds, *margins))
        if sum(margins) > seconds / 2 + 1e-9:  # pieces that go on by 20 ms each would take days
            message = f"stride_length_s takes more than half of each piece of {seconds:g} s: make it smaller."
            raise InvalidInput(message, param="parameters.stride_length_s")
        return size, left, right

    def _heard(self, piece: Piece, run: Runs) -> Frames:
        """The frames of a piece without those of its margins."""
        prepared = self._hearing.prepare(piece.samples).values
        (frames,) = answered(self._batches([prepared], lambda batch: self._answered(batch, run), caller_of(run)))
        length = len(piece.samples)
        count = round(length / self._letters.step)
        left, right = (round(margin / max(1, length) * count) for margin in (piece.left, piece.right))
        return frames[left : count - right]

    def _answered(self, batch: Sequence[Samples], run: Runs) -> list[Frames]:
        (logits,) = run({"sound": np.stack(batch)})
        return [Frames.of(np.asarray(row, dtype=np.float32)) for row in logits]

    def _own(self, piece: Piece) -> float:
        return (len(piece.samples) - piece.left - piece.right) / self._hearing.rate

    def _seconds(self, frame: int) -> float:
        return frame * self._letters.step / self._hearing.rate

    def _transcript(
        self, frames: Frames, place: int, seconds: float, parameters: AutomaticSpeechRecognitionParameters
    ) -> Transcript:
        """Of frames that begin with the recording's ``place``-th."""
        written = self._letters.read(frames)
        text = self._letters.text(written).strip()
        words = self._letters.words(written)
        pieces: list[Written] = []
        if parameters.return_timestamps == "char":
            pieces = written
        elif parameters.return_timestamps == "word":
            pieces = [word_of(word) for word in words]
        timed = tuple(
            Word(one.text, self._seconds(place + one.start), self._seconds(place + one.end)) for one in pieces
        )
        return Transcript(text, tuple(self._segments(frames, written, words, place)), seconds, None, timed)

    def _segments(
        self, frames: Frames, written: list[Written], words: list[list[Written]], place: int
    ) -> Iterator[Segment]:
        """Joined they are the text, with the spaces around it."""
        read = 0
        pause, most = (round(length * self._hearing.rate / self._letters.step) for length in (PAUSE, MOST))
        for run in sentences(words, pause, most):
            start, end = run[0][0].start, run[-1][-1].end
            last = run[-1] is words[-1]
            upto = len(written) if last else 1 + next(place for place, one in enumerate(written) if one.end == end)
            text, own = self._letters.text(written[read:upto]), frames[start:end]
            said = text.encode()
            tokens = tuple(int(frames.classes[one.start]) for one in written[read:upto])
            spoken = Spoken(
                tokens, float(own.chances.mean()), len(said) / len(zlib.compress(said)), 0.0, 0.0, silent=False
            )
            times = round(self._seconds(place + start), 2), round(self._seconds(place + end), 2)
            yield Segment(text, *times, tokens, spoken, window=round(self._seconds(place), 2))
            read = upto

    def _check(self, parameters: AutomaticSpeechRecognitionParameters) -> None:
        """Raise ``InvalidInput`` for what a search in texts, or knowledge of languages, would be needed for."""
        asked = {
            "task": parameters.task == "translate",
            "prompt": parameters.prompt,
            "temperature": parameters.temperature,
            "num_beams": (parameters.num_beams or 1) > 1,
        }
        for name, wanted in asked.items():
            if wanted:
                message = f"This model writes letter by letter what it hears: leave out {name}, it cannot follow it."
                raise InvalidInput(message, param=f"parameters.{name}")


_NOTHING = Frames(np.empty(0, np.int64), np.empty(0, np.float32))


def _alike(waiting: Sequence[Samples]) -> list[int]:
    """The first and others of its length, together no longer than a piece is."""
    most = max(1, round(CHUNK * 16_000) // len(waiting[0]))
    return [place for place, one in enumerate(waiting) if len(one) == len(waiting[0])][:most]
