"""`zoo predict`: ask a model about texts and show what it answers, by the form of the answer."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from api.commands.exit_codes import ExitCode
from api.commands.session import Session, command
from api.commands.terminal import bar, figure, printable, table
from zoo.errors import InvalidInput

app = typer.Typer()
SHOWN_NUMBERS = 6
SHOWN_CHARACTERS = 100


@command(app)
def predict(
    session: Session,
    model: Annotated[str, typer.Argument(help="name, name@version or name@alias", show_default=False)],
    texts: Annotated[list[str] | None, typer.Argument(metavar="[TEXT]...", help="What to ask about.")] = None,
    *,
    file: Annotated[Path | None, typer.Option(help="Ask about every line of this UTF-8 file too.")] = None,
    top_k: Annotated[int | None, typer.Option(min=1, help="Show only the best so many labels.")] = None,
    parameters: Annotated[
        str | None, typer.Option(metavar="JSON", help="Parameters of the task, as an object.")
    ] = None,
) -> None:
    """Ask a model about one or more texts."""
    inputs = [*(texts or []), *(_lines(file) if file is not None else [])]
    if not inputs:
        raise InvalidInput('nothing to ask about; give a text, as in `zoo predict NAME "some text"`, or --file')
    chosen = _object(parameters) | ({"top_k": top_k} if top_k is not None else {})
    with session.client() as client:
        answers = client.predict(model, inputs, chosen)
    shown = [part for text, answer in zip(inputs, answers, strict=False) for part in answer_view(text, answer)]
    session.terminal.result(answers, *shown)
    if any(refused(answer) for answer in answers):
        raise typer.Exit(ExitCode.BAD_DATA)


def refused(answer: object) -> bool:
    """Whether this input was refused while others were answered."""
    return isinstance(answer, dict) and "error" in answer and "code" in answer


def answer_view(text: str, answer: Any) -> list[RenderableType]:
    """One input and its answer: labels with bars, a vector by its norm and first numbers, anything else as JSON."""
    shortened = text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"
    head = Text(printable(shortened).replace("\n", " "), style="bold")
    if refused(answer):
        return [head, Text(f"  refused: {printable(answer['error'])}", style="red")]
    if _are_scores(answer):
        scores = table("", "", "")
        scores.show_header = False
        for one in answer:
            scores.add_row("  " + printable(one["label"]), figure(one["score"]), bar(float(one["score"])))
        return [head, scores]
    if _is_vector(answer):
        norm = math.sqrt(sum(float(number) ** 2 for number in answer))
        first = " ".join(f"{number:+.4f}" for number in answer[:SHOWN_NUMBERS])
        return [head, f"  {len(answer)} numbers, norm {norm:.4f}, first: {first} …"]
    return [head, "  " + printable(json.dumps(answer, ensure_ascii=False))]


def _are_scores(answer: Any) -> bool:
    return (
        isinstance(answer, list)
        and bool(answer)
        and all(isinstance(one, dict) and {"label", "score"} <= one.keys() for one in answer)
    )


def _is_vector(answer: Any) -> bool:
    return isinstance(answer, list) and bool(answer) and all(isinstance(one, int | float) for one in answer)


def _lines(file: Path) -> list[str]:
    try:
        return [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{file} is not UTF-8 text; save it as UTF-8") from error
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}") from error


def _object(parameters: str | None) -> dict[str, Any]:
    try:
        read = json.loads(parameters) if parameters is not None else {}
    except ValueError as error:
        raise InvalidInput(f"--parameters is not JSON ({error}); write it as '{{\"top_k\": 3}}'") from error
    if not isinstance(read, dict):
        raise InvalidInput("--parameters has to be a JSON object such as '{\"top_k\": 3}'")
    return read
