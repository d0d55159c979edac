"""Request bodies; every unknown field is refused by name."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictInt

from zoo.catalogue.entry import Precision, Source
from zoo.catalogue.rollout import Rule


class Body(BaseModel):
    """What all request bodies share."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)


class PredictRequest(Body):
    """One item or a list of items for a model, and options of its task. A picture is its file in base64.

    Feature extraction clients send their options beside ``inputs`` instead of in ``parameters``.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"inputs": ["Where is my parcel?"], "parameters": {"top_k": 2}}]}
    )

    inputs: Any = Field(description="One item, or a list of items.")
    parameters: dict[str, Any] | None = Field(None, description="Options of the model's task.")
    normalize: Any = Field(None, description="Feature extraction: scale vectors to length 1.")
    truncate: Any = Field(None, description="Feature extraction: cut long texts.")
    truncation_direction: Any = Field(None, description="Feature extraction: side to cut, left or right.")
    prompt_name: Any = Field(None, description="Feature extraction: named prompt to put in front.")
    dimensions: Any = Field(None, description="Feature extraction: length of the vectors.")
    encoding_format: Any = Field(None, description="Feature extraction: float.")
    stream: bool = Field(False, description="Translation, summarization: server-sent events while it is written.")

    @property
    def options(self) -> dict[str, Any]:
        """``parameters`` and the options sent beside it; null means not set."""
        beside = self.model_dump(exclude={"inputs", "parameters", "stream"}, exclude_none=True)
        return {**beside, **(self.parameters or {})}


class EmbeddingsRequest(Body):
    """Texts to turn into vectors."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"model": "minilm", "input": ["Where is my parcel?"]}]})

    model: str
    input: str | list[Any] = Field(description="A text or a list of texts.")
    encoding_format: Literal["float", "base64"] | None = Field("float", description="base64: little-endian float32.")
    dimensions: StrictInt | None = Field(
        None, ge=1, description="Length of the vectors; the model's own is the only one."
    )
    user: str | None = Field(None, description="Accepted and ignored.")


class TranscriptionRequest(Body):
    """The fields of a form beside ``file``, the sound."""

    model: str
    language: str | None = Field(None, max_length=40, description="Spoken language, such as en; detected unless set.")
    prompt: str | None = Field(None, description="What was said before, or names to expect.")
    response_format: Literal["json", "text", "srt", "vtt", "verbose_json"] = "json"
    temperature: float = Field(0.0, ge=0.0, le=1.0, description="0 takes the likeliest words; more draws them.")
    num_beams: int | None = Field(
        None,
        ge=1,
        le=10,
        description="Texts written side by side; the likeliest is taken. Else the model's number.",
    )
    timestamp_granularities: tuple[Literal["segment", "word"], ...] = Field(
        (), description="With verbose_json: what to give the times of. Repeat the field for both; [] may follow it."
    )
    stream: bool = Field(False, description="Answer as server-sent events while the sound is heard.")
    chunking_strategy: Literal["auto"] | None = Field(None, description="Long sound is always cut in pauses.")


MAX_LABELS = 10_000


class ImportRequest(Body):
    """A model to bring into the zoo: a name of the catalogue, or a new name with its source and task.

    With ``base`` an adapter that peft saved elsewhere, which is put on that model.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [{"id": "minilm"}]})

    id: str
    source: Source | None = None
    task: str | None = Field(None, max_length=64, description="Needed with a source of one's own.")
    precision: Precision | None = Field(
        None, description="Of the served weights: fp32, or int8 for less memory and time."
    )
    base: str | None = Field(None, max_length=200, description="The model that an adapter was made for.")
    labels: list[str] | None = Field(
        None, min_length=1, max_length=MAX_LABELS, description="Names of an adapter's classes, in their order."
    )


class AliasRequest(Body):
    """The version that an alias points to."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"version": 2}]})

    version: StrictInt = Field(ge=1)


class RolloutRequest(Body):
    """Versions that stand beside the one that an alias means: a canary, a shadow, or both."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"canary": 2, "weight": 10, "shadow": 2}]})

    canary: StrictInt | None = Field(None, ge=1, description="Version that answers a part of the requests.")
    weight: StrictInt | None = Field(None, ge=1, le=99, description="That part, in percent.")
    shadow: StrictInt | None = Field(None, ge=1, description="Version that gets copies of what the stable one answers.")
    rule: Rule = Field(Rule(), description="When the rollout is rolled back without being asked to.")


class FineTuneRequest(Body):
    """A fine-tuning job. Hyperparameters stand in ``method``, in ``hyperparameters`` or beside them; the first wins."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"model": "minilm", "training_file": "file-abc123", "suffix": "tickets"}]}
    )

    model: str
    training_file: str
    validation_file: str | None = None
    task: str | None = Field(None, max_length=64, description="What to learn; default: what the data show.")
    columns: dict[str, str] | None = Field(
        None, description='Role to column, e.g. {"text": "body", "label": "intent"}.'
    )
    suffix: str | None = Field(None, description="Name under which the new model is published.")
    seed: StrictInt | None = Field(None, ge=0, le=2147483647)
    precision: Precision | None = Field(
        None, description="int8: weights of 8 bits, if held-out rows lose next to nothing by them and they are faster."
    )
    metadata: dict[str, str] | None = None
    method: dict[str, Any] | None = None
    hyperparameters: dict[str, Any] | None = None
    integrations: list[Any] | None = None
    n_epochs: Any = None
    batch_size: Any = None
    learning_rate: Any = None
    learning_rate_multiplier: Any = None
    lora_rank: Any = None
    lora_alpha: Any = None
    lora_dropout: Any = None
    target_modules: Any = None
    weight_decay: Any = None
    warmup_ratio: Any = None
    max_tokens: Any = None
