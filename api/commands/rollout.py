"""`zoo rollout`: a canary and a shadow beside the version that an alias means, and what is measured of them."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import RenderableType
from rich.text import Text

from api.client import Json
from api.commands.flags import flag, given, options
from api.commands.session import Session, command
from api.commands.terminal import facts, figure, printable, table
from zoo.catalogue.rollout import Rule
from zoo.errors import InvalidInput

app = typer.Typer()
SIDES = ("stable", "canary", "shadow")
WORDS = {"promoted": "promoted", "rolled_back": "rolled back", "ended": "ended"}


@command(app, extra=options(Rule, panel="When it is rolled back without being asked to"))
def rollout(
    session: Session,
    name: Annotated[str, typer.Argument(help="The model's name.", show_default=False)],
    alias: Annotated[str, typer.Argument(help="The alias.")] = "live",
    *,
    canary: Annotated[int | None, typer.Option(min=1, help="Version that answers a part of the requests.")] = None,
    weight: Annotated[int | None, typer.Option(min=1, max=99, help="That part, in percent.")] = None,
    shadow: Annotated[int | None, typer.Option(min=1, help="Version that gets copies of the requests.")] = None,
    promote: Annotated[bool, typer.Option("--promote", help="Let the alias mean its canary.")] = False,
    back: Annotated[bool, typer.Option("--back", help="End it: the stable version answers everything.")] = False,
    **rule: Any,
) -> None:
    """Let a new version answer a part of an alias's requests, or copies of them.

    Without options it shows how the rollout stands, or how the last one ended.
    """
    body = _body({"canary": canary, "weight": weight, "shadow": shadow}, _checked(rule))
    if sum((promote, back, bool(body))) > 1:
        raise InvalidInput("--promote, --back and a new canary or shadow exclude each other: give one of them")
    with session.client() as client:
        if promote:
            found = client.promote(name, alias)
        elif back:
            found = client.roll_back(name, alias)
        elif body:
            found = client.set_rollout(name, alias, body)
        else:
            found = client.rollout(name, alias)
    for warning in found.get("warnings") or []:
        session.terminal.note(f"note: {warning}", style="yellow")
    session.terminal.result(found, *_view(found))


def _body(versions: Json, rule: Json) -> Json:
    body = {key: value for key, value in versions.items() if value is not None}
    if rule and not body:
        raise InvalidInput("a rule belongs to a rollout: give --canary and --weight, or --shadow, too")
    return body | ({"rule": rule} if rule else {})


def _checked(values: dict[str, Any]) -> Json:
    try:
        return Rule.model_validate(given(values, Rule), strict=False).model_dump(mode="json", exclude_unset=True)
    except ValidationError as error:
        fault = error.errors()[0]
        name = str(fault["loc"][0])
        raise InvalidInput(f"{flag(name)}: {fault['msg']}", param=name) from error


def _view(found: Json) -> list[RenderableType]:
    name, sides = f"{found.get('model')}@{found.get('alias')}", found.get("sides") or {}
    shown: list[RenderableType] = [
        facts(
            [
                ("rollout", Text(printable(name), style="bold")),
                ("status", _status(found)),
                ("canary", _canary(found)),
                ("shadow", f"version {found['shadow']}" if found.get("shadow") else ""),
                ("rule", _rule(found.get("rule") or {})),
                ("would be rolled back", found.get("verdict") if found.get("status") == "running" else ""),
            ]
        )
    ]
    numbers = ("requests", "errors", "error rate", "median", "p95", "agreement", "not mirrored")
    listed = table("side", "version", *numbers, numbers=("version", *numbers))
    for side in SIDES:
        if side in sides:
            listed.add_row(side, *_cells(sides[side]))
    return [*shown, "", listed] if sides else shown


def _status(found: Json) -> str:
    last = found.get("last") or {}
    if found.get("status") == "running" or not last:
        return f"running, version {found.get('version')} is the stable one"
    how = "by the rule" if last.get("by") == "rule" else "by hand"
    outcome = WORDS.get(str(last.get("outcome")), "ended")
    return f"{outcome} {how}; the alias is version {found.get('version')}. {last.get('reason')}"


def _canary(found: Json) -> str:
    return f"version {found['canary']} for {found.get('weight')} % of the requests" if found.get("canary") else ""


def _rule(rule: Json) -> str:
    if not rule.get("automatic", True):
        return "none: it is never rolled back by itself"
    return (
        f"after {rule.get('min_requests')} requests: at most {rule.get('max_error_points')} points more errors,"
        f" {rule.get('max_latency_ratio')} times the p95 latency, at least {rule.get('min_agreement')} agreement"
    )


def _cells(side: Json) -> list[str]:
    percent = "{:.1%}".format
    return [
        str(side.get("version", "")),
        str(side.get("requests", 0)),
        str(side.get("errors", 0)),
        figure(side.get("error_rate"), percent),
        figure(side.get("latency_ms_median"), "{:.1f} ms".format),
        figure(side.get("latency_ms_p95"), "{:.1f} ms".format),
        figure(side.get("agreement"), percent),
        str(side["dropped"]) if "dropped" in side else "",
    ]
