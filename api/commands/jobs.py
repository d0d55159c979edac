"""`zoo jobs`, `zoo watch`, `zoo cancel`, `zoo retry`: what runs, how far it is, and ending it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from api.client import Json
from api.commands.adapt import outcome
from api.commands.follow import View, follow_or_leave, product
from api.commands.session import Session, command
from api.commands.terminal import duration, printable, table

app = typer.Typer()

JobId = Annotated[str, typer.Argument(metavar="JOB", help="The job's id (see `zoo jobs`).", show_default=False)]


@command(app)
def jobs(
    session: Session, *, limit: Annotated[int, typer.Option(min=1, max=100, help="Show at most so many.")] = 20
) -> None:
    """List the adaptation jobs, newest first."""
    with session.client() as client:
        page = client.jobs(limit=limit)
    listed = table("job", "status", "model", "result", "created", "took", "progress")
    for job in page.get("data", []):
        listed.add_row(*map(printable, _row(job)))
    session.terminal.result(
        page, listed if page.get("data") else "no jobs yet; start one with `zoo adapt MODEL FILE --name NAME`"
    )
    if page.get("has_more"):
        session.terminal.note("there are older ones; --limit shows more", style="dim")


@command(app)
def watch(session: Session, job: JobId) -> None:
    """Follow a job until it ends."""
    with session.client() as client:
        ended = follow_or_leave(client, job, session.terminal)
        model = product(ended)
        found = client.model(model) if model else None
    session.terminal.result(ended, *outcome(ended, found))


@command(app)
def cancel(session: Session, job: JobId) -> None:
    """Ask a job to end."""
    with session.client() as client:
        answer = client.cancel(job)
    done = answer.get("status") == "cancelled"
    session.terminal.result(
        answer, f"{printable(job)} is cancelled" if done else f"{printable(job)} will end in a moment"
    )


@command(app)
def retry(
    session: Session,
    job: JobId,
    *,
    detach: Annotated[bool, typer.Option("--detach", help="Queue it and return at once.")] = False,
) -> None:
    """Queue a failed or cancelled job once more."""
    with session.client() as client:
        queued = client.retry(job)
        if detach:
            session.terminal.result(queued, f"queued as {queued.get('id')}")
            return
        ended = follow_or_leave(client, str(queued["id"]), session.terminal)
        model = product(ended)
        found = client.model(model) if model else None
    session.terminal.result(ended, *outcome(ended, found))


def _row(job: Json) -> list[str]:
    created, finished = job.get("created_at"), job.get("finished_at")
    when = datetime.fromtimestamp(float(created)).strftime("%Y-%m-%d %H:%M") if created else ""
    took = duration(float(finished) - float(created)) if created and finished else ""
    error = job.get("error") or {}
    running = View.of(job).line() if job.get("status") == "running" else str(error.get("message") or "")
    return [
        str(job.get("id", "")),
        str(job.get("status", "")),
        str(job.get("model", "")),
        product(job),
        when,
        took,
        running,
    ]
