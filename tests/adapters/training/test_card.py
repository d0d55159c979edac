"""The model card: every figure stands in it, and no label breaks its tables."""

from __future__ import annotations

import re
from typing import Any

import pytest

from adapters.training.card import write_card
from zoo.catalogue.entry import ModelEntry

REPORT = {"rows": 110, "usable": 100, "train": 80, "validation": 10, "heldout": 10}


def entry_for(*labels: str) -> ModelEntry:
    figures = {"precision": 0.75, "recall": 0.5, "f1": 0.6, "support": 5}
    return ModelEntry(
        name="tickets",
        version=1,
        task="text-classification",
        modality="text",
        architecture="bert",
        licence="Apache-2.0",
        created=0,
        base="minilm@2",
        labels=labels,
        limits={"max_tokens": 256},
        metrics={
            "heldout": {"accuracy": 0.9125, "macro_f1": 0.8765, "per_class": dict.fromkeys(labels, figures)},
            "probe": {"accuracy": 0.85, "macro_f1": 0.8},
        },
        parity={"rows": 10, "max_abs_difference": 2.5e-6, "argmax_agreement": 1.0, "tolerance": 1e-4},
        lineage={
            "training_file": "file-1",
            "training_sha256": "ab" * 32,
            "seed": 42,
            "hyperparameters": {"n_epochs": 4, "learning_rate": 0.002},
        },
    )


def rows_of_labels(card: str) -> list[str]:
    lines = card.splitlines()
    start = lines.index("| label | precision | recall | F1 | rows |") + 2
    return lines[start : lines.index("", start)]


@pytest.mark.parametrize(
    "fact",
    [
        "# tickets\n",
        "adapted from `minilm@2` (bert) with LoRA",
        "Licence of the base: Apache-2.0",
        "file `file-1`, SHA-256 `" + "ab" * 32,
        "110 rows, 100 used: 80 to train on, 10 to choose the best state, 10 held out",
        "| frozen base, logistic regression | 0.8500 | 0.8000 |",
        "| this model | 0.9125 | 0.8765 |",
        "| billing | 0.750 | 0.500 | 0.600 | 5 |",
        "2.50e-06 (at most 1e-04 is let through), same answer on 100.00%",
        "- n_epochs: 4",
        "- seed: 42",
        "cut at 256 tokens",
    ],
)
def test_the_card_states_the_fact(fact: str) -> None:
    assert fact in write_card(entry_for("billing", "delivery"), REPORT)


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("a|b", r"a\|b"),
        ("a\\|b", r"a\\\|b"),
        ("two\nlines\rand\u2028more", "two lines and more"),
        ("tab\tand  spaces ", "tab and spaces"),
        ("x" * 500, "x" * 60),
        ("\u05e9\u05dc\u05d5\u05dd", "\u05e9\u05dc\u05d5\u05dd"),
    ],
    ids=["pipe", "escaped-pipe", "line-breaks", "spaces", "long", "rtl"],
)
def test_a_label_stays_within_its_cell(label: str, shown: str) -> None:
    (row,) = rows_of_labels(write_card(entry_for(label), REPORT))
    assert row == f"| {shown} | 0.750 | 0.500 | 0.600 | 5 |"


def test_a_label_that_is_cut_does_not_open_the_next_cell() -> None:
    (row,) = rows_of_labels(write_card(entry_for("|" * 500), REPORT))
    assert len(re.findall(r"(?<!\\)\|", row)) == 6


def test_at_most_a_hundred_labels_are_listed_and_all_are_counted() -> None:
    card = write_card(entry_for(*(f"label {number}" for number in range(150))), REPORT)
    assert len(rows_of_labels(card)) == 100
    assert "- 150 labels" in card


def test_a_card_names_no_folder_and_no_text_of_the_data() -> None:
    entry = entry_for("billing")
    detailed: dict[str, Any] = {**entry.lineage, "path": "/home/somebody/data.csv", "text": "my secret parcel"}
    card = write_card(entry.model_copy(update={"lineage": detailed}), REPORT)
    assert "somebody" not in card and "secret" not in card
