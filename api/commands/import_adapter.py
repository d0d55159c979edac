"""`zoo import-adapter`: a version of an adapter that peft saved elsewhere, on a body that is here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from api.commands.answers import question
from api.commands.follow import follow_or_leave, product
from api.commands.session import Session, command
from api.commands.terminal import printable
from zoo.catalogue.entry import slug

app = typer.Typer()


@command(app)
def import_adapter(
    session: Session,
    folder: Annotated[Path, typer.Argument(help="What peft's save_pretrained wrote.", show_default=False)],
    *,
    model: Annotated[
        str, typer.Option(metavar="MODEL", help="The model that it was made for, e.g. minilm.", show_default=False)
    ],
    name: Annotated[str | None, typer.Option(help="Name of the version; that of the folder unless set.")] = None,
    task: Annotated[str | None, typer.Option(help="Its task, where the adapter names none.")] = None,
    labels: Annotated[
        str | None, typer.Option(metavar="A,B,…", help="Names of its classes in the order of its outputs.")
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Queue it and return at once.")] = False,
) -> None:
    """Make a version of an adapter that peft saved elsewhere."""
    folder = folder.expanduser().absolute()
    named = None if labels is None else [label.strip() for label in labels.split(",")]
    with session.client() as client:
        source = {"kind": "folder", "path": str(folder)}
        job = client.import_adapter(name or slug(folder.name), base=model, source=source, task=task, labels=named)
        if detach:
            session.terminal.result(job, f"queued as {job.get('id')}; follow it with `zoo watch {job.get('id')}`")
            return
        job = follow_or_leave(client, str(job["id"]), session.terminal)
        made = product(job) or str(job.get("model", ""))
        found = client.model(made)
    by = "its body" if found.get("served_by") == "body" else f"its own graph: {printable(found.get('why') or '')}"
    ready = f"{made} is ready, served by {by}; try it with `zoo predict {made} {question(found)}`"
    session.terminal.result(job, ready)
