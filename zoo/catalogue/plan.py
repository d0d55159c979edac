"""What is planned for a rollout, checked against the versions that are there before any request follows it."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass

from zoo.catalogue.alias import Alias
from zoo.catalogue.entry import ModelEntry
from zoo.catalogue.rollout import Rollout, Rule
from zoo.catalogue.store import Store
from zoo.errors import InvalidInput, ModelNotFound


@dataclass(frozen=True)
class Plan:
    """A canary with its weight in percent, a shadow, or both; and the rule."""

    canary: int | None = None
    weight: int | None = None
    shadow: int | None = None
    rule: Rule = Rule()


def start(store: Store, name: str, alias: str, plan: Plan) -> tuple[Alias, list[str]]:
    """Begin a rollout, or change the one that runs, in one step; returns the alias and what its owner should know.

    What was counted stays as long as the versions do. ``ModelNotFound`` names the version that is missing,
    ``InvalidInput`` what cannot go together.
    """
    _check(plan)
    warnings: list[str] = []

    def change(found: Alias) -> Alias:
        stable = store.entry(name, found.version)
        for param, version in (("canary", plan.canary), ("shadow", plan.shadow)):
            if version is not None:
                warnings.extend(concerns(stable, _whole(store, name, version, param), param))
        rollout = Rollout(
            id=uuid.uuid4().hex,
            canary=plan.canary,
            weight=plan.weight or 0,
            shadow=plan.shadow,
            rule=plan.rule,
            since=int(time.time()),
        )
        now = found.rollout
        if now is not None and (now.canary, now.shadow) == (plan.canary, plan.shadow):
            rollout = rollout.model_copy(update={"id": now.id, "since": now.since})
        return Alias(version=found.version, rollout=rollout, last=found.last)

    return store.change_alias(name, alias, change), list(dict.fromkeys(warnings))


def _check(plan: Plan) -> None:
    if plan.canary is None and plan.shadow is None:
        raise InvalidInput("A rollout needs a version as canary, as shadow, or one as each.", param="canary")
    if plan.canary is None and plan.weight is not None:
        raise InvalidInput("weight is the canary's share: name the canary too, or leave it out.", param="weight")
    if plan.canary is not None and plan.weight is None:
        raise InvalidInput("A canary needs a weight: 1 to 99 percent of the requests.", param="weight")


def _whole(store: Store, name: str, version: int, param: str) -> ModelEntry:
    there = store.versions(name)
    if version not in there:
        listed = ", ".join(map(str, there[-20:]))
        raise ModelNotFound(f"{name} has no version {version} for {param}; it has {listed}.", param=param)
    return store.entry(name, version)


def concerns(stable: ModelEntry, other: ModelEntry, param: str) -> list[str]:
    """What a caller should know before ``other`` answers beside ``stable``; ``InvalidInput`` if it cannot.

    ``param`` is the field that names ``other``.
    """
    if other.version == stable.version:
        message = f"{param} is {stable.reference}, which the alias means already: name another version."
        raise InvalidInput(message, param=param)
    if other.task != stable.task:
        message = f"{other.reference} answers {other.task}, and {stable.reference} {stable.task}: they cannot share an"
        raise InvalidInput(f"{message} alias.", code="wrong_task", param=param)
    found = []
    lost, new = set(stable.labels) - set(other.labels), set(other.labels) - set(stable.labels)
    if lost or new:
        counts = f"it lacks {len(lost)} and adds {len(new)}"
        found.append(f"{other.reference} has other labels than {stable.reference}: {counts}.")
    for name in sorted(stable.limits.keys() & other.limits.keys()):
        if other.limits[name] < stable.limits[name]:
            least = f"{name} is {other.limits[name]}, not {stable.limits[name]}"
            found.append(f"{other.reference} takes less than {stable.reference}: {least}.")
    return found
