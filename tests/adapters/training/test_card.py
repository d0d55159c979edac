"""The model card: every figure stands in it, and no label breaks its tables."""

from __future__ import annotations

import re
from typing import Any

import pytest

from adapters.training.card import write_card
from zoo.catalogue.entry import ModelEntry

HEADLINE = ("accuracy", "macro_f1")
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
    start = lines.index("| label | precision | recall | f1 | support |") + 2
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
        "| | accuracy | macro f1 |",
        "| this model | 0.9125 | 0.8765 |",
        "| billing | 0.750 | 0.500 | 0.600 | 5 |",
        "2.50e-06 (at most 1e-04 is let through), same answer on 100.00%",
        "- n_epochs: 4",
        "- seed: 42",
        "cut at 256 tokens",
    ],
)
def test_the_card_states_the_fact(fact: str) -> None:
    assert fact in write_card(entry_for("billing", "delivery"), REPORT, HEADLINE, with_head=True)


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
    (row,) = rows_of_labels(write_card(entry_for(label), REPORT, HEADLINE, with_head=True))
    assert row == f"| {shown} | 0.750 | 0.500 | 0.600 | 5 |"


def test_a_label_that_is_cut_does_not_open_the_next_cell() -> None:
    (row,) = rows_of_labels(write_card(entry_for("|" * 500), REPORT, HEADLINE, with_head=True))
    assert len(re.findall(r"(?<!\\)\|", row)) == 6


def test_at_most_a_hundred_labels_are_listed_and_all_are_counted() -> None:
    card = write_card(entry_for(*(f"label {number}" for number in range(150))), REPORT, HEADLINE, with_head=True)
    assert len(rows_of_labels(card)) == 100
    assert "- 150 labels" in card


def test_a_card_names_no_folder_and_no_text_of_the_data() -> None:
    entry = entry_for("billing")
    detailed: dict[str, Any] = {**entry.lineage, "path": "/home/somebody/data.csv", "text": "my secret parcel"}
    card = write_card(entry.model_copy(update={"lineage": detailed}), REPORT, HEADLINE, with_head=True)
    assert "somebody" not in card and "secret" not in card


def detector() -> ModelEntry:
    """A model of pictures: other figures, no probe, nothing that is cut."""
    classes = {"ant": {"ap50": 0.5, "boxes": 12}, "bee": {"ap50": 0.25, "boxes": 3}}
    return entry_for("ant", "bee").model_copy(
        update={
            "task": "object-detection",
            "modality": "image",
            "limits": {"height": 320, "width": 320},
            "metrics": {"heldout": {"map": 0.375, "map_50": 0.61239, "rows": 10, "per_class": classes}},
        }
    )


def test_the_first_figures_are_those_of_the_task() -> None:
    card = write_card(detector(), REPORT, ("map", "map_50"), with_head=True)
    assert "| | map | map 50 |\n|---|---|---|\n| this model | 0.3750 | 0.6124 |\n" in card


def test_figures_of_classes_are_those_of_the_task() -> None:
    card = write_card(detector(), REPORT, ("map",), with_head=True)
    assert "| label | ap50 | boxes |\n|---|---|---|\n| ant | 0.500 | 12 |\n| bee | 0.250 | 3 |\n" in card


def test_a_card_without_a_probe_tells_of_none() -> None:
    card = write_card(detector(), REPORT, ("map", "map_50"), with_head=True)
    assert "frozen base" not in card and "logistic regression" not in card


def test_a_card_without_figures_of_classes_has_no_table_of_them() -> None:
    entry = detector().model_copy(update={"metrics": {"heldout": {"map": 0.5}}})
    assert "| label |" not in write_card(entry, REPORT, ("map",), with_head=True)


def test_a_model_of_pictures_cuts_no_texts() -> None:
    assert "tokens" not in write_card(detector(), REPORT, ("map",), with_head=True)
