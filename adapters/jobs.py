"""Jobs as data: what is asked for, what state it is in, and which moves are legal. JSON only, no queue, no torch."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from zoo.catalogue.entry import Precision

Auto = Literal["auto"]
TRAINING_LIBRARIES = ("torch", "transformers", "peft", "onnx", "onnxscript", "sklearn", "pyarrow")
"""What jobs need beyond the base installation: all but imports of ready-made graphs."""
EIGHT_BITS = (
    "text-classification",
    "token-classification",
    "question-answering",
    "image-classification",
    "audio-classification",
)
"""Tasks whose adapted versions may have weights of 8 bits: one graph answers, and each row is judged by itself."""


class JobKind(StrEnum):
    """What a worker runs for a job."""

    ADAPT = "adapt"  # fine-tune a model on a data file
    IMPORT = "import"  # bring a pre-trained checkpoint into the zoo
    INSPECT = "inspect"  # read an uploaded Parquet file and write its report


class JobStatus(StrEnum):
    """The six states that clients know."""

    VALIDATING = "validating_files"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        """A terminal state never changes."""
        return self in (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED)


LEGAL_MOVES: dict[JobStatus, frozenset[JobStatus]] = {
    JobStatus.VALIDATING: frozenset({JobStatus.QUEUED, JobStatus.FAILED, JobStatus.CANCELLED}),
    JobStatus.QUEUED: frozenset({JobStatus.RUNNING, JobStatus.FAILED, JobStatus.CANCELLED}),
    # running -> queued: preempted by a shutdown, or lost with its worker
    JobStatus.RUNNING: frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.QUEUED}),
    JobStatus.SUCCEEDED: frozenset(),
    JobStatus.FAILED: frozenset(),
    JobStatus.CANCELLED: frozenset(),
}


class Hyperparameters(BaseModel):
    """What a user may set about training; everything is ``"auto"`` unless set. Ranges are those that can train."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    n_epochs: Auto | Annotated[int, Field(ge=1, le=100)] = "auto"
    batch_size: Auto | Annotated[int, Field(ge=1, le=256)] = "auto"
    learning_rate: Auto | Annotated[float, Field(gt=0, le=0.1)] = "auto"
    learning_rate_multiplier: Auto | Annotated[float, Field(gt=0, le=100)] = "auto"
    lora_rank: Auto | Annotated[int, Field(ge=1, le=64)] = "auto"
    lora_alpha: Auto | Annotated[float, Field(gt=0, le=256)] = "auto"
    lora_dropout: Auto | Annotated[float, Field(ge=0, lt=1)] = "auto"
    target_modules: Auto | tuple[str, ...] = "auto"
    weight_decay: Auto | Annotated[float, Field(ge=0, le=1)] = "auto"
    warmup_ratio: Auto | Annotated[float, Field(ge=0, le=0.5)] = "auto"
    max_tokens: Auto | Annotated[int, Field(ge=8, le=8192)] = "auto"


class JobSpec(BaseModel):
    """What was asked for; never changes. Fields that a kind does not use stay at their defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: JobKind
    model: str = Field("", description="adapt: the model to start from; import: the name to publish under.")
    task: str | None = None
    training_file: str | None = None
    validation_file: str | None = None
    columns: dict[str, str] = Field(
        default_factory=dict, description="Role -> column, e.g. text -> body, label -> intent."
    )
    hyperparameters: Hyperparameters = Hyperparameters()
    suffix: str | None = Field(None, description="Name to publish the adapted model under.")
    seed: int = Field(0, ge=0, le=2147483647)
    metadata: dict[str, str] | None = None
    source: dict[str, Any] | None = Field(None, description="import: a Source other than the catalogue's.")
    precision: Precision | None = Field(
        None,
        description="Of the served weights. import: the catalogue's unless set; adapt: int8 if held-out rows bear it.",
    )
    base: str | None = Field(None, description="import: the version that an adapter made elsewhere was made for.")
    labels: tuple[str, ...] | None = Field(None, description="import: names of an adapter's classes, in their order.")
    owner: str = Field("local", description="Who asked; never shown.")


class JobError(BaseModel):
    """Why a job failed: a stable code, a sentence that names the fix, and the field at fault if there is one."""

    code: str
    message: str
    param: str | None = None


class Progress(BaseModel):
    """How far a running job is: its stage, steps done of all in that stage, and the estimated seconds to the end."""

    stage: str = ""
    step: int = 0
    total: int = 0
    eta_seconds: float | None = None
    metrics: dict[str, float] = Field(default_factory=dict)


class Job(BaseModel):
    """The record of one job. ``token`` grows with every claim; only the holder of the newest may write or publish."""

    id: str
    spec: JobSpec
    status: JobStatus = JobStatus.QUEUED
    created_at: float
    started_at: float | None = None
    finished_at: float | None = None
    attempt: int = 0
    token: int = 0
    cancel_requested: bool = False
    progress: Progress = Progress()
    result: dict[str, Any] | None = None
    error: JobError | None = None


class JobEvent(BaseModel):
    """One line of a job's story; ``id`` is opaque and ordered."""

    id: str
    created_at: float
    level: Literal["info", "warn", "error"] = "info"
    message: str
    type: Literal["message", "metrics"] = "message"
    data: dict[str, Any] = Field(default_factory=dict)


class JobCheckpoint(BaseModel):
    """One restorable state of training: the step it was taken at and the metrics there."""

    id: str
    created_at: float
    step: int
    metrics: dict[str, float] = Field(default_factory=dict)


class JobStopped(BaseException):
    """Raised inside a job by ``JobContext.tick`` when it has to end now: cancelled, or its lease is lost.

    A ``BaseException``, so that no ``except Exception`` of a library swallows it.
    """


class JobPreempted(JobStopped):
    """The worker shuts down: the checkpoint that was just asked for is saved, the job goes back to the queue."""


class JobContext(Protocol):
    """What a running job may do; made by the worker, handed to ``adapters.training.<kind>.run``.

    ``folder`` belongs to the job and survives its attempts (checkpoints live here), ``attempt_folder`` to this attempt
    alone. Every method may raise ``JobStopped`` when the job is cancelled or its lease has passed to another worker.
    """

    @property
    def job(self) -> Job:
        """The record as it was when this attempt began."""

    @property
    def folder(self) -> Path:
        """The job's own folder."""

    @property
    def attempt_folder(self) -> Path:
        """This attempt's own folder."""

    def tick(
        self,
        stage: str,
        step: int,
        total: int,
        *,
        save: Callable[[], None] | None = None,
        eta_seconds: float | None = None,
        **metrics: float,
    ) -> None:
        """Report progress (call it at every step; it is written at most once a second).

        ``save`` writes a checkpoint; it is called when the worker is asked to shut down, before ``JobPreempted``.
        """

    def event(self, message: str, *, level: Literal["info", "warn", "error"] = "info", **data: Any) -> None:
        """Append to the job's events; with ``data`` it is of type ``metrics``."""

    def checkpointed(self, step: int, **metrics: float) -> None:
        """Record that a checkpoint for ``step`` has been written under ``folder``."""

    def confirm(self) -> None:
        """Raise ``JobStopped`` unless this attempt still holds the lease; call it right before publishing."""
