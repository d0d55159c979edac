"""`zoo demo`: everything once, told as it goes: a pre-trained model serves, data become a model, that serves too."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import typer
from rich.console import Console

from api.client import Client, Json
from api.commands.demo_service import DemoService
from api.commands.demo_summary import Measured, next_steps, summary
from api.commands.files import checked, problems_view
from api.commands.follow import TERMINAL_STATES, follow, product, succeeded
from api.commands.metrics import comparison, parity
from api.commands.predict import refused
from api.commands.session import Session, command
from api.commands.terminal import bar, duration, figure, printable, table
from zoo.errors import InvalidInput, ZooError

app = typer.Typer()
BODY, NAME = "minilm", "tickets"
EXAMPLES = Path(__file__).parents[2] / "examples"
TRAINING_FILE, NEW_FILE = "tickets.csv", "tickets_new.txt"
SENTENCES = (
    "Where is my parcel?",
    "The package has not arrived yet.",
    "How do I change my password?",
)
TIMED_REQUESTS = 50
SEED = 1  # the same rows are held out each time, so that two runs can be compared


@command(app, settings=("home",))
def demo(session: Session) -> None:
    """Show everything once: serve, adapt, predict, measure. Takes a few minutes.

    It has a folder of its own, HOME/demo: what it downloads and trains stays there, so a second run is faster.
    """
    data, new = _examples()
    story = session.terminal.story
    service = DemoService(session.settings.home / "demo", session.settings)
    story.print(f"All files of this demo are kept in {printable(service.home)}.", soft_wrap=True)
    try:
        measured = _run(service, story, data, new)
    except ZooError:
        for line in service.tail():
            session.terminal.note(f"  log: {line[:300]}", style="dim")
        session.terminal.note(f"the whole log of the demo's service: {service.log}")
        raise
    session.terminal.result(measured.data(), "", *summary(measured), "", *next_steps(service.home, NAME))


def _run(service: DemoService, story: Console, data: Path, new: Path) -> Measured:
    measured = Measured()
    began = time.monotonic()
    story.print("\nStarting the service, with a Redis and a training worker of its own", style="bold")
    with service, _ending(story), service.client() as client:
        measured.seconds["start"] = time.monotonic() - began
        story.print(f"  it answers at {service.url}")
        _end_leftovers(client)
        _body(client, story, measured)
        file_id = _data(client, story, measured, data)
        _adaptation(client, story, measured, file_id)
        _answers(client, story, measured, new)
        with _stage(
            story, measured, "latency", f"Timing {TIMED_REQUESTS} predictions, one text each, one after another"
        ):
            measured.latencies = _timed(client, measured.reference)
    measured.seconds["total"] = time.monotonic() - began
    return measured


def _body(client: Client, story: Console, measured: Measured) -> None:
    """The pre-trained model: imported unless it is there, then asked about three sentences."""
    state = client.model(BODY)
    if state.get("status") != "ready":
        with _stage(
            story, measured, "import", f"Importing the pre-trained model {BODY}: download, export to ONNX, check"
        ):
            running = state.get("job") if state.get("status") == "importing" else None
            succeeded(follow(client, str(running or client.import_model(BODY)["id"]), story))
    else:
        story.print(f"\nThe pre-trained model {BODY} is here already", style="bold")
    measured.body = client.model(BODY)
    if told := parity(measured.body):
        story.print(f"  ONNX Runtime against torch: {told}", soft_wrap=True)
    with _stage(story, measured, "embed", f"Asking {BODY} how alike sentences are (cosine of their embeddings)"):
        first, *others = client.predict(BODY, SENTENCES)
    likeness = table("", "", "")
    likeness.show_header = False
    for sentence, vector in zip(SENTENCES[1:], others, strict=True):
        alike = _cosine(first, vector)
        likeness.add_row(f"  {SENTENCES[0]} / {sentence}", figure(alike, "{:.2f}".format), bar(alike))
    story.print(likeness)


def _data(client: Client, story: Console, measured: Measured, data: Path) -> str:
    """The labelled tickets, uploaded and checked; the id of the file."""
    with _stage(story, measured, "upload", f"Uploading {data.name}: support tickets, each with its label"):
        stored = checked(client, client.upload(data))
    report = client.report(str(stored["id"]))
    classes = ", ".join(f"{printable(one['label'])} {one['count']}" for one in report.get("classes", []))
    story.print(f"  {report.get('usable_rows')} usable rows; {classes}", soft_wrap=True)
    for line in problems_view(report)[1:]:
        story.print(line)
    if report.get("fatal"):
        raise InvalidInput(f"{data.name} cannot be trained on; restore it from the project's repository")
    return str(stored["id"])


def _adaptation(client: Client, story: Console, measured: Measured, file_id: str) -> None:
    """The tickets taught to the body; every choice of the training is left to the service."""
    with _stage(story, measured, "adapt", f"Adapting {BODY} to the tickets (LoRA; all settings automatic)"):
        job = client.create_job({"model": BODY, "training_file": file_id, "suffix": NAME, "seed": SEED})
        try:
            job = succeeded(follow(client, str(job["id"]), story))
        except KeyboardInterrupt:
            with suppress(ZooError):
                client.cancel(str(job["id"]))
            raise
    measured.job, measured.model = job, client.model(product(job))
    compared = comparison(measured.model)
    if compared is not None:
        story.print(compared)
    if told := parity(measured.model):
        story.print(f"  published, because ONNX Runtime answers as the trained model does: {told}", soft_wrap=True)


def _answers(client: Client, story: Console, measured: Measured, new: Path) -> None:
    """What the new model says to tickets that nobody labelled."""
    texts = [line for line in new.read_text(encoding="utf-8").splitlines() if line.strip()]
    with _stage(story, measured, "predict", f"Asking {measured.reference} about {len(texts)} new tickets"):
        answers = client.predict(measured.reference, texts)
    shown = table("  ticket", "label", "score", "")
    for text, answer in zip(texts, answers, strict=True):
        best = {"label": "refused", "score": 0.0} if refused(answer) else max(answer, key=_score)
        cells = [f"  {printable(text)}", printable(best["label"]), figure(best["score"], "{:.2f}".format)]
        shown.add_row(*cells, bar(_score(best)))
    story.print(shown)


def _timed(client: Client, reference: str) -> list[float]:
    """Seconds of each of 50 requests with one text; one more goes first and is not counted."""
    taken = []
    for _ in range(TIMED_REQUESTS + 1):
        began = time.perf_counter()
        client.predict(reference, [SENTENCES[0]])
        taken.append(time.perf_counter() - began)
    return taken[1:]


def _end_leftovers(client: Client) -> None:
    """A demo that was killed may have left its job in the queue; it would run before the new one."""
    for job in client.jobs().get("data", []):
        if job.get("status") not in TERMINAL_STATES:
            with suppress(ZooError):
                client.cancel(str(job["id"]))


@contextmanager
def _stage(story: Console, measured: Measured, name: str, title: str) -> Iterator[None]:
    story.print(f"\n{title}", style="bold", soft_wrap=True)
    began = time.monotonic()
    yield
    measured.seconds[name] = time.monotonic() - began
    story.print(f"  done in {duration(measured.seconds[name])}")


@contextmanager
def _ending(story: Console) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        story.print("\nending the demo's service")
        raise


def _examples() -> tuple[Path, Path]:
    files = EXAMPLES / TRAINING_FILE, EXAMPLES / NEW_FILE
    for file in files:
        if not file.is_file():
            raise InvalidInput(
                f"examples/{file.name} is not there; run the demo from a clone of the project: make demo"
            )
    return files


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    dot = sum(a * b for a, b in zip(one, other, strict=True))
    return dot / math.sqrt(sum(a * a for a in one) * sum(b * b for b in other))


def _score(scored: Json) -> float:
    return float(scored["score"])
