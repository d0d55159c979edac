"""An alias: the version that it means, the rollout that runs on it, and how the last one ended. Pure changes of it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter

from zoo.catalogue.entry import is_name
from zoo.catalogue.rollout import Decision, Outcome, Rollout
from zoo.errors import Conflict, InvalidInput, NotFound


class Alias(BaseModel):
    """What an alias means. Without a rollout, running or ended, its file holds the bare number of ``version``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int
    rollout: Rollout | None = None
    last: Decision | None = None

    @property
    def running(self) -> Rollout:
        """The rollout; ``NotFound`` (``no_rollout``) if none runs."""
        if self.rollout is None:
            raise NotFound("No rollout runs on this alias: PUT one, or run `zoo rollout NAME`.", code="no_rollout")
        return self.rollout


_table: TypeAdapter[dict[str, int | Alias]] = TypeAdapter(dict[str, int | Alias])


def read_table(text: bytes) -> dict[str, Alias]:
    """The aliases of a name from the text of their file; ``ValueError`` if it is damaged."""
    found = _table.validate_json(text)
    return {name: alias if isinstance(alias, Alias) else Alias(version=alias) for name, alias in found.items()}


def table_text(table: Mapping[str, Alias]) -> str:
    """The text of the file: sorted, and plain numbers wherever they say all."""
    plain = {name: _plain(alias) for name, alias in sorted(table.items())}
    return json.dumps(plain, indent=1) + "\n"


def _plain(alias: Alias) -> object:
    if alias.rollout is None and alias.last is None:
        return alias.version
    return alias.model_dump(mode="json", exclude_none=True)


def check_alias(alias: str) -> None:
    """``InvalidInput`` (``invalid_id``) unless ``alias`` may be the name of one."""
    if not is_name(alias) or alias.isdigit():
        raise InvalidInput(
            "An alias is 1 to 64 characters of a-z, 0-9, '.', '_' and '-', not a number alone, e.g. live.",
            code="invalid_id",
            param="alias",
        )


def moved(alias: Alias | None, version: int) -> Alias:
    """The alias pointed to ``version``; that ends a rollout, whose stable version it no longer means."""
    if alias is None or alias.rollout is None:
        return Alias(version=version, last=alias.last if alias else None)
    left = closed(alias, "ended", f"The alias was set to version {version}.")
    return left.model_copy(update={"version": version})


def without(alias: Alias, version: int) -> Alias:
    """The alias after ``version``, which is another than its own, was deleted: a rollout that names it ends."""
    if alias.rollout is None or not alias.rollout.names(version):
        return alias
    return closed(alias, "ended", f"Version {version} was deleted.")


def promoted(alias: Alias, *, reason: str, figures: Mapping[str, Any]) -> Alias:
    """The alias pointed to its canary; ``NotFound`` (``no_rollout``), or ``Conflict`` if there is only a shadow."""
    canary = alias.running.canary
    if canary is None:
        message = "There is no canary to promote, only a shadow: set the alias to its version instead."
        raise Conflict(message, param="canary")
    return closed(alias, "promoted", reason, figures=figures).model_copy(update={"version": canary})


def closed(
    alias: Alias,
    outcome: Outcome,
    reason: str,
    *,
    by: Literal["rule", "request"] = "request",
    figures: Mapping[str, Any] | None = None,
) -> Alias:
    """The alias without its rollout, of which the decision stays; ``NotFound`` (``no_rollout``) if none runs."""
    decision = Decision(
        outcome=outcome,
        by=by,
        reason=reason,
        at=int(time.time()),
        stable=alias.version,
        rollout=alias.running,
        figures=dict(figures or {}),
    )
    return Alias(version=alias.version, last=decision)
