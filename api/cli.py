"""`zoo`: the command line. Each command's module is imported when the command runs, so that `zoo --help` is instant."""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_group


@dataclass(frozen=True)
class Listed:
    """A command as `zoo --help` lists it: its module under api.commands, its heading, its one line."""

    module: str
    heading: str
    line: str


RUN, MODELS, DATA, MACHINE = "Run", "Models", "Your data, your model", "This machine"
COMMANDS = {
    "demo": Listed("demo", RUN, "Show everything once: serve, adapt, predict, measure. Takes a few minutes."),
    "serve": Listed(
        "serve", RUN, "Run the service: HTTP, and unless --redis-url is given its own Redis and one worker."
    ),
    "worker": Listed("serve", RUN, "Run one more training worker on the Redis of --redis-url."),
    "models": Listed("models", MODELS, "List the models that are here or can be had."),
    "show": Listed("models", MODELS, "Show all that is known about a model: labels, metrics, parity, lineage, files."),
    "pull": Listed("pull", MODELS, "Bring a pre-trained model into the zoo."),
    "import-adapter": Listed("import_adapter", MODELS, "Make a version of an adapter that peft saved elsewhere."),
    "predict": Listed("predict", MODELS, "Ask a model about one or more texts, pictures or sounds."),
    "alias": Listed("models", MODELS, "Let an alias of a model mean a version, such as `live`."),
    "rollout": Listed("rollout", MODELS, "Let a new version answer a part of an alias's requests, or copies of them."),
    "delete": Listed("models", MODELS, "Remove a version of a model, or all of them."),
    "export": Listed("export", MODELS, "Copy a version's files out of the zoo, every hash checked."),
    "upload": Listed("files", DATA, "Upload a data file and say what is in it and what is wrong with it."),
    "report": Listed("files", DATA, "Show the report of an uploaded file again."),
    "adapt": Listed("adapt", DATA, "Adapt a model to your data."),
    "jobs": Listed("jobs", DATA, "List the adaptation jobs, newest first."),
    "watch": Listed("jobs", DATA, "Follow a job until it ends."),
    "cancel": Listed("jobs", DATA, "Ask a job to end."),
    "retry": Listed("jobs", DATA, "Queue a failed or cancelled job once more."),
    "doctor": Listed("doctor", MACHINE, "Check this machine: what is missing and how to get it."),
}


class Commands(TyperGroup):
    """The group of all commands: lists them from the table above, loads the one that is run."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Replace the listed line of the command that was asked for by the command itself."""
        listed = COMMANDS.get(args[0])
        if listed is not None:
            module = importlib.import_module(f"api.commands.{listed.module}")
            self.commands[args[0]] = get_group(module.app).commands[args[0]]
        return super().resolve_command(ctx, args)

    def main(self, args: Any = None, prog_name: str | None = None, *rest: Any, **extra: Any) -> Any:
        """Run with ``args``; a wrong command line is one line and status 2."""
        words = list(sys.argv[1:] if args is None else args) or ["--help"]
        extra["standalone_mode"] = False
        try:
            status = super().main(words, "zoo", *rest, **extra)
        except typer.TyperException as error:
            context = getattr(error, "ctx", None)
            path = context.command_path if context is not None else "zoo"
            sys.stderr.write(f"error: {error.format_message().rstrip('.')}. See `{path} --help`.\n")
            status = error.exit_code
        except typer.Abort:
            status = 130  # Ctrl-C or the end of input at a question
        sys.exit(status if isinstance(status, int) else 0)


def _application() -> typer.Typer:
    made = typer.Typer(
        name="zoo",
        cls=Commands,
        help="A model zoo that serves pre-trained models, adapts them to your data and proves what it serves.",
        epilog="Start with `zoo demo`, or `zoo serve` and `zoo models` in another terminal.",
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    made.callback()(_version)
    for name, listed in COMMANDS.items():
        made.command(name, help=listed.line, rich_help_panel=listed.heading)(_unloaded)
    return made


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"zoo {version('adaptzoo')}")
        raise typer.Exit


def _version(
    version: bool = typer.Option(False, "--version", callback=_show_version, is_eager=True, help="Print the version."),
) -> None:
    """Nothing to do before a command."""


def _unloaded() -> None:
    raise AssertionError("a command is loaded before it runs")


app = _application()


def main() -> None:
    """Entry point of the `zoo` script: a fault of the program is one line too, unless Python runs with -X dev."""
    gc.set_threshold(50_000)  # what imports make is no garbage: looking for it takes .2 s of the start of a service
    guard: Callable[[], None] = app
    try:
        guard()
    except Exception as error:
        if sys.flags.dev_mode:
            raise
        sys.stderr.write(
            f"error: a fault of zoo itself ({type(error).__name__}: {error}). Please report it;"
            " `python -X dev -m api.cli …` shows where.\n"
        )
        sys.exit(1)


if __name__ == "__main__":
    main()
