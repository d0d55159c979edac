"""`zoo demo translation`: the story that it tells, and the sentences that come with it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.commands.demo_translation import LEARN, NEW, phrases
from api.word_errors import words
from tests.api.canned_service import LISTED, OFFERED, REPORT, RUNNING, SUCCEEDED, TICKETS, CannedService
from tests.api.demo_fakes import demo_service, run_demo

FIGURES = {"heldout": {"rows": 24, "chrf": 91.5, "bleu": 80.25}, "before": {"chrf": 40.125, "bleu": 12.5}}
PARCELS = TICKETS | {"id": "parcels-en-de@1", "task": "translation", "labels": [], "metrics": FIGURES}
WANTED = [german for _, german in phrases(NEW)]


@pytest.fixture
def office(monkeypatch: pytest.MonkeyPatch) -> Iterator[CannedService]:
    """A service that says Paket for Sendung, until it has learnt better."""
    with demo_service(monkeypatch) as running:
        plain = [{"translation_text": text.replace("Sendung", "Paket")} for text in WANTED]
        running.says("GET", "/v1/models/tatoeba-en-de", OFFERED, LISTED | {"parity": TICKETS["parity"]})
        running.says("POST", "/v1/models/tatoeba-en-de/predict", plain)
        running.says("GET", "/v1/files/file-1/report", REPORT | {"classes": []})
        running.says("GET", "/v1/jobs/ftjob-1", RUNNING, SUCCEEDED | {"fine_tuned_model": "parcels-en-de@1"})
        running.says("GET", "/v1/models/parcels-en-de@1", PARCELS)
        running.says("POST", "/v1/models/parcels-en-de@1/predict", [{"translation_text": text} for text in WANTED])
        yield running


def test_the_demo_of_translation_tells_the_whole_story(office: CannedService, tmp_path: Path) -> None:
    result = run_demo(tmp_path, "translation")
    assert result.exit_code == 0, result.output
    told = [
        "Importing the pre-trained model tatoeba-en-de",
        "24 sentences of a parcel service",
        "96 other sentences",
        "before: the pre-trained model",
        "40.125",
        "17 \u2192 24 of 24 sentences",
        "chrF on held-out rows, before \u2192 after",
        "40.125 \u2192 91.500",
        'predict parcels-en-de "Where is my parcel?"',
        "zoo adapt tatoeba-en-de",
    ]
    assert [part for part in told if part not in result.stdout.replace("\n", " ")] == []


def test_sentences_stand_side_by_side_with_unwanted_words_in_brackets(office: CannedService, tmp_path: Path) -> None:
    shown = run_demo(tmp_path, "translation").stdout
    wanted, before, after = (
        re.findall(rf"^  {name} +(.+)$", shown, re.MULTILINE) for name in ("wanted", "before", "after")
    )
    assert len(wanted) == 3 and wanted == after and set(wanted) <= set(WANTED)
    assert all("[Paket" in line for line in before)


def test_the_service_learns_from_one_file_and_is_measured_on_the_other(office: CannedService, tmp_path: Path) -> None:
    run_demo(tmp_path, "translation")
    first, second = office.asked("POST", "/v1/files")
    assert LEARN.read_bytes() in first.body and NEW.read_bytes() in second.body
    asked = office.asked("POST", "/v1/fine_tuning/jobs")[0].json()
    assert asked.pop("hyperparameters") == {"n_epochs": 30}
    assert asked == {
        "model": "tatoeba-en-de",
        "training_file": "file-1",
        "validation_file": "file-1",
        "suffix": "parcels-en-de",
        "seed": 1,
    }


def test_json_has_the_figures_before_and_after(office: CannedService, tmp_path: Path) -> None:
    data = json.loads(run_demo(tmp_path, "translation", "--json").stdout)
    assert (data["before"], data["after"]) == (FIGURES["before"], FIGURES["heldout"])
    [shares] = data["compared"].values()
    assert shares["before"] < shares["after"] == 1.0


def test_new_sentences_are_new_and_have_no_word_that_cannot_be_learnt() -> None:
    learnt, new = phrases(LEARN), phrases(NEW)
    for side in (0, 1):
        assert not {pair[side] for pair in learnt} & {pair[side] for pair in new}
        known = {word for pair in learnt for word in words(pair[side])}
        assert {word for pair in new for word in words(pair[side])} <= known


def test_a_word_of_the_trade_is_always_worded_alike() -> None:
    house = {"parcel": "sendung", "courier": "zusteller", "customer": "auftraggeber", "refund": "gutschrift"}
    house |= {"depot": "verteilzentrum", "label": "versandschein", "ticket": "vorg", "pick-up point": "abholstelle"}
    for english, german in [*phrases(LEARN), *phrases(NEW)]:
        for word, wording in house.items():
            assert (word in english.lower()) == (wording in german.lower()), english
