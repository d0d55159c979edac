"""What columns a task needs: one ``Schema`` per task, in ``schemas/<task>.py``, found by the task's name."""

from __future__ import annotations

import pkgutil
from dataclasses import dataclass
from importlib import import_module
from typing import Literal

from adapters.datasets import schemas
from zoo.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Role:
    """A part that a column plays; ``names`` are the column names that are known to play it, the best first."""

    name: str
    kind: Literal["text", "category"]
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Schema:
    """The roles of a task's columns; all of them are needed."""

    task: str
    roles: tuple[Role, ...]

    @property
    def texts(self) -> tuple[Role, ...]:
        """The roles that hold free text."""
        return tuple(role for role in self.roles if role.kind == "text")

    @property
    def category(self) -> Role | None:
        """The role that holds the class, if the task has one."""
        return next((role for role in self.roles if role.kind == "category"), None)


def schema_for(task: str) -> Schema:
    """The schema of a task such as ``text-classification``; raises ``InvalidInput`` naming the tasks that have one."""
    known = {module.name.replace("_", "-"): module.name for module in pkgutil.iter_modules(schemas.__path__)}
    if task not in known:
        raise InvalidInput(
            f"There is no data format for this task; there is one for: {', '.join(sorted(known))}.",
            code="unknown_task",
            param="task",
        )
    schema = import_module(f"{schemas.__name__}.{known[task]}").SCHEMA
    assert isinstance(schema, Schema)
    return schema
