"""A rollout as clients see it: how it stands now, or how the last one of the alias ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zoo.catalogue.alias import Alias
from zoo.catalogue.rollout import Rollout
from zoo.engine.rollouts import Rollouts
from zoo.errors import NotFound

Figures = Mapping[str, Mapping[str, Any]]


def rollout_object(
    name: str, alias: str, found: Alias, rollouts: Rollouts, *, warnings: Sequence[str] = ()
) -> dict[str, Any]:
    """The object of the rollout addresses; ``NotFound`` (``no_rollout``) if this alias never had one."""
    known: dict[str, Any] = {"object": "rollout", "model": name, "alias": alias, "version": found.version}
    if found.rollout is not None:
        tally = rollouts.tally(name, alias, found.rollout)
        shown = _shown(found.rollout, found.version, tally.figures())
        verdict = tally.over or tally.verdict(found.rollout)
        known |= {"status": "running", **shown, "verdict": verdict, "warnings": list(warnings)}
        return known | {"last": None if found.last is None else _decision(found)}
    if found.last is None:
        raise NotFound(
            f"{name}@{alias} has no rollout: PUT one here, or run `zoo rollout {name} {alias} --canary VERSION`.",
            code="no_rollout",
        )
    shown = _shown(found.last.rollout, found.last.stable, found.last.figures)
    return known | {"status": found.last.outcome, **shown, "last": _decision(found)}


def _shown(rollout: Rollout, stable: int, figures: Figures) -> dict[str, Any]:
    versions = {"stable": stable, "canary": rollout.canary, "shadow": rollout.shadow}
    sides = {
        side: {"version": version, **figures.get(side, {})} for side, version in versions.items() if version is not None
    }
    named = rollout.model_dump(mode="json", include={"canary", "weight", "shadow", "rule", "since"})
    return named | {"sides": sides}


def _decision(found: Alias) -> dict[str, Any] | None:
    return None if found.last is None else found.last.model_dump(mode="json", include={"outcome", "by", "reason", "at"})
