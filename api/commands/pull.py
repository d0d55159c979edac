"""`zoo pull`: bring a pre-trained model into the zoo, from the catalogue, a hub repository or a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from api.client import Json
from api.commands.answers import question
from api.commands.follow import follow_or_leave, product
from api.commands.session import Session, command
from zoo.errors import InvalidInput

app = typer.Typer()


@command(app)
def pull(
    session: Session,
    name: Annotated[str, typer.Argument(help="The model's name in the zoo (see `zoo models`).", show_default=False)],
    *,
    hub: Annotated[str | None, typer.Option(metavar="ID", help="Take it from this hub repository.")] = None,
    revision: Annotated[str | None, typer.Option(help="Commit, tag or branch of --hub.")] = None,
    folder: Annotated[Path | None, typer.Option(help="Take it from this folder of the service's machine.")] = None,
    task: Annotated[str | None, typer.Option(help="Its task; needed for a model that the catalogue lacks.")] = None,
    precision: Annotated[
        str | None, typer.Option(metavar="fp32|int8", help="Of the served weights; int8 takes less memory and time.")
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Queue it and return at once.")] = False,
) -> None:
    """Bring a pre-trained model into the zoo."""
    source = _source(hub, revision, folder)
    with session.client() as client:
        job = client.import_model(name, source=source, task=task, precision=precision)
        if detach:
            session.terminal.result(job, f"queued as {job.get('id')}; follow it with `zoo watch {job.get('id')}`")
            return
        job = follow_or_leave(client, str(job["id"]), session.terminal)
        model = product(job) or name
        asked = question(client.model(model))
    session.terminal.result(job, f"{model} is ready; try it with `zoo predict {model} {asked}`")


def _source(hub: str | None, revision: str | None, folder: Path | None) -> Json | None:
    if hub is not None and folder is not None:
        raise InvalidInput("give --hub or --folder, not both")
    if revision is not None and hub is None:
        raise InvalidInput("--revision belongs to --hub; give the repository too")
    if hub is not None:
        return {"kind": "hub", "id": hub} | ({"revision": revision} if revision else {})
    if folder is not None:
        return {"kind": "folder", "path": str(folder.expanduser().absolute())}
    return None
