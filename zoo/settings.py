"""Every setting of the service, read once: flag over ``ZOO_…`` environment variable over ``.env`` over default.

This is the only file that reads the environment.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import ByteSize, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

MIB = 1024 * 1024


class Settings(BaseSettings):
    """Validated settings; a value of the wrong type or range raises ``pydantic.ValidationError``."""

    model_config = SettingsConfigDict(env_prefix="ZOO_", env_file=".env", extra="ignore", frozen=True)

    home: Path = Field(Path.home() / ".adaptzoo", description="Folder of all state: models, files, jobs, own Redis.")
    host: str = Field("127.0.0.1", description="Address to listen on; another than loopback needs a key.")
    port: int = Field(8000, ge=0, le=65535, description="Port that `zoo serve` listens on; 0 picks a free one.")
    url: str = Field("", description="Address of a running service, for the command line; default from host and port.")
    api_key: str = Field("", description="Bearer key that every request but the probes has to carry; empty: none.")
    allow_anonymous: bool = Field(False, description="Allow a non-loopback address without a key (behind a gateway).")
    redis_url: str = Field("", description="Redis for jobs; empty: `zoo serve` starts its own Redis and one worker.")
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="Least level that is logged.")
    log_format: str = Field("json", pattern="^(json|text)$", description="Logs as one JSON object a line, or as text.")

    max_body_bytes: int = Field(16 * MIB, ge=1024, description="Largest body of a request: JSON, a picture or a sound.")
    max_upload_bytes: int = Field(200 * MIB, ge=1024, description="Largest uploaded data file or recording.")
    max_rows: int = Field(1_000_000, ge=1, description="Most rows of an uploaded data file.")
    max_row_bytes: int = Field(64 * 1024, ge=256, description="Largest row of an uploaded data file.")
    max_labels: int = Field(1000, ge=2, description="Most different labels of a data set.")
    max_items: int = Field(2048, ge=1, description="Most items of one predict or embeddings request.")
    max_queued_jobs: int = Field(100, ge=1, description="Jobs that may wait in the queue; one more is refused.")
    max_jobs_per_caller: int = Field(20, ge=1, description="Jobs that one caller may have waiting or running.")
    max_waiting_requests: int = Field(256, ge=1, description="Predict requests that may wait for a core.")
    request_timeout_seconds: float = Field(60.0, gt=0, description="Longest time that a prediction may take.")
    memory: ByteSize = Field(
        ByteSize(0),
        ge=0,
        description="Memory for loaded models, as 2GB or 512MiB; 0: half of what there is.",
    )
    answer_cache: ByteSize = Field(ByteSize(0), ge=0, description="Memory for answers already given; 0: none is kept.")

    threads: int = Field(0, ge=0, description="Threads for inference; 0: from affinity and the cgroup's CPU quota.")
    providers: str = Field(
        "",
        pattern=r"^\s*((cuda|openvino|coreml|cpu)\s*(,\s*(cuda|openvino|coreml|cpu)\s*)*)?$",
        description="Hardware to use, best first: cuda, openvino, coreml, cpu; empty: what onnxruntime offers.",
    )
    drain_seconds: float = Field(20.0, ge=0, description="Longest wait for running requests after SIGTERM.")
    job_timeout_seconds: int = Field(6 * 3600, ge=10, description="Longest run of one job attempt.")
    job_attempts: int = Field(3, ge=1, le=10, description="Attempts of a job, counted when a worker claims it.")
    lease_seconds: float = Field(15.0, ge=2, description="A job whose worker is silent for so long goes to another.")
    worker_threads: int = Field(0, ge=0, description="Threads of one training job; 0: all that the machine grants.")
