"""What a worker hands to the child process that runs one job; it travels over the child's standard input."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ConfigDict

from adapters.jobs import JobKind
from adapters.queue.records import Lease
from zoo.settings import Settings

RUNNERS: Mapping[JobKind, str] = MappingProxyType(
    {
        JobKind.ADAPT: "adapters.training.adapt.run",
        JobKind.IMPORT: "adapters.importing.run",
        JobKind.INSPECT: "adapters.training.inspect.run",
    }
)
"""Kind of job -> dotted name of its ``run(context, settings) -> dict``; imported in the child only."""


class Assignment(BaseModel):
    """One attempt: which job under which token, where Redis is, the worker's settings, and what runs each kind."""

    model_config = ConfigDict(frozen=True)

    url: str
    settings: dict[str, Any]
    job_id: str
    token: int
    lease_seconds: float
    runners: dict[JobKind, str]

    @classmethod
    def of(cls, lease: Lease, *, url: str, settings: Settings, runners: Mapping[JobKind, str]) -> Assignment:
        """The assignment for a claim."""
        return cls(
            url=url,
            settings=settings.model_dump(mode="json"),
            job_id=lease.job_id,
            token=lease.token,
            lease_seconds=lease.seconds,
            runners=dict(runners),
        )

    @property
    def lease(self) -> Lease:
        """The claim that the attempt runs under."""
        return Lease(self.job_id, self.token, self.lease_seconds)

    def worker_settings(self) -> Settings:
        """The settings of the worker that made the assignment; the environment changes nothing."""
        return Settings(**self.settings)
