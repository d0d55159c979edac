"""`zoo demo translation`: a translator of everyday English learns how a parcel service words things in German."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from rich.text import Text

from api.commands.demo_run import DemoRun
from api.commands.demo_sides import sides
from api.commands.demo_summary import zoo_command

BODY, NAME = "tatoeba-en-de", "parcels-en-de"
PHRASES = Path(__file__).parents[1] / "phrases"
LEARN, NEW = PHRASES / "learn.csv", PHRASES / "new.csv"  # to learn from; other sentences with the same words
EPOCHS = 30  # the service chooses at most ten, which is for longer files
STAGES = {
    "translate": "24 sentences translated by the pre-trained model (it is loaded here)",
    "predict": "the same sentences translated by the new model (it is loaded here)",
}


def check() -> None:
    """Nothing has to be there: the sentences come with the program."""


def tell(run: DemoRun, home: Path) -> None:
    """Import, translate, adapt to the wording, translate again, measure. ``home`` is not needed."""
    sources, wanted = zip(*phrases(NEW), strict=True)
    run.bring(BODY)
    before = _translated(run, "translate", BODY, sources, f"{len(sources)} sentences of a parcel service")
    learnt = run.upload(LEARN, f"{len(phrases(LEARN))} other sentences, worded in German as the service wants it")
    judged = run.upload(NEW, "the sentences from before with the wanted wording, only to measure on")
    run.adapt(BODY, "wording of the service", NAME, learnt, epochs=EPOCHS, validation=judged)
    after = _translated(run, "predict", run.measured.reference, sources, "the same sentences, not learnt from")
    run.story.print("\nWhat changed; in brackets are words that the service would not use", style="bold")
    for line in sides({"English": sources, "wanted": wanted}, wanted, before, after):
        run.story.print(line)
    right = [sum(one == text for one, text in zip(some, wanted, strict=True)) for some in (before, after)]
    run.story.print(f"\n  {right[0]} → {right[1]} of {len(wanted)} sentences are worded exactly as wanted")
    before_share, after_share = (count / len(wanted) for count in right)
    run.measured.compared["share of the new sentences worded exactly as wanted"] = (before_share, after_share)
    run.time_requests("one sentence", lambda: run.client.predict(run.measured.reference, sources[:1]))


def go_on(home: Path) -> list[Text]:
    """What to type next with the model that was made."""
    zoo, sentence = zoo_command(), "Where is my parcel?"
    curl = f"curl -s http://127.0.0.1:8000/v1/models/{NAME}/predict -H 'content-type: application/json'"
    return [
        Text(f'  {zoo} predict {NAME} "{sentence}"'),
        Text(f"  {zoo} show {NAME}"),
        Text(f'  {curl} -d \'{{"inputs": "{sentence}"}}\''),
        Text(f"  {zoo} adapt {BODY} YOUR.csv --name YOURS     # a CSV with the columns en and de"),
    ]


def phrases(file: Path) -> list[tuple[str, str]]:
    """English sentences and their German."""
    with file.open(encoding="utf-8", newline="") as lines:
        return [(row["en"], row["de"]) for row in csv.DictReader(lines)]


def _translated(run: DemoRun, stage: str, model: str, sources: Sequence[str], what: str) -> list[str]:
    with run.stage(stage, f"Asking {model} to translate {what}"):
        answers = run.client.predict(model, sources)
    return [str(answer.get("translation_text", "")) for answer in answers]
