"""What data a task needs: one ``Schema`` per task, in ``schemas/<task>.py``, found by the task's name or a layout."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Literal

from adapters.datasets import schemas
from adapters.datasets.example import Example
from adapters.datasets.formats import Row
from adapters.datasets.pairs import Watch
from adapters.datasets.problems import DatasetFault, Problem, fault
from zoo.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Role:
    """A part that a column plays; ``names`` are the column names that are known to play it, the best first.

    An ``answer`` is a text that is to be written. A role that is not ``needed`` is played only by a column with such a
    name, or by one that is chosen. Of roles of the same ``group`` exactly one is played.
    """

    name: str
    kind: Literal["text", "answer", "category", "categories", "number", "file", "marks"]
    names: tuple[str, ...]
    needed: bool = True
    group: str = ""


Annotation = Literal["label", "boxes", "mask", "transcript"]
ReadRow = Callable[[Row, Mapping[str, str]], Example | Problem]
"""A row and its columns (role -> column) to an example, or why it gives none."""


@dataclass(frozen=True, slots=True)
class Schema:
    """The roles of a task's columns, and the layouts of a zip that it learns from, if it does.

    ``read`` makes examples of rows that hold more than a text for each role; ``beside`` are columns that it reads too.
    ``fault`` what is wrong with values (role -> text) that are each right: code, what it is, and the way to mend it.
    ``medium`` is the role of the files in such a zip, ``image`` or ``audio``; ``annotation`` what each of them carries;
    ``needs`` says in words what to send. ``recognises`` tells from some rows whether a table, for which no task was
    named, is for this one; ``in_order``: columns that no name tells play the roles in the order of the file. ``watch``
    sees what is wrong with a row as a whole.
    """

    task: str
    roles: tuple[Role, ...]
    needs: str
    layouts: tuple[str, ...] = ()
    medium: Literal["image", "audio"] | None = None
    annotation: Annotation | None = None
    read: ReadRow | None = None
    beside: tuple[str, ...] = ()
    recognises: Callable[[Sequence[Row]], bool] | None = None
    in_order: bool = False
    watch: type[Watch] | None = None
    fault: Callable[[Mapping[str, str]], tuple[str, str, str] | None] | None = None

    @property
    def texts(self) -> tuple[Role, ...]:
        """The roles that hold free text to be read."""
        return tuple(role for role in self.roles if role.kind == "text")

    @property
    def answers(self) -> tuple[Role, ...]:
        """The roles that hold free text to be written."""
        return tuple(role for role in self.roles if role.kind == "answer")


def schema_for(task: str) -> Schema:
    """The schema of a task such as ``text-classification``; raises ``InvalidInput`` naming the tasks that have one."""
    known = _known()
    if task not in known:
        raise InvalidInput(
            f"There is no data format for this task; there is one for: {', '.join(sorted(known))}.",
            code="unknown_task",
            param="task",
        )
    return _load(known[task])


def schema_of_layout(layout: str, medium: str) -> Schema:
    """The schema of the task that learns from a layout of a zip, such as ``folders``, of files of a medium."""
    return next(schema for schema in media_schemas(medium) if layout in schema.layouts)


def media_schemas(medium: str) -> tuple[Schema, ...]:
    """Those of all tasks that learn from zips of a medium, in the order of their names."""
    return tuple(schema for _, module in sorted(_known().items()) if (schema := _load(module)).medium == medium)


def schema_of_table(sample: Sequence[Row], default: str) -> Schema:
    """The schema of the first task that recognises rows for which none is named, or that of ``default``."""
    schemas_ = (_load(module) for _, module in sorted(_known().items()))
    return next((one for one in schemas_ if one.recognises and one.recognises(sample)), None) or schema_for(default)


def mismatch(schema: Schema, holds: str) -> DatasetFault:
    """The fault of a file that holds something else than what the task asked for learns from."""
    return fault(
        "task_mismatch",
        f"The file holds {holds}; {schema.task} learns from {schema.needs}.",
        "Leave the task out to have it follow from the data, or send data of that form.",
    )


def _known() -> dict[str, str]:
    return {module.name.replace("_", "-"): module.name for module in pkgutil.iter_modules(schemas.__path__)}


def _load(module: str) -> Schema:
    schema = import_module(f"{schemas.__name__}.{module}").SCHEMA
    assert isinstance(schema, Schema)
    return schema
