"""What two models made of the same sentences, side by side: those that changed most."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.text import Text

from api.commands.terminal import printable
from api.word_errors import marked, word_error_rate

SHOWN = 3  # sentences


def sides(
    asked: Mapping[str, Sequence[str]], wanted: Sequence[str], before: Sequence[str], after: Sequence[str]
) -> Iterator[Text]:
    """Of each sentence a line for what was ``asked``, by name, and for before and after, unwanted words in brackets."""
    gains = [_rate(text, one) - _rate(text, other) for text, one, other in zip(wanted, before, after, strict=True)]
    for place in sorted(sorted(range(len(wanted)), key=lambda place: -gains[place])[:SHOWN]):
        yield Text("")
        for name, texts in asked.items():
            yield _line(name, [(texts[place], False)])
        yield _line("before", marked(wanted[place], before[place]))
        yield _line("after", marked(wanted[place], after[place]))


def _rate(wanted: str, text: str) -> float:
    return word_error_rate([(wanted, text)])


def _line(name: str, pieces: Sequence[tuple[str, bool]]) -> Text:
    line = Text(f"  {name:8}")
    for text, wrong in pieces:
        line.append(f"[{printable(text)}]" if wrong else printable(text), "red" if wrong else "")
    return line
