"""Fine-tune jobs on several labels, on scores and on pairs of texts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from adapters.jobs import Hyperparameters
from tests.adapters.training.jobs import adapted, served, uploaded
from tests.conftest import TinyZoo
from tests.tiny import LABELS
from tests.tiny_sentences import answered, scored, several


def test_several_labels_are_learnt(own_zoo: TinyZoo) -> None:
    entry, result = adapted(own_zoo, several(240))
    assert (entry.labels, entry.options["function_to_apply"]) == (LABELS, "sigmoid")
    assert set(result["metrics"]["heldout"]) == {"rows", "macro_f1", "micro_f1"}
    fresh = several(60, seed=9)
    body: Any = served(own_zoo, entry).predict([row["text"] for row in fresh]).body
    told = [{one["label"] for one in answer if one["score"] >= 0.5} for answer in body]
    right = np.mean([names == set(row["labels"]) for names, row in zip(told, fresh, strict=True)])
    assert right >= 0.4  # a guess is right once in eight times
    assert entry.metrics["heldout"]["macro_f1"] >= entry.metrics["probe"]["macro_f1"]


def test_scores_are_learnt_in_their_own_unit(own_zoo: TinyZoo) -> None:
    entry, result = adapted(own_zoo, scored(240))
    assert (entry.labels, entry.options["function_to_apply"]) == (("score",), "none")
    assert set(result["metrics"]["heldout"]) == {"rows", "spearman", "pearson"}
    fresh = scored(60, seed=9)
    body: Any = served(own_zoo, entry).predict([row["text"] for row in fresh]).body
    apart = [abs(answer[0]["score"] - row["score"]) for answer, row in zip(body, fresh, strict=True)]
    assert np.mean(apart) < 10  # the mean score of the data is 20 off
    assert entry.title == "mini adapted to 180 examples"


def test_pairs_are_learnt_and_asked_as_pairs(own_zoo: TinyZoo) -> None:
    entry, _ = adapted(own_zoo, answered(300))
    fresh = answered(60, seed=9)
    predictor = served(own_zoo, entry)
    body: Any = predictor.predict([{name: row[name] for name in ("text", "text_pair")} for row in fresh]).body
    right = np.mean([answer[0]["label"] == row["label"] for answer, row in zip(body, fresh, strict=True)])
    assert right >= 0.8
    assert entry.parity["argmax_agreement"] == 1.0


def test_a_label_of_a_validation_file_that_is_not_learnt_leaves_its_rows_out(own_zoo: TinyZoo) -> None:
    odd = [{"text": "why is it so", "labels": ["unheard"]}]
    validation = uploaded(own_zoo, [*several(20, seed=5), *odd])
    entry, _ = adapted(own_zoo, several(60), validation_file=validation)
    assert entry.lineage["rows"]["heldout"] == 20


@pytest.mark.parametrize("changed", [{}, {"text_pair": "late " * 400}], ids=["texts", "pairs"])
def test_a_held_out_text_longer_than_a_request_may_be_is_cut(own_zoo: TinyZoo, changed: dict[str, str]) -> None:
    kept = ("text", "label", *changed)
    rows = [{name: row[name] for name in kept} for row in answered(40)]
    long = {"text": "parcel " * 400, "label": "delivery"} | changed  # 2,800 characters; a request holds 768
    validation = uploaded(own_zoo, [*rows[:8], long])
    entry, _ = adapted(own_zoo, rows, validation_file=validation, hyperparameters=Hyperparameters(n_epochs=1))
    assert entry.lineage["rows"]["heldout"] == 9
    assert entry.parity["argmax_agreement"] == 1.0


@pytest.mark.parametrize("kind", ["several", "scored"])
def test_the_card_shows_the_figures(own_zoo: TinyZoo, kind: str) -> None:
    entry, _ = adapted(own_zoo, several(60) if kind == "several" else scored(60))
    card = (own_zoo.store.folder(entry.name, 1) / "README.md").read_text()
    assert ("| macro f1 | micro f1 |" if kind == "several" else "| spearman | pearson |") in card.replace("| | ", "| ")


def test_entailment_that_was_learnt_chooses_among_labels_of_a_request(own_zoo: TinyZoo) -> None:
    entry, _ = adapted(own_zoo, answered(60, labels=("contradiction", "entailment")))
    body: Any = served(own_zoo, entry).predict("parcel late", {"candidate_labels": ["courier", "price"]}).body
    assert {one["label"] for one in body} == {"courier", "price"}
    assert sum(one["score"] for one in body) == pytest.approx(1.0, abs=1e-5)
