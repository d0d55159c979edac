"""What every command has in common: `--json`, the settings, the client, and faults as one line with an exit status."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer
from pydantic import ValidationError

from api.commands.exit_codes import ConfigurationError, ExitCode, exit_code
from api.commands.flags import flag as spelling
from api.commands.flags import given, options
from api.commands.terminal import Terminal
from zoo.errors import ZooError
from zoo.settings import Settings

if TYPE_CHECKING:
    from api.client import Client

CONNECTION = ("url", "api_key", "home")  # the settings that a command which talks to a service takes as flags
ENV_PREFIX = "ZOO_"


@dataclass(frozen=True)
class Session:
    """One run of a command: its streams and its settings."""

    terminal: Terminal
    settings: Settings

    def client(self) -> Client:
        """A client of the service that the settings point to."""
        from api.client import Client, service_url  # httpx takes .2 s to import, which `zoo serve` has no use for

        return Client(service_url(self.settings), self.settings.api_key)


def command(
    app: typer.Typer, *, settings: Iterable[str] | None = CONNECTION, extra: Iterable[inspect.Parameter] = ()
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function as a command under its own name; it is called with a ``Session`` and its own arguments.

    ``settings`` are the settings offered as flags (None: all), ``extra`` further options, passed on as keywords.
    """

    panel = "Connection" if settings is CONNECTION else None
    flags = options(Settings, settings, env_prefix=ENV_PREFIX, panel=panel)
    shared = [*extra, *flags, _json_option()]

    def register(function: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        own = [p.replace(kind=p.KEYWORD_ONLY) for p in own if p.kind is not p.VAR_KEYWORD]

        @functools.wraps(function)
        def run(**arguments: Any) -> None:
            terminal = Terminal(json=arguments.pop("json"))
            overrides = given({flag.name: arguments.pop(flag.name) for flag in flags}, Settings)
            with _guard(terminal):
                function(Session(terminal, read_settings(overrides)), **arguments)

        run.__signature__ = inspect.Signature(own + shared)  # type: ignore[attr-defined]
        app.command(function.__name__.replace("_", "-"))(run)
        return run

    return register


def read_settings(overrides: Mapping[str, Any]) -> Settings:
    """The settings with ``overrides`` on top; ``ConfigurationError`` names the first that cannot be used."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        fault = error.errors()[0]
        name = str(fault["loc"][0])
        where = f"{spelling(name)} or {ENV_PREFIX}{name.upper()}"
        raise ConfigurationError(f"setting {name} ({where}): {fault['msg']}", param=name) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            "the .env file of this folder cannot be read as UTF-8 text; correct or remove it"
        ) from error


@contextmanager
def _guard(terminal: Terminal) -> Iterator[None]:
    try:
        yield
    except ZooError as error:
        terminal.failure(error.message, error.code)
        raise typer.Exit(exit_code(error)) from error
    except KeyboardInterrupt as error:
        terminal.failure("interrupted", "interrupted")
        raise typer.Exit(ExitCode.INTERRUPTED) from error


def _json_option() -> inspect.Parameter:
    option = typer.Option(False, "--json", help="Print the result as JSON on stdout, and nothing else there.")
    return inspect.Parameter("json", inspect.Parameter.KEYWORD_ONLY, default=option, annotation=bool)
