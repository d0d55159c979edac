"""automatic-speech-recognition: speech to text, with the times of what was said where they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator
from tokenizers import Tokenizer

from zoo.catalogue.entry import ModelEntry
from zoo.errors import ArtifactCorrupt, InvalidInput
from zoo.tasks.decoding.beam import Beams
from zoo.tasks.decoding.transcriber import Asked, Transcriber
from zoo.tasks.decoding.transcript import Segment, Spoken, Transcript, segments
from zoo.tasks.decoding.whisper_tokens import WhisperTokens
from zoo.tasks.processors.log_mel import LogMel
from zoo.tasks.processors.pauses import pieces, stretches
from zoo.tasks.processors.sound import SAMPLE, open_sound, sound_blocks
from zoo.tasks.processors.whisper_window import FRAMES, Window, window
from zoo.tasks.task import Parameters, Runs, Task

MOST_SECONDS = 4 * 3600.0
SOON = 10.0  # seconds of the first stretch where words are wanted soon; the encoder takes a third of a window's time
AT_ONCE = 8  # windows of a recording that are decoded together


class AutomaticSpeechRecognitionParameters(Parameters):
    """``return_timestamps`` adds ``chunks``; ``language`` (such as ``en``, detected unless set) and ``translate`` (into
    English) are for multilingual models; ``prompt`` is what was said before, or names to expect.

    ``num_beams`` texts are written side by side, of which the likeliest is taken; ``length_penalty`` above 1 prefers
    longer ones. ``max_new_tokens`` is for each window of 30 s. All may come in ``generation_parameters`` too, or in
    ``generate_kwargs``, as transformers' pipeline has them.
    """

    return_timestamps: bool | Literal["word"] = False
    language: str | None = Field(None, max_length=40)
    task: Literal["transcribe", "translate"] = "transcribe"
    prompt: str | None = Field(None, max_length=10_000)
    temperature: float = Field(0.0, ge=0.0, le=1.0)
    num_beams: int = Field(1, ge=1, le=10)
    length_penalty: float = Field(1.0, ge=-10.0, le=10.0)
    max_new_tokens: int | None = Field(None, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _lifted(cls, given: dict[str, Any]) -> dict[str, Any]:
        """What is asked for one level below counts unless it is asked for here too."""
        outer = dict(given)
        for name in ("generation_parameters", "generate_kwargs"):
            inner = outer.pop(name, None)
            if inner is not None and not isinstance(inner, dict):
                raise ValueError(f"{name} has to be an object such as {{'num_beams': 3}}")
            outer = {**(inner or {}), **outer}
        return outer


@dataclass(frozen=True, eq=False)
class EncodedSpeech:
    """The windows of one recording in order, each with its start in seconds, and what was asked of it."""

    windows: tuple[Window, ...]
    starts: tuple[float, ...]
    seconds: float
    asked: Asked
    truncated: bool = False

    @property
    def cost(self) -> int:
        """Positions of the encoder."""
        return sum(window.cost for window in self.windows)


class AutomaticSpeechRecognition(Task):
    """Input: a sound. Output: ``{"text"}``, and ``chunks`` of ``{"text", "timestamp": [start, end]}`` if asked for.

    Two graphs: ``model.onnx`` is the encoder, ``decoder.onnx`` some tokens more of the decoder.
    """

    name = "automatic-speech-recognition"
    modality = "audio"
    listens = True
    batch_cost: ClassVar[int] = 8 * 1500
    sample: ClassVar[object] = SAMPLE
    Parameters = AutomaticSpeechRecognitionParameters

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
        rate = self._mel.rate
        samples = open_sound(item, rate=rate, most_seconds=MOST_SECONDS)
        cuts = list(pieces(samples, rate, self._longest))
        return EncodedSpeech(
            windows=tuple(window(samples[start:end], self._mel, places=self._tokens.places) for start, end in cuts),
            starts=tuple(start / rate for start, _ in cuts),
            seconds=len(samples) / rate,
            asked=self._asked(parameters),
        )

    def run(self, batch: Sequence[EncodedSpeech], run: Runs) -> list[list[Spoken]]:
        windows = [window for speech in batch for window in speech.windows]
        spoken = iter(self._transcriber.transcribe(windows, [one.asked for one in batch for _ in one.windows], run))
        return [[next(spoken) for _ in speech.windows] for speech in batch]

    def postprocess(
        self, row: list[Spoken], encoded: EncodedSpeech, parameters: AutomaticSpeechRecognitionParameters
    ) -> dict[str, object]:
        transcript = self._transcript(row, encoded.starts, encoded.seconds)
        if not parameters.return_timestamps:
            return {"text": transcript.text}
        chunks = [{"text": part.text, "timestamp": [part.start, part.end]} for part in transcript.segments]
        return {"text": transcript.text, "chunks": chunks}

    def listen(
        self, sound: object, parameters: AutomaticSpeechRecognitionParameters, run: Runs, *, eager: bool
    ) -> Iterator[Transcript]:
        asked, rate = self._asked(parameters), self._mel.rate
        parts = sound_blocks(sound, rate=rate, seconds=self._longest, most_seconds=MOST_SECONDS)
        coming = stretches(parts, rate, self._longest, first=min(SOON, self._longest) if eager else None)
        at_once = 1 if eager else AT_ONCE
        while some := list(islice(coming, at_once)):
            windows = [window(samples, self._mel, places=self._tokens.places) for _, samples in some]
            spoken = self._transcriber.transcribe(windows, [asked] * len(some), run)
            end = (some[-1][0] + len(some[-1][1])) / rate
            yield self._transcript(spoken, [start / rate for start, _ in some], end)
            at_once = min(AT_ONCE, 2 * at_once)

    @property
    def _longest(self) -> float:
        """Seconds of a window."""
        return self._tokens.places * FRAMES * self._mel.hop / self._mel.rate

    def _transcript(self, row: Sequence[Spoken], starts: Sequence[float], seconds: float) -> Transcript:
        """Text and segments of windows that follow one another up to ``seconds``."""
        found: list[Segment] = []
        for spoken, start, end in zip(row, starts, [*starts[1:], seconds], strict=True):
            heard = [] if spoken.silent else segments(spoken, self._tokens, self._decode, start=start, end=end)
            if any(letter.isalnum() for part in heard for letter in part.text):  # to a tone it writes dots
                found += heard
        language = next((spoken.language for spoken in row if spoken.language), None)
        if not self._tokens.multilingual:
            language = "en"
        return Transcript("".join(part.text for part in found).strip(), tuple(found), seconds, language)

    def _decode(self, tokens: Sequence[int]) -> str:
        return str(self._text.decode(list(tokens), skip_special_tokens=True))

    def _asked(self, parameters: AutomaticSpeechRecognitionParameters) -> Asked:
        language = parameters.language
        if parameters.return_timestamps == "word":
            message = "This model gives the times of segments, not of single words: ask for those."
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
            temperature=parameters.temperature,
            beams=Beams(parameters.num_beams, parameters.length_penalty),
            most=parameters.max_new_tokens,
        )
