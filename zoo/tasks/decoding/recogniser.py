"""What the task asks of each kind of recogniser, and what users may ask of both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, Protocol

from pydantic import Field, StrictFloat, StrictInt, field_validator, model_validator

from zoo.tasks.decoding.transcript import Transcript
from zoo.tasks.task import Encoded, Parameters, Runs

MOST_SECONDS = 4 * 3600.0
MOST_MARGIN = 60.0


class AutomaticSpeechRecognitionParameters(Parameters):
    """``return_timestamps`` adds ``chunks``: ``true`` of segments, ``word`` of words, ``char`` (CTC) of letters.

    Whisper: ``language`` (such as ``en``, detected unless set) and ``translate`` (into English) are for multilingual
    models; ``prompt`` is what was said before, or names to expect. ``num_beams`` texts are written side by side, of
    which the likeliest is taken; unless set as many as the version says: one, or five where it was adapted here.
    ``length_penalty`` above 1 prefers longer ones. ``max_new_tokens`` is for each window of 30 s. All may come in
    ``generation_parameters`` too, or in ``generate_kwargs``, as transformers' pipeline has them.

    CTC: ``chunk_length_s`` is how much of a long recording is heard at once, ``stride_length_s`` how far such pieces
    overlap at either side, or at the left and at the right: together at most half of one. Whisper's windows are its
    own, whatever they say.
    """

    return_timestamps: bool | Literal["word", "char"] = False
    language: str | None = Field(None, max_length=40)
    task: Literal["transcribe", "translate"] = "transcribe"
    prompt: str | None = Field(None, max_length=10_000)
    temperature: StrictFloat = Field(0.0, ge=0.0, le=1.0)
    num_beams: StrictInt | None = Field(None, ge=1, le=10)
    length_penalty: StrictFloat = Field(1.0, ge=-10.0, le=10.0)
    max_new_tokens: StrictInt | None = Field(None, ge=1)
    chunk_length_s: StrictFloat | None = Field(None, ge=1.0, le=60.0)
    stride_length_s: StrictFloat | tuple[StrictFloat, StrictFloat] | None = None

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

    @field_validator("stride_length_s")
    @classmethod
    def _bounded(cls, given: float | tuple[float, float] | None) -> float | tuple[float, float] | None:
        margins = given if isinstance(given, tuple) else (given or 0.0,)
        if not all(0.0 <= margin <= MOST_MARGIN for margin in margins):
            raise ValueError(f"a margin is 0 to {MOST_MARGIN:g} seconds long")
        return given


class Recogniser(Protocol):
    """One kind of network that writes down what is said. Safe to use from several threads."""

    def preprocess(self, item: object, parameters: AutomaticSpeechRecognitionParameters) -> Encoded:
        """One sound to what the network takes; raises ``InvalidInput`` for wishes that it cannot meet."""

    def run(self, batch: Sequence[Any], run: Runs) -> list[Any]:
        """What was heard in each, or the ``ZooError`` of a recording that turns out to be damaged."""

    def transcript(self, row: Any, parameters: AutomaticSpeechRecognitionParameters) -> Transcript:
        """What was heard as text, with the segments and words that are asked for; ``words`` may be letters."""

    def listen(
        self, sound: object, parameters: AutomaticSpeechRecognitionParameters, run: Runs, *, eager: bool
    ) -> Iterator[Transcript]:
        """Stretch by stretch, at least one."""
