"""`zoo demo text`: a sentence encoder learns to sort support tickets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from rich.text import Text

from api.client import Json
from api.commands.answers import refused
from api.commands.demo_run import DemoRun
from api.commands.demo_summary import zoo_command
from api.commands.terminal import bar, figure, printable, table
from zoo.errors import InvalidInput

BODY, NAME = "minilm", "tickets"
EXAMPLES = Path(__file__).parents[2] / "examples"
TRAINING_FILE, NEW_FILE = "tickets.csv", "tickets_new.txt"
SENTENCES = (
    "Where is my parcel?",
    "The package has not arrived yet.",
    "How do I change my password?",
)
STAGES = {
    "embed": "three sentences embedded (the model is loaded here)",
    "predict": "new tickets predicted (the new model is loaded here)",
}


def check() -> None:
    """Raise ``InvalidInput`` unless the files of this demo are there."""
    for name in (TRAINING_FILE, NEW_FILE):
        if not (EXAMPLES / name).is_file():
            raise InvalidInput(f"examples/{name} is not there; run the demo from a clone of the project: make demo")


def tell(run: DemoRun, home: Path) -> None:
    """Import, compare sentences, adapt to the tickets, sort new ones, measure. ``home`` is not needed."""
    run.bring(BODY)
    _sentences(run)
    run.adapt(BODY, "tickets", NAME, run.upload(EXAMPLES / TRAINING_FILE, "support tickets, each with its label"))
    _answers(run)
    run.time_requests("one text", lambda: run.client.predict(run.measured.reference, [SENTENCES[0]]))


def go_on(home: Path) -> list[Text]:
    """What to type next with the model that was made."""
    zoo, question = zoo_command(), "my parcel is late again"
    body = '{"inputs": "' + question + '"}'
    curl = f"curl -s http://127.0.0.1:8000/v1/models/{NAME}/predict -H 'content-type: application/json' -d '{body}'"
    return [
        Text(f'  {zoo} predict {NAME} "{question}"'),
        Text(f"  {zoo} show {NAME}"),
        Text(f"  {curl}"),
        Text(f"  {zoo} adapt {BODY} YOUR.csv --name YOURS     # a CSV with the columns text and label"),
    ]


def _sentences(run: DemoRun) -> None:
    """The pre-trained model asked about three sentences."""
    with run.stage("embed", f"Asking {BODY} how alike sentences are (cosine of their embeddings)"):
        first, *others = run.client.predict(BODY, SENTENCES)
    likeness = table("", "", "")
    likeness.show_header = False
    for sentence, vector in zip(SENTENCES[1:], others, strict=True):
        alike = _cosine(first, vector)
        likeness.add_row(f"  {SENTENCES[0]} / {sentence}", figure(alike, "{:.2f}".format), bar(alike))
    run.story.print(likeness)


def _answers(run: DemoRun) -> None:
    """What the new model says to tickets that nobody labelled."""
    texts = [line for line in (EXAMPLES / NEW_FILE).read_text(encoding="utf-8").splitlines() if line.strip()]
    with run.stage("predict", f"Asking {run.measured.reference} about {len(texts)} new tickets"):
        answers = run.client.predict(run.measured.reference, texts)
    shown = table("  ticket", "label", "score", "")
    for text, answer in zip(texts, answers, strict=True):
        best = {"label": "refused", "score": 0.0} if refused(answer) else max(answer, key=_score)
        cells = [f"  {printable(text)}", printable(best["label"]), figure(best["score"], "{:.2f}".format)]
        shown.add_row(*cells, bar(_score(best)))
    run.story.print(shown)


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    dot = sum(a * b for a, b in zip(one, other, strict=True))
    return dot / math.sqrt(sum(a * a for a in one) * sum(b * b for b in other))


def _score(scored: Json) -> float:
    return float(scored["score"])
