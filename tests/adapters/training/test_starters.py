"""The starters that ship can be imported as they are."""

from __future__ import annotations

import pytest
import torch

from adapters.training.checkpoint import infer_task
from adapters.training.recipe import load_recipe
from zoo.catalogue.entry import CatalogueEntry
from zoo.catalogue.registry import load_catalogue
from zoo.catalogue.sources.starter import STARTERS

ENTRIES = [entry for entry in load_catalogue().values() if any(one.kind == "starter" for one in entry.sources)]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_a_starter_loads_for_its_task_and_answers_numbers(entry: CatalogueEntry) -> None:
    folder = STARTERS / entry.name
    assert infer_task(folder) == entry.task
    servable = load_recipe(entry.task).load(folder)
    with torch.no_grad():
        answers = servable.module(**servable.example(1, servable.sizes[0]))
    for answer in answers if isinstance(answers, tuple) else (answers,):
        assert torch.isfinite(answer).all()
    assert len(servable.labels) >= 2 and all(servable.labels)
