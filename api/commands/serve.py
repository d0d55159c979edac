"""`zoo serve` and `zoo worker`: the processes that stay. Every setting is a flag of both."""

from __future__ import annotations

import typer

from api.commands.exit_codes import ConfigurationError
from api.commands.session import Session, command
from zoo.settings import Settings

app = typer.Typer()
FLAGS = tuple(name for name in Settings.model_fields if name != "url")  # `url` is for the commands that call a service


@command(app, settings=FLAGS)
def serve(session: Session) -> None:
    """Run the service: HTTP, and unless --redis-url is given its own Redis and one worker.

    Stop it with Ctrl-C or SIGTERM: running requests are answered first, a running job is saved and goes on at the next
    start. With --json the log is JSON lines.
    """
    from api.serving import serve as run

    _end(run(_settings(session)))


@command(app, settings=FLAGS)
def worker(session: Session) -> None:
    """Run one more training worker on the Redis of --redis-url.

    Needs the training libraries (the extra `train`), and does not start without them. Stop it with Ctrl-C or SIGTERM:
    a running job is saved and goes back to the queue.
    """
    settings = _settings(session)
    if not settings.redis_url:
        raise ConfigurationError(
            "setting redis_url (--redis-url or ZOO_REDIS_URL) is needed, e.g. redis://localhost:6379/0; without a Redis"
            " of your own run `zoo serve`, which starts its own and a worker",
            param="redis_url",
        )
    from adapters.queue.worker import run_worker
    from api.commands.checks import lacking_libraries
    from zoo import logs

    if lacking := lacking_libraries():
        raise ConfigurationError(
            f"the training libraries are not installed here ({', '.join(lacking)}), so that every job that this worker"
            " took from the others would fail: pip install 'adaptzoo[train]'"
        )

    logs.configure(settings)
    _end(run_worker(settings.redis_url, settings))


def _settings(session: Session) -> Settings:
    return session.settings.model_copy(update={"log_format": "json"}) if session.terminal.json else session.settings


def _end(status: int | None) -> None:
    if status:
        raise typer.Exit(status)
