"""automatic-speech-recognition: speech to text, with the times of what was said where they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from zoo.catalogue.entry import ModelEntry
from zoo.errors import ArtifactCorrupt, InvalidInput, ZooError
from zoo.tasks.decoding.beam import Beams
from zoo.tasks.decoding.ctc_recogniser import CtcRecogniser
from zoo.tasks.decoding.recogniser import MOST_SECONDS, AutomaticSpeechRecognitionParameters, Recogniser
from zoo.tasks.decoding.transcriber import BATCH, Asked, Transcriber
from zoo.tasks.decoding.transcript import Segment, Spoken, Transcript, segments
from zoo.tasks.decoding.whisper_tokens import WhisperTokens
from zoo.tasks.decoding.words import words_of
from zoo.tasks.processors.log_mel import LogMel
from zoo.tasks.processors.pauses import Stretch, stretches
from zoo.tasks.processors.sound import SAMPLE, sound_blocks
from zoo.tasks.processors.whisper_window import FRAMES, Window, window
from zoo.tasks.task import Encoded, Runs, Task

SOON = 10.0  # seconds of the first stretch where words are wanted soon; the encoder takes a third of a window's time
# What is too long for one window is cut into shorter ones, more of which are decoded together: attention grows with the
# square of a window. Ten minutes of asr_kathleen in pieces of at most 15, 20 and 30 s (eight, six and four together):
# 52.2, 50.9 and 44.7 seconds of audio a second, with .047, .048 and .061 of the words wrong.
PIECE = 15.0
AT_ONCE = 8  # of them


@dataclass(frozen=True, eq=False)
class EncodedSpeech:
    """A clip that fits into one window, or a longer recording: the stretches of it, decoded as they are asked for.

    ``seconds`` is a clip's length.
    """

    windows: tuple[Window, ...]
    asked: Asked
    seconds: float = 0.0
    recording: Iterator[Stretch] | None = None
    truncated: bool = False

    @property
    def cost(self) -> int:
        """Positions of the encoder; a recording is as many as a batch holds, so that it is heard by itself."""
        return sum(window.cost for window in self.windows) if self.recording is None else BATCH


class WhisperRecogniser:
    """Two graphs: ``model.onnx`` is the encoder, ``decoder.onnx`` some tokens more of the decoder."""

    def __init__(self, entry: ModelEntry, folder: Path) -> None:
        settings = entry.options.get("whisper")
        try:
            self._tokens = WhisperTokens.of(settings)
            self._text = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # tokenizers raises bare Exception for a damaged file
            message = "The version's settings or tokenizer.json cannot be read: pull or adapt the model again."
            raise ArtifactCorrupt(message) from error
        self._transcriber = Transcriber(self._tokens)
        self._mel = LogMel(bins=self._tokens.bins)

    def preprocess(self, item: object, parameters: AutomaticSpeechRecognitionParameters) -> EncodedSpeech:
        asked, coming = self._asked(parameters), self._stretches(item)
        first, second = next(coming), next(coming, None)
        if second is not None:
            return EncodedSpeech((), asked, recording=chain((first, second), coming))
        _, samples = first
        return EncodedSpeech((self._window(samples),), asked, seconds=len(samples) / self._mel.rate)

    def run(self, batch: Sequence[EncodedSpeech], run: Runs) -> list[list[Spoken] | ZooError]:
        """Of each window in order; what fails, such as a recording that turns out to be damaged, with the error."""
        clips = [speech for speech in batch if speech.recording is None]
        windows = [window for speech in clips for window in speech.windows]
        spoken = iter(self._transcriber.tried(windows, [speech.asked for speech in clips], run))
        return [
            self._recording(speech.recording, speech.asked, run)
            if speech.recording is not None
            else _clip(next(spoken), speech.seconds)
            for speech in batch
        ]

    def transcript(self, row: list[Spoken], parameters: AutomaticSpeechRecognitionParameters) -> Transcript:
        return self._transcript(row)

    def listen(
        self, sound: object, parameters: AutomaticSpeechRecognitionParameters, run: Runs, *, eager: bool
    ) -> Iterator[Transcript]:
        asked = self._asked(parameters)
        coming = self._stretches(sound, first=min(SOON, self._longest) if eager else None)
        for spoken in self._heard(coming, asked, run, at_once=1 if eager else AT_ONCE):
            yield self._transcript(spoken)

    def _recording(self, coming: Iterator[Stretch], asked: Asked, run: Runs) -> list[Spoken] | ZooError:
        try:
            return [spoken for some in self._heard(coming, asked, run) for spoken in some]
        except ZooError as error:
            return error

    def _heard(
        self, coming: Iterator[Stretch], asked: Asked, run: Runs, *, at_once: int = AT_ONCE
    ) -> Iterator[list[Spoken]]:
        """So many stretches together, then twice as many and so on; between them others have their turn.

        One alone, as the first of a stream, is wanted soon and does not wait for other recordings.
        """
        begun = list(islice(coming, 2))
        coming = chain(begun, coming)
        while some := list(islice(coming, at_once)):
            windows = [self._window(samples) for _, samples in some]
            found = self._transcriber.transcribe(
                windows, [asked] * len(some), run, recording=len(begun) > 1 and at_once > 1
            )
            yield [
                replace(spoken, start=start / self._mel.rate, end=(start + len(samples)) / self._mel.rate)
                for spoken, (start, samples) in zip(found, some, strict=True)
            ]
            at_once = min(AT_ONCE, 2 * at_once)

    def _stretches(self, sound: object, *, first: float | None = None) -> Iterator[Stretch]:
        parts = sound_blocks(sound, rate=self._mel.rate, seconds=self._longest, most_seconds=MOST_SECONDS)
        return stretches(parts, self._mel.rate, self._longest, aim=min(PIECE, self._longest), first=first)

    def _window(self, samples: NDArray[np.float32]) -> Window:
        return window(samples, self._mel, places=self._tokens.places)

    @property
    def _longest(self) -> float:
        """Seconds of a window."""
        return self._tokens.places * FRAMES * self._mel.hop / self._mel.rate

    def _transcript(self, row: Sequence[Spoken]) -> Transcript:
        """Text and segments of windows that follow one another."""
        found: list[Segment] = []
        for spoken in row:
            start, end = spoken.start, spoken.end
            heard = [] if spoken.silent else segments(spoken, self._tokens, self._decode, start=start, end=end)
            if any(letter.isalnum() for part in heard for letter in part.text):  # to a tone it writes dots
                found += heard
        language = next((spoken.language for spoken in row if spoken.language), None)
        if not self._tokens.multilingual:
            language = "en"
        words = [word for part in found for word in words_of(part, self._decode, part.spoken.language or language)]
        text = "".join(part.text for part in found).strip()
        return Transcript(text, tuple(found), row[-1].end, language, tuple(words))

    def _decode(self, tokens: Sequence[int]) -> str:
        return str(self._text.decode(list(tokens), skip_special_tokens=True))

    def _asked(self, parameters: AutomaticSpeechRecognitionParameters) -> Asked:
        language = parameters.language
        if parameters.return_timestamps == "char":
            message = 'This model gives the times of words ("word") and segments (true), not of letters.'
            raise InvalidInput(message, param="parameters.return_timestamps")
        if language is not None and language.lower() not in self._tokens.languages and self._tokens.multilingual:
            known = ", ".join(sorted(self._tokens.languages))
            raise InvalidInput(f"language {language!r} is unknown; there are {known}.", param="parameters.language")
        foreign = language is not None and language.lower() not in ("en", "english")
        if not self._tokens.multilingual and (foreign or parameters.task == "translate"):
            message = "This model knows English alone: it neither hears other languages nor translates."
            raise InvalidInput(message, param="parameters.language" if foreign else "parameters.task")
        prompt: list[int] = []
        if parameters.prompt:
            prompt = self._text.encode(" " + parameters.prompt.strip(), add_special_tokens=False).ids
        return Asked(
            language=language.lower() if language and self._tokens.multilingual else None,
            task=parameters.task,
            prompt=tuple(prompt),
            times=bool(parameters.return_timestamps),
            words=parameters.return_timestamps == "word",
            temperature=parameters.temperature,
            beams=Beams(parameters.num_beams or self._tokens.beams, parameters.length_penalty),
            most=parameters.max_new_tokens,
        )


def _clip(spoken: Spoken | ZooError, seconds: float) -> list[Spoken] | ZooError:
    return spoken if isinstance(spoken, ZooError) else [replace(spoken, end=seconds)]


class AutomaticSpeechRecognition(Task):
    """Input: a sound. Output: ``{"text"}``, and ``chunks`` of ``{"text", "timestamp": [start, end]}`` if asked for."""

    name = "automatic-speech-recognition"
    modality = "audio"
    listens = True
    shares = True
    batch_cost: ClassVar[int] = BATCH
    sample: ClassVar[object] = SAMPLE
    Parameters = AutomaticSpeechRecognitionParameters

    def __init__(self, entry: ModelEntry, folder: Path) -> None:
        letters = "ctc" in entry.options
        self._recogniser: Recogniser = CtcRecogniser(entry) if letters else WhisperRecogniser(entry, folder)

    def preprocess(self, item: object, parameters: AutomaticSpeechRecognitionParameters) -> Encoded:
        return self._recogniser.preprocess(item, parameters)

    def run(self, batch: Sequence[Any], run: Runs) -> list[Any]:
        return self._recogniser.run(batch, run)

    def postprocess(
        self, row: Any, encoded: Encoded, parameters: AutomaticSpeechRecognitionParameters
    ) -> dict[str, object]:
        transcript = self._recogniser.transcript(row, parameters)
        if not parameters.return_timestamps:
            return {"text": transcript.text}
        pieces = transcript.segments if parameters.return_timestamps is True else transcript.words
        chunks = [{"text": piece.text, "timestamp": [piece.start, piece.end]} for piece in pieces]
        return {"text": transcript.text, "chunks": chunks}

    def listen(
        self, sound: object, parameters: AutomaticSpeechRecognitionParameters, run: Runs, *, eager: bool
    ) -> Iterator[Transcript]:
        yield from self._recogniser.listen(sound, parameters, run, eager=eager)
