"""`zoo models`, `zoo show`, `zoo alias`, `zoo delete`: what exists, and which version a name means."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from api.client import Json, reference
from api.commands.metrics import comparison, parity, per_class
from api.commands.session import Session, command
from api.commands.terminal import facts, printable, size, table
from zoo.errors import InvalidInput

app = typer.Typer()
STYLES = {"ready": "green", "importing": "yellow", "failed": "red", "available": "dim"}

Model = Annotated[str, typer.Argument(metavar="MODEL", help="name, name@version or name@alias", show_default=False)]


@command(app)
def models(
    session: Session,
    *,
    task: Annotated[str | None, typer.Option(help="Only this task, e.g. text-classification.")] = None,
    modality: Annotated[str | None, typer.Option(help="Only text, image or audio.")] = None,
    search: Annotated[str | None, typer.Option(metavar="WORDS", help="Only models that match these words.")] = None,
) -> None:
    """List the models that are here or can be had."""
    with session.client() as client:
        found = client.models(task=task, modality=modality, q=search)
    listed = table("model", "status", "task", "versions", "aliases", "base", "licence")
    for model in sorted(found, key=lambda one: one.get("status") != "ready"):
        status = str(model.get("status", ""))
        cells = [_versions(model), _aliases(model), model.get("base") or "", model.get("licence") or ""]
        listed.add_row(
            printable(model.get("id", "")),
            Text(printable(status), style=STYLES.get(status, "")),
            printable(model.get("task", "")),
            *map(printable, cells),
        )
    session.terminal.result(found, listed if found else "no model matches")
    if any(model.get("status") == "available" for model in found):
        session.terminal.note("get one that is available with `zoo pull NAME`", style="dim")


@command(app)
def show(session: Session, model: Model) -> None:
    """Show all that is known about a model: labels, metrics, parity, lineage, files."""
    with session.client() as client:
        found = client.model(model)
    session.terminal.result(found, *_details(found))


@command(app)
def alias(
    session: Session,
    name: Annotated[str, typer.Argument(help="The model's name.", show_default=False)],
    alias: Annotated[str, typer.Argument(help="The alias, e.g. live.", show_default=False)],
    version: Annotated[int, typer.Argument(min=1, help="The version that it shall mean.", show_default=False)],
) -> None:
    """Let an alias of a model mean a version, such as `live`."""
    with session.client() as client:
        answer = client.set_alias(name, alias, version)
    session.terminal.result(answer, f"{printable(name)}@{printable(alias)} is now {printable(name)}@{version}")


@command(app)
def delete(
    session: Session,
    model: Model,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove a version of a model, or all of them."""
    what = model if "@" in model else f"every version of {model}"
    if not yes:
        if session.terminal.json or not session.terminal.err.is_terminal:
            raise InvalidInput(f"this removes {what} for good; add --yes to do it without being asked")
        typer.confirm(f"Remove {what} for good?", abort=True, err=True)
    with session.client() as client:
        answer = client.delete_model(model)
    session.terminal.result(answer, f"removed {printable(what)}")


def _details(model: Json) -> list[RenderableType]:
    labels = [printable(label) for label in model.get("labels") or []]
    shown: list[RenderableType] = [
        facts(
            [
                ("model", Text(printable(reference(model)), style="bold")),
                ("title", model.get("title")),
                ("status", model.get("status")),
                ("task", model.get("task")),
                ("base", model.get("base")),
                ("licence", model.get("licence")),
                ("precision", model.get("precision")),
                ("versions", _versions(model)),
                ("aliases", _aliases(model)),
                (
                    "labels",
                    f"{len(labels)}: {', '.join(labels[:20])}{' …' if len(labels) > 20 else ''}" if labels else "",
                ),
                ("limits", _pairs(model.get("limits"))),
                ("served by", _way(model)),
                ("parity", parity(model)),
                ("lineage", _pairs(model.get("lineage"))),
            ]
        )
    ]
    for made in (comparison(model), per_class(model), _files(model)):
        shown += ["", made] if made is not None else []
    return shown


def _way(model: Json) -> str:
    """The body, or a graph of the version's own with the reason for it."""
    names = {"body": "its body", "merged": f"its own graph: {model.get('why') or ''}"}
    return names.get(str(model.get("served_by")), "")


def _files(model: Json) -> RenderableType | None:
    files = model.get("files") or []
    if not files:
        return None
    listed = table("file", "size", "sha256", numbers=("size",))
    for file in files:
        listed.add_row(
            printable(file.get("path", "")), size(file.get("size") or 0), str(file.get("sha256", ""))[:16] + "…"
        )
    return listed


def _versions(model: Json) -> str:
    return ", ".join(str(version) for version in model.get("versions") or [])


def _aliases(model: Json) -> str:
    aliases = model.get("aliases") or {}
    return ", ".join(f"{name} → {version}" for name, version in aliases.items()) if isinstance(aliases, dict) else ""


def _pairs(values: object) -> str:
    if not isinstance(values, dict):
        return ""
    return "\n".join(f"{key}: {value}" for key, value in values.items() if value not in (None, "", {}, []))
