"""A job context without a queue: what it was told can be looked at, and it can stop a job at a step."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from adapters.jobs import Job, JobPreempted, JobSpec


@dataclass
class QuietContext:
    """Implements ``adapters.jobs.JobContext``; with ``stop_at`` it preempts ``stop_in`` at that step."""

    job: Job
    folder: Path
    stop_at: int | None = None
    stop_in: str = "train"
    stages: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    checkpoints: list[int] = field(default_factory=list)
    confirmed: int = 0

    @property
    def attempt_folder(self) -> Path:
        return self.folder / "attempt-1"

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
        if stage not in self.stages:
            self.stages.append(stage)
        if stage == self.stop_in and step == self.stop_at:
            assert save is not None
            save()
            raise JobPreempted("asked to stop")

    def event(self, message: str, *, level: Literal["info", "warn", "error"] = "info", **data: Any) -> None:
        self.messages.append(message)

    def checkpointed(self, step: int, **metrics: float) -> None:
        self.checkpoints.append(step)

    def confirm(self) -> None:
        self.confirmed += 1


def context_for(home: Path, spec: JobSpec, *, job: str = "ftjob-1", stop_at: int | None = None) -> QuietContext:
    """A context whose folders lie where the worker would put them."""
    made = QuietContext(Job(id=job, spec=spec, created_at=time.time()), home / "jobs" / job, stop_at)
    made.attempt_folder.mkdir(parents=True, exist_ok=True)
    return made
