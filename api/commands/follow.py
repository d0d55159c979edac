"""Following a job to its end: a live bar on a terminal, a plain line now and then elsewhere, and patience."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from api.client import Client, Json
from api.commands.exit_codes import ExitCode, JobFailed
from api.commands.terminal import Terminal, duration, printable
from api.service_errors import NoService, ServiceError

TERMINAL_STATES = ("succeeded", "failed", "cancelled")
POLL_SECONDS = 0.5
PLAIN_SECONDS = 3.0  # at most one plain line in so many seconds
PATIENCE_SECONDS = 60.0  # a service that restarts is back before


@dataclass(frozen=True)
class View:
    """What a job's progress looks like in words and numbers."""

    stage: str
    step: int
    total: int
    eta: str
    figures: str

    @classmethod
    def of(cls, job: Json) -> View:
        """Read a job object; a job that nobody runs yet has its status as stage."""
        progress = job.get("progress") or {}
        status = str(job.get("status", ""))
        stage = str(progress.get("stage") or "") if status == "running" else status.replace("_", " ")
        eta = progress.get("eta_seconds")
        metrics = progress.get("metrics") or {}
        figures = "  ".join(f"{name} {value:.3g}" for name, value in metrics.items() if isinstance(value, int | float))
        return cls(
            stage=printable(stage or status),
            step=int(progress.get("step") or 0) if status == "running" else 0,
            total=int(progress.get("total") or 0) if status == "running" else 0,
            eta=f"about {_rounded(float(eta))} left" if eta is not None and status == "running" else "",
            figures=printable(figures) if status == "running" else "",
        )

    def line(self) -> str:
        """The view in one line of text."""
        steps = f"{self.step}/{self.total}" if self.total else ""
        return "  ".join(part for part in (self.stage, steps, self.figures, self.eta) if part)


def _rounded(seconds: float) -> str:
    return f"{round(seconds)} s" if seconds < 60 else duration(seconds)


class Display(Protocol):
    """Where a job's progress is shown."""

    def show(self, view: View) -> None:
        """Show the newest state."""

    def say(self, text: str) -> None:
        """Show a remark of its own."""


class LiveBar:
    """A bar on a terminal, redrawn in place."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=None, steps="", note="")

    def show(self, view: View) -> None:
        """Move the bar; a stage without known length pulses."""
        steps = f"{view.step}/{view.total}" if view.total else ""
        note = "  ".join(part for part in (view.figures, view.eta) if part)
        total = view.total or None
        self._progress.update(
            self._task, description=view.stage, completed=view.step, total=total, steps=steps, note=note
        )

    def say(self, text: str) -> None:
        """Print above the bar."""
        self._progress.console.print(text)


class PlainLines:
    """Lines for a log: only when something changed, and seldom."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last = ""
        self._next = 0.0

    def show(self, view: View) -> None:
        """Print a line if it says something new and the last one is old enough."""
        line, now = view.line(), time.monotonic()
        if line != self._last and now >= self._next:
            self._console.print(f"  {line}", soft_wrap=True)
            self._last, self._next = line, now + PLAIN_SECONDS

    def say(self, text: str) -> None:
        """Print at once."""
        self._console.print(f"  {text}", soft_wrap=True)


@contextmanager
def display(console: Console) -> Iterator[Display]:
    """The display that fits the stream: live on a terminal, plain lines elsewhere."""
    if not console.is_terminal:
        yield PlainLines(console)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=28),
        TextColumn("{task.fields[steps]}", markup=False),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}", style="dim", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield LiveBar(progress)


def follow(client: Client, job_id: str, console: Console) -> Json:
    """Show a job's progress until it ends and return it as it ended; waits for a service that is away for a while."""
    with display(console) as shown:
        silent_since: float | None = None
        while True:
            try:
                job = client.job(job_id)
            except (NoService, ServiceError) as error:
                silent_since = _waited(error, silent_since, shown)
            else:
                silent_since = None
                if job.get("status") in TERMINAL_STATES:
                    return job
                shown.show(View.of(job))
            time.sleep(POLL_SECONDS)


def _waited(error: NoService | ServiceError, since: float | None, shown: Display) -> float:
    """When the silence began; raises ``error`` once it lasted too long or cannot pass."""
    if isinstance(error, ServiceError) and error.status < 500 and error.status not in (408, 429):
        raise error
    now = time.monotonic()
    if since is None:
        shown.say("the service does not answer; waiting for it")
        return now
    if now - since > PATIENCE_SECONDS:
        raise error
    return since


def follow_or_leave(client: Client, job_id: str, terminal: Terminal) -> Json:
    """``follow`` for a command: Ctrl-C leaves the job running and says so; ``JobFailed`` for one without success."""
    try:
        job = follow(client, job_id, terminal.err)
    except KeyboardInterrupt as error:
        terminal.note(f"job {job_id} goes on; `zoo watch {job_id}` follows it, `zoo cancel {job_id}` ends it")
        if terminal.json:
            terminal.result({"id": job_id, "status": "running", "detached": True})
        raise typer.Exit(ExitCode.INTERRUPTED) from error
    return succeeded(job)


def succeeded(job: Json) -> Json:
    """The job if it succeeded; else ``JobFailed`` with the reason that the job gives."""
    if job.get("status") == "succeeded":
        return job
    error = job.get("error") or {}
    reason = error.get("message") or f"it was {job.get('status')}"
    code = error.get("code") or str(job.get("status"))
    raise JobFailed(f"job {job.get('id')} did not succeed: {reason}", code=code)


def product(job: Json) -> str:
    """The model that a job published, e.g. ``tickets@1``; empty if none."""
    result = job.get("result") or {}
    return str(job.get("fine_tuned_model") or result.get("fine_tuned_model") or result.get("model") or "")
