"""`zoo doctor`: what this machine lacks, and how to get it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.text import Text

from api.commands.checks import all_checks
from api.commands.exit_codes import ExitCode
from api.commands.session import Session, command
from api.commands.terminal import printable, table

app = typer.Typer()
SIGNS = {"ok": ("✓", "green"), "note": ("•", "yellow"), "missing": ("✗", "red")}


@command(app, settings=("home", "host", "port", "url", "api_key", "redis_url"))
def doctor(
    session: Session,
    *,
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask the package index.")] = False,
) -> None:
    """Check this machine: what is missing and how to get it."""
    checks = list(all_checks(session.settings, offline=offline))
    missing = [check for check in checks if check.verdict == "missing"]
    listed = table("", "check", "found", "to do")
    for check in checks:
        sign, style = SIGNS[check.verdict]
        listed.add_row(Text(sign, style=style), check.name, printable(check.found), printable(check.fix))
    verdict = f"{len(missing)} missing" if missing else "nothing is missing; go on with `zoo demo` or `zoo serve`"
    data = {"ok": not missing, "checks": [asdict(check) for check in checks]}
    session.terminal.result(data, listed, "", verdict)
    if missing:
        raise typer.Exit(ExitCode.FAILED)
