"""Stretches of a text underlined, and what they are: entities in a text, an answer in its sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from api.commands.terminal import figure, printable, table

WIDTH, NARROWEST = 96, 16  # cells of a line: at most, and however narrow a window is
SHOWN_LINES = 20
SHOWN_ROWS = 50
MARK = "▔"
_ENDS = re.compile(r"[.!?…](?=\s)|[。！？]|\n")


@dataclass(frozen=True)
class Marked:
    """The lines of a text that have something in them, each above the marks under it; no wider than the window."""

    text: str
    places: Sequence[tuple[int, int]]
    indent: int = 2

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """At most ``SHOWN_LINES`` of them."""
        lines = self._lines(max(NARROWEST, min(WIDTH, options.max_width) - self.indent))
        for line, marks in islice(lines, SHOWN_LINES):
            yield Text(" " * self.indent + line, no_wrap=True, overflow="ignore")
            yield Text(" " * self.indent + marks, no_wrap=True, overflow="ignore")
        if next(lines, None) is not None:
            yield Text(" " * self.indent + "…")

    def _lines(self, width: int) -> Iterator[tuple[str, str]]:
        for start, end in _lines(self.text, width):
            inside = [place for place in self.places if place[0] < end and start < place[1]]
            if not inside:
                continue
            line = printable(self.text[start:end]).replace("\n", " ")
            meant = [any(first <= start + at < last for first, last in inside) for at in range(len(line))]
            marks = ((MARK if mark else " ") * cell_len(letter) for mark, letter in zip(meant, line, strict=True))
            yield line.rstrip(), "".join(marks).rstrip()


def are_entities(answer: Any) -> bool:
    """Whether an answer is a list of stretches under labels."""
    return isinstance(answer, list) and bool(answer) and all(_is_stretch(one) and _label(one) for one in answer)


def are_answers(answer: Any) -> bool:
    """Whether an answer is a stretch of a text without a label, or several."""
    some = answer if isinstance(answer, list) else [answer]
    return bool(some) and all(_is_stretch(one) and isinstance(one.get("answer"), str) for one in some)


def entities(text: str, answer: Sequence[dict[str, Any]]) -> list[RenderableType]:
    """The lines of the text that hold any, each above its marks; then a row for each with kind, score and words."""
    listed = table("", "", "")
    listed.show_header = False
    for one in answer[:SHOWN_ROWS]:
        words = " ".join(printable(text[one["start"] : one["end"]]).split())
        listed.add_row("  " + printable(_label(one)), figure(one.get("score")), words)
    if len(answer) > SHOWN_ROWS:
        listed.add_row(f"  … and {len(answer) - SHOWN_ROWS} more; --json shows all")
    return [Marked(text, [(one["start"], one["end"]) for one in answer]), listed]


def answers(context: str, answer: dict[str, Any] | Sequence[dict[str, Any]]) -> list[RenderableType]:
    """Each answer with its score and the sentence that it stands in, underlined there."""
    shown: list[RenderableType] = []
    for one in [answer] if isinstance(answer, dict) else answer:
        if not one["answer"]:
            shown.append(Text(f"  {figure(one.get('score'))}  no answer"))
            continue
        shown.append(Text(f"  {figure(one.get('score'))}  {' '.join(printable(one['answer']).split())}"))
        start, end = _sentence(context, one["start"], one["end"])
        place = (one["start"] - start, one["end"] - start)
        shown.append(Marked(context[start:end], [place], indent=9))
    return shown


def _is_stretch(one: Any) -> bool:
    return isinstance(one, dict) and all(isinstance(one.get(name), int) for name in ("start", "end"))


def _label(one: dict[str, Any]) -> Any:
    return one.get("entity_group") or one.get("entity")


def _sentence(text: str, start: int, end: int) -> tuple[int, int]:
    """Where the sentence, or the sentences, around a stretch begin and end."""
    before = [found.end() for found in _ENDS.finditer(text, 0, start)]
    behind = _ENDS.search(text, end)
    begin = before[-1] if before else 0
    stop = behind.end() if behind else len(text)
    begin += len(text[begin:start]) - len(text[begin:start].lstrip())
    return begin, end + len(text[end:stop].rstrip())


def _lines(text: str, width: int) -> Iterator[tuple[int, int]]:
    """Stretches of the text, each at most ``width`` cells, cut at spaces where there are any."""
    start = 0
    while start < len(text):
        end, cells = start, 0
        while end < len(text) and text[end] != "\n" and cells + cell_len(text[end]) <= width:
            cells += cell_len(text[end])
            end += 1
        if end < len(text) and text[end] != "\n" and (space := text.rfind(" ", start + 1, end)) > 0:
            end = space + 1
        end = max(end, start + 1)
        if end < len(text) and text[end] == "\n":
            end += 1
        yield start, end
        start = end
