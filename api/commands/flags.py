"""Command-line options made from a pydantic model's fields, so that flags, defaults and help cannot drift from them."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

KEYWORD = inspect.Parameter.KEYWORD_ONLY


def options(
    model: type[BaseModel],
    names: Iterable[str] | None = None,
    *,
    env_prefix: str = "",
    aliases: Mapping[str, str] | None = None,
    panel: str | None = None,
) -> list[inspect.Parameter]:
    """One optional option per field (all, or ``names``), None unless given; values stay text for the model to judge."""
    chosen = list(model.model_fields) if names is None else list(names)
    made = []
    for name in chosen:
        option = _option(name, model.model_fields[name], env_prefix, (aliases or {}).get(name))
        option.default.rich_help_panel = panel
        made.append(option)
    return made


def given(values: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """Of a command's arguments those that are fields of ``model`` and were given."""
    return {name: value for name, value in values.items() if name in model.model_fields and value is not None}


def flag(name: str) -> str:
    """The option of a field: ``redis_url`` -> ``--redis-url``."""
    return "--" + name.replace("_", "-")


def _option(name: str, field: FieldInfo, env_prefix: str, alias: str | None) -> inspect.Parameter:
    spellings = [flag(name), *([alias] if alias else [])]
    kind: Any = str | None
    metavar: str | None = _metavar(field)
    if field.annotation is bool:
        spellings, kind, metavar = [f"{flag(name)}/--no-{flag(name)[2:]}"], bool | None, None
    option = typer.Option(None, *spellings, help=_help(name, field, env_prefix), metavar=metavar, show_default=False)
    return inspect.Parameter(name, KEYWORD, default=option, annotation=kind)


def _metavar(field: FieldInfo) -> str:
    kinds = str(field.annotation)
    for kind, shown in (("int", "INTEGER"), ("float", "NUMBER"), ("Path", "PATH"), ("tuple", "A,B,…")):
        if kind in kinds:
            return shown
    return "TEXT"


def _help(name: str, field: FieldInfo, env_prefix: str) -> str:
    text = field.description or name.removeprefix("n_").replace("_", " ").capitalize().replace("Lora", "LoRA") + "."
    notes = [f"default {_default(field)}", *_bounds(field)]
    if env_prefix:
        notes.append(env_prefix + name.upper())
    return f"{text} ({', '.join(notes)})"


def _default(field: FieldInfo) -> str:
    value = field.default
    if isinstance(value, Path) and value.is_relative_to(Path.home()):
        return f"~/{value.relative_to(Path.home())}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if value != "" else "empty"


def _bounds(field: FieldInfo) -> list[str]:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    found = [(sign, getattr(rule, name, None)) for rule in field.metadata for name, sign in signs.items()]
    return [f"{sign} {bound:g}" for sign, bound in found if bound is not None]
