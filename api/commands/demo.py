"""`zoo demo`: everything once, told as it goes: a pre-trained model serves, data become a model, that serves too."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from importlib import import_module
from typing import Annotated, Any

import typer
from rich.console import Console

from api.commands.demo_run import DemoRun
from api.commands.demo_service import DemoService
from api.commands.demo_summary import Measured, next_steps, summary
from api.commands.session import Session, command
from api.commands.terminal import printable
from zoo.errors import ZooError

app = typer.Typer()


class Kind(StrEnum):
    """The demos; each is a module that checks, tells its story and says how to go on."""

    TEXT = "text"
    VISION = "vision"
    SPEECH = "speech"
    TRANSLATION = "translation"


@command(app, settings=("home",))
def demo(
    session: Session,
    kind: Annotated[
        Kind, typer.Argument(help="Support tickets; road signs; spoken notes; a house's wording.")
    ] = Kind.TEXT,
) -> None:
    """Show everything once: serve, adapt, predict, measure. Takes a few minutes.

    It has a folder of its own, HOME/demo: what it downloads, draws and trains stays there, so a second run is faster.
    """
    told: Any = import_module(f"api.commands.demo_{kind.value}")
    told.check()
    story = session.terminal.story
    service = DemoService(session.settings.home / "demo", session.settings)
    story.print(f"All files of this demo are kept in {printable(service.home)}.", soft_wrap=True)
    try:
        measured = _run(service, story, told)
    except ZooError:
        for line in service.tail():
            session.terminal.note(f"  log: {line[:300]}", style="dim")
        session.terminal.note(f"the whole log of the demo's service: {service.log}")
        raise
    shown = [*summary(measured, told.STAGES), "", *next_steps(service.home, told.go_on(service.home))]
    session.terminal.result(measured.data(), "", *shown)


def _run(service: DemoService, story: Console, told: Any) -> Measured:
    began = time.monotonic()
    story.print("\nStarting the service, with a Redis and a training worker of its own", style="bold")
    with service, _ending(story), service.client() as client:
        run = DemoRun(client, story)
        run.measured.seconds["start"] = time.monotonic() - began
        story.print(f"  it answers at {service.url}")
        run.end_leftovers()
        told.tell(run, service.home)
    run.measured.seconds["total"] = time.monotonic() - began
    return run.measured


@contextmanager
def _ending(story: Console) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        story.print("\nending the demo's service")
        raise
