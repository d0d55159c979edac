"""Where words go: results on stdout, all else on stderr; with `--json` stdout holds one JSON value and nothing more."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # rich is imported where something is shown: `zoo serve`, which shows nothing, starts earlier
    from rich.console import Console, RenderableType
    from rich.table import Table

BAR = 24  # characters of a full score bar
JOINERS = "\u200c\u200d"  # no width of their own; Persian words and families of emoji need them


class Terminal:
    """The two streams of one command. ``json`` chooses the machine's form of results."""

    def __init__(self, *, json: bool = False) -> None:
        self.json = json

    @cached_property
    def out(self) -> Console:
        """Results."""
        return _console(sys.stdout)

    @cached_property
    def err(self) -> Console:
        """All else."""
        return _console(sys.stderr)

    @property
    def story(self) -> Console:
        """What a long command tells as it goes."""
        return self.err if self.json else self.out

    def result(self, data: object, *shown: RenderableType) -> None:
        """Print the command's result: ``data`` as JSON, or ``shown`` for people."""
        if self.json:
            sys.stdout.write(json.dumps(data, ensure_ascii=False, indent=2, default=str) + "\n")
            sys.stdout.flush()
            return
        from rich.text import Text

        for item in shown:
            # A line is left to the terminal to wrap, so that a command in it can be copied.
            self.out.print(item, soft_wrap=isinstance(item, str | Text))

    def note(self, text: str, *, style: str = "") -> None:
        """Say something beside the result."""
        self.err.print(printable(text), style=style, soft_wrap=True)

    def failure(self, message: str, code: str) -> None:
        """One line for people; with `--json` also ``{"error": {"message", "code"}}`` on stdout."""
        from rich.text import Text

        self.err.print(Text.assemble(("error: ", "bold red"), printable(message)), soft_wrap=True)
        if self.json:
            self.result({"error": {"message": message, "code": code}})


def _console(stream: Any) -> Console:
    from rich.console import Console

    # Off a terminal a table keeps its columns whole: nobody's window bounds it.
    width = None if stream.isatty() else 140
    return Console(file=stream, markup=False, highlight=False, emoji=False, width=width)


def printable(text: object) -> str:
    """``text`` without control characters: a label or file name must not steer the terminal. Its length stays."""
    return "".join(map(_shown, str(text)))


def _shown(char: str) -> str:
    if char == "\n" or char.isprintable() or char in JOINERS:
        return char
    return " " if char.isspace() else "\ufffd"  # no-break and wide spaces are not printable to Python


def table(*columns: str, title: str | None = None, numbers: tuple[str, ...] = ()) -> Table:
    """An empty table in the project's one style; the columns in ``numbers`` are set right."""
    from rich.table import Table

    made = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        made.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    return made


def facts(rows: list[tuple[str, object]]) -> Table:
    """Two columns, name and value, without the rows that have no value."""
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in rows:
        if value not in (None, "", [], {}, ()):
            made.add_row(name, value if isinstance(value, Text) else printable(value))
    return made


def bar(share: float) -> str:
    """A bar for a score from 0 to 1."""
    return "█" * round(max(0.0, min(1.0, share)) * BAR)


def size(count: float) -> str:
    """Bytes for people, in decimal units: 66.2 MB."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def duration(seconds: float) -> str:
    """Seconds for people: 0.8 s, 42 s, 3 min 05 s."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02d} s"


def figure(value: object, form: Callable[[float], str] = "{:.3f}".format) -> str:
    """A number as text, or a dash where there is none."""
    return form(float(value)) if isinstance(value, int | float) and not isinstance(value, bool) else "–"
