"""The record of a rollout: which versions stand beside the one that an alias means, how much they get, and the rule."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

WINDOW = 1000  # requests of a side that its rates and times are taken from

Outcome = Literal["promoted", "rolled_back", "ended"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)


class Rule(_Record):
    """When a rollout is rolled back without being asked to; see ``zoo.engine.tally.verdict``."""

    model_config = ConfigDict(strict=True)  # "no" is not False, nor is true one request

    automatic: bool = Field(True, description="False: the verdict is shown, and nothing is rolled back.")
    min_requests: int = Field(
        100, ge=1, le=WINDOW, description="Requests of the canary (or mirrored ones) before it is judged."
    )
    max_error_points: float = Field(
        2.0, ge=0, le=100, description="Points of error rate that it may have above the stable version's."
    )
    max_latency_ratio: float = Field(
        2.0, ge=1, le=1000, description="How many times as long the canary's p95 latency may be as the stable's."
    )
    min_agreement: float = Field(
        0.8, ge=0, le=1, description="Share of the shadow's answers that have to agree with the stable version's."
    )


class Rollout(_Record):
    """A canary that gets ``weight`` percent of an alias's requests, a shadow that gets copies, or both.

    ``id`` stays while the versions stay, whatever becomes of weight and rule: what was counted is kept so long.
    ``since`` is in Unix seconds.
    """

    id: str
    canary: int | None = Field(None, ge=1)
    weight: int = Field(0, ge=0, le=99)
    shadow: int | None = Field(None, ge=1)
    rule: Rule = Rule()
    since: int

    @model_validator(mode="after")
    def _whole(self) -> Rollout:
        if self.canary is None and self.shadow is None:
            raise ValueError("a rollout needs a canary or a shadow")
        if (self.canary is None) != (self.weight == 0):
            raise ValueError("a canary needs a weight from 1 to 99, and a weight a canary")
        return self

    def names(self, version: int) -> bool:
        """Whether a version takes part, beside the stable one."""
        return version in (self.canary, self.shadow)


class Decision(_Record):
    """How a rollout ended: by whom, why, when (Unix seconds), and what had been counted by then.

    ``stable`` is the version that the alias meant while it ran.
    """

    outcome: Outcome
    by: Literal["rule", "request"]
    reason: str
    at: int
    stable: int
    rollout: Rollout
    figures: dict[str, Any] = Field(default_factory=dict)
