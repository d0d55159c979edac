"""Which column plays which role: what the caller says, else known names, else what the values look like."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from adapters.datasets.formats import Row
from adapters.datasets.problems import fault
from adapters.datasets.schema import Role, Schema
from zoo.errors import InvalidInput

_LABEL_CHARACTERS = 64
_SHOWN_NAMES = 10
_NUMBER = re.compile(r"[-+]?\d+([.,]\d+)?")
_FILE_NAME = re.compile(r"\w\.[A-Za-z][A-Za-z0-9]{2,4}$")


@dataclass(frozen=True, slots=True)
class _Look:
    """What the sampled values of one column are like."""

    values: int
    distinct: int
    mean_length: float
    fractions: bool
    names: bool
    lists: bool
    numbers: bool
    measures: bool  # numbers, not all of them whole


def find_columns(
    schema: Schema, names: Sequence[str], sample: Sequence[Row], chosen: Mapping[str, str]
) -> dict[str, str]:
    """Role -> column. ``chosen`` (role -> column) wins.

    Raises ``InvalidInput`` (code unknown_column) for a wrong choice, ``DatasetFault`` if a role finds no column.
    """
    check_choice(schema, chosen)
    for column in chosen.values():
        if column not in names:
            message = f"The file has no such column as was chosen. It has: {listed(names)}."
            raise InvalidInput(message, code="unknown_column", param="columns")
    looks = {name: look for name in names if (look := _look(name, sample))}
    found = named_columns(schema, names, chosen, looks)
    _by_looks(schema, looks, found)
    for role in schema.roles:
        if role.needed and role.name not in found and not _stood_for(role, schema, found):
            example = '{"' + role.name + '": "<column>"}'
            raise fault(
                "column_not_found",
                f"No column for the {role.name} was found. The file has: {listed(names)}.",
                f"Name a column '{role.name}', or choose one with columns={example}.",
                line=sample[0].line if sample else 1,
            )
    return {role.name: found[role.name] for role in schema.roles if role.name in found}


def named_columns(
    schema: Schema,
    names: Sequence[str],
    chosen: Mapping[str, str] | None = None,
    looks: Mapping[str, _Look] | None = None,
) -> dict[str, str]:
    """Role -> column for the roles that a column is called like, beside those that are ``chosen``.

    Where roles stand for one another ``looks`` tell which of them a column plays.
    """
    found = dict(chosen or {})
    for matches in (_exact, _by_word):
        for role in schema.roles:
            if role.name in found or _stood_for(role, schema, found) or not (role.needed or matches is _exact):
                continue
            free = [name for name in names if name not in found.values()]
            if role.group and looks is not None:
                free = [name for name in free if _may_play(role, name, looks.get(name), schema)]
            match = matches(role, schema, free)
            if match is not None:
                found[role.name] = match
    return found


def _stood_for(role: Role, schema: Schema, found: Mapping[str, str]) -> bool:
    """Whether another role of the same group is played."""
    return any(other.name in found for other in _others(role, schema))


def _others(role: Role, schema: Schema) -> list[Role]:
    return [other for other in schema.roles if role.group and other.group == role.group and other is not role]


def _may_play(role: Role, name: str, look: _Look | None, schema: Schema) -> bool:
    """Whether a column with a known name holds what a role of a group needs, rather than another role of it."""
    if look is None:
        return role.needed
    if role.kind == "categories":
        return look.lists
    if role.kind == "number":
        shared = any(_plain(name) in other.names for other in _others(role, schema))
        return look.measures if shared else look.numbers
    numbers = any(other.kind == "number" for other in _others(role, schema))
    return not look.lists and not (look.measures and numbers)


def check_choice(schema: Schema, chosen: Mapping[str, str]) -> None:
    """Raise ``InvalidInput`` unless every chosen role exists and no column is chosen twice."""
    roles = [role.name for role in schema.roles]
    if any(role not in roles for role in chosen):
        raise InvalidInput(
            f"columns names a role that {schema.task} does not have; it has: {', '.join(roles)}.",
            code="unknown_column",
            param="columns",
        )
    groups = [role.group for role in schema.roles if role.name in chosen and role.group]
    if len(set(groups)) < len(groups):
        said = ", ".join(role.name for role in schema.roles if role.group)
        message = f"columns names two roles of which one is played; choose one of: {said}."
        raise InvalidInput(message, code="unknown_column", param="columns")
    if len(set(chosen.values())) < len(chosen):
        raise InvalidInput("columns names one column for two roles.", code="unknown_column", param="columns")


def looks_like_header(header: Sequence[str], sample: Sequence[Row], schema: Schema) -> bool:
    """False if the first line is data: a number, a sentence, or a value that its column holds again further down."""
    known = {name for role in schema.roles for name in role.names}
    if any(_plain(name) in known for name in header):
        return True
    for name in header:
        if _NUMBER.fullmatch(name) or len(name) > _LABEL_CHARACTERS or len(name.split()) > 6:
            return False
        if any(row.values.get(name) == name for row in sample):
            return False
    return True


def listed(names: Sequence[str]) -> str:
    """Column names for a message: ten at most, shortened, printable."""
    shown = [
        "'" + "".join(ch for ch in name[:40] if ch.isprintable()) + ("…" if len(name) > 40 else "") + "'"
        for name in names[:_SHOWN_NAMES]
    ]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "") if shown else "no columns"


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", "_", name.strip().casefold())


def _exact(role: Role, schema: Schema, free: Sequence[str]) -> str | None:
    plain = {_plain(name): name for name in reversed(free)}
    return next((plain[known] for known in role.names if known in plain), None)


def _by_word(role: Role, schema: Schema, free: Sequence[str]) -> str | None:
    """A name such as ``tweet_text`` that holds a known word of this role and of no other, if it is the only such."""
    others = {known for other in schema.roles if other is not role for known in other.names}
    fitting = [
        name for name in free if (words := set(_plain(name).split("_"))) & set(role.names) and not words & others
    ]
    return fitting[0] if len(fitting) == 1 else None


def _by_looks(schema: Schema, looks: Mapping[str, _Look], found: dict[str, str]) -> None:
    """Text: the longest values. File: values that end like names of files. Marks: lists. Category: few short values
    that repeat."""
    looks = {name: look for name, look in looks.items() if name not in found.values()}
    for role in sorted(schema.roles, key=lambda role: role.kind == "category"):
        if role.name in found or not looks or not role.needed or _stood_for(role, schema, found):
            continue
        fits, rank = _RULES[role.kind]
        fitting = {name: look for name, look in looks.items() if fits(look)}
        if fitting:
            found[role.name] = (
                next(iter(fitting)) if schema.in_order else max(fitting, key=lambda name: rank(fitting[name]))
            )
            del looks[found[role.name]]


def _look(name: str, sample: Sequence[Row]) -> _Look | None:
    found = [value for row in sample if (value := row.values.get(name)) not in (None, "")]
    if not found:
        return None
    values = [str(value).strip() for value in found]
    numbers = all(_NUMBER.fullmatch(value) for value in values)
    return _Look(
        values=len(values),
        distinct=len(set(values)),
        mean_length=sum(map(len, values)) / len(values),
        fractions=all(re.fullmatch(r"[-+]?\d*[.,]\d+", value) for value in values),
        names=all(_FILE_NAME.search(value) for value in values),
        lists=all(isinstance(value, list) or str(value).startswith("[") for value in found),
        numbers=numbers,
        measures=numbers and any(float(value.replace(",", ".")) % 1 for value in values),
    )


def _fits_text(look: _Look) -> bool:
    return look.mean_length >= 2 and not look.fractions


def _fits_category(look: _Look) -> bool:
    repeated = look.distinct <= max(2, look.values // 2)
    return look.mean_length <= _LABEL_CHARACTERS and repeated and not look.fractions


def _fits_file(look: _Look) -> bool:
    return look.names


def _fits_marks(look: _Look) -> bool:
    return look.lists


def _rank_text(look: _Look) -> float:
    return look.mean_length


def _rank_category(look: _Look) -> float:
    # one value only tells nothing (a constant column, or a file sorted by class); else the fewer the better
    return -look.distinct if look.distinct > 1 else -1e9


_RULES: dict[str, tuple[Callable[[_Look], bool], Callable[[_Look], float]]] = {
    "text": (_fits_text, _rank_text),
    "answer": (_fits_text, _rank_text),
    "file": (_fits_file, _rank_text),
    "marks": (_fits_marks, _rank_text),
    "category": (_fits_category, _rank_category),
}
