"""What ships as a starter is small, pinned and described."""

from __future__ import annotations

import hashlib

import pytest

from zoo.catalogue.entry import CatalogueEntry
from zoo.catalogue.registry import load_catalogue
from zoo.catalogue.sources.starter import STARTERS

MEGABYTE = 1_000_000
ENTRIES = [entry for entry in load_catalogue().values() if any(one.kind == "starter" for one in entry.sources)]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_every_file_of_a_starter_is_the_pinned_one(entry: CatalogueEntry) -> None:
    folder = STARTERS / entry.name
    files = [path for path in folder.rglob("*") if path.is_file()]
    found = {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    assert found == dict(entry.files)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_a_starter_is_small(entry: CatalogueEntry) -> None:
    weights = [path.stat().st_size for path in (STARTERS / entry.name).rglob("*.safetensors")]
    assert weights
    assert sum(weights) <= 12 * MEGABYTE


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
@pytest.mark.parametrize("said", ["Data:", "Recipe:", "seed", "Training took", "test part", "Weaknesses:"])
def test_a_card_says_what_it_was_made_of_and_how_good_it_is(entry: CatalogueEntry, said: str) -> None:
    assert said in (STARTERS / entry.name / "README.md").read_text(encoding="utf-8")


def test_all_starters_together_stay_small() -> None:
    assert sum(path.stat().st_size for path in STARTERS.rglob("*") if path.is_file()) <= 60 * MEGABYTE


def test_no_folder_lies_there_without_an_entry() -> None:
    assert {path.name for path in STARTERS.iterdir() if path.is_dir()} == {entry.name for entry in ENTRIES}
