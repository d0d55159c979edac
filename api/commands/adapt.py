"""`zoo adapt`: from a data file to a model of one's own, followed to the end."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import RenderableType

from adapters.jobs import Hyperparameters
from api.client import Client, Json
from api.commands.answers import question
from api.commands.files import upload_checked
from api.commands.flags import flag, given, options
from api.commands.follow import follow_or_leave, product
from api.commands.metrics import comparison, parity
from api.commands.session import Session, command
from api.commands.terminal import printable
from zoo.errors import InvalidInput

app = typer.Typer()
ALIASES = {"n_epochs": "--epochs", "lora_rank": "--rank", "lora_alpha": "--alpha", "lora_dropout": "--dropout"}


@command(
    app, extra=options(Hyperparameters, aliases=ALIASES, panel="Training (each is chosen from the data unless given)")
)
def adapt(
    session: Session,
    model: Annotated[
        str,
        typer.Argument(help="The model to start from, e.g. minilm, or effnet-lite0 for pictures.", show_default=False),
    ],
    file: Annotated[
        str,
        typer.Argument(
            help="A CSV, JSONL or Parquet file; pictures or audio: a zip or their folder; or the id of an upload.",
            show_default=False,
        ),
    ],
    *,
    name: Annotated[str, typer.Option("--name", help="Name to publish the adapted model under.", show_default=False)],
    task: Annotated[str | None, typer.Option(help="What to learn; default: what the data show.")] = None,
    columns: Annotated[
        str | None, typer.Option(metavar="ROLE=COLUMN,…", help="Which column is what, e.g. text=body,label=intent.")
    ] = None,
    validation: Annotated[str | None, typer.Option(help="A file, or an upload's id, to evaluate on.")] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of split and training; default: the service picks.")
    ] = None,
    precision: Annotated[
        str | None, typer.Option(help="int8: weights of 8 bits, if held-out rows bear it and they are faster.")
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Queue it and return at once.")] = False,
    **hyperparameters: Any,
) -> None:
    """Adapt a model to your data."""
    body: Json = {"model": model, "suffix": name}
    optional = {"task": task, "columns": _columns(columns), "seed": seed, "precision": precision}
    optional["hyperparameters"] = _checked(hyperparameters)
    body |= {key: value for key, value in optional.items() if value not in (None, {})}
    with session.client() as client:
        body["training_file"] = _file_id(session, client, file)
        if validation is not None:
            body["validation_file"] = _file_id(session, client, validation)
        job = client.create_job(body)
        session.terminal.note(f"job {job.get('id')} is queued")
        if detach:
            session.terminal.result(job, f"follow it with `zoo watch {job.get('id')}`")
            return
        ended = follow_or_leave(client, str(job["id"]), session.terminal)
        found = client.model(product(ended))
    session.terminal.result(ended, *outcome(ended, found))


def outcome(job: Json, model: Json | None) -> list[RenderableType]:
    """What a finished job brought: the model's name, its figures before and after, and what to do next."""
    name = product(job)
    shown: list[RenderableType] = [f"{printable(name)} is ready" if name else f"job {job.get('id')} succeeded"]
    compared = comparison(model) if model is not None else None
    if compared is not None:
        shown += ["", compared]
    measured = parity(model) if model is not None else ""
    if measured:
        shown += ["", f"served model against the trained one: {measured}"]
    if name:
        shown += ["", f"try it:  zoo predict {printable(name)} {question(model or {})}"]
    return shown


def _file_id(session: Session, client: Client, file: str) -> str:
    path = Path(file).expanduser()
    if file.startswith("file-") and not path.exists():
        return file
    return str(upload_checked(session, client, path)["id"])


def _checked(values: dict[str, Any]) -> dict[str, Any]:
    """The hyperparameters that were given, as the service takes them; the first bad one is named."""
    values = given(values, Hyperparameters)
    if (modules := values.get("target_modules")) not in (None, "auto"):
        values["target_modules"] = [part.strip() for part in modules.split(",")]
    try:
        return Hyperparameters(**values).model_dump(mode="json", exclude_unset=True)
    except ValidationError as error:
        faults = [fault for fault in error.errors() if fault["type"] != "literal_error"] or error.errors()
        name = str(faults[0]["loc"][0])
        raise InvalidInput(f"{flag(name)}: {faults[0]['msg']}, or auto", param=name) from error


def _columns(text: str | None) -> dict[str, str] | None:
    if text is None:
        return None
    pairs = [part.partition("=") for part in text.split(",")]
    if not all(role.strip() and sign and column.strip() for role, sign, column in pairs):
        raise InvalidInput("--columns is a list of ROLE=COLUMN, such as text=body,label=intent", param="columns")
    return {role.strip(): column.strip() for role, _, column in pairs}
