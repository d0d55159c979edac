"""The adapter of a version goes into another zoo as a folder, and answers there as it did at home."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.adapters.training.jobs import adapted, served
from tests.adapters.training.peft_folders import imported, refused
from tests.adapters.training.spans.test_adapt_answers import question_rows
from tests.conftest import TinyZoo
from tests.tiny import rows
from tests.tiny_sentences import several
from tests.tiny_spans import tagged_rows
from zoo.catalogue.entry import CHECKPOINT, ModelEntry

TEXTS = ["my parcel is late again", "refund my card please", "the login is locked"]
ROWS: dict[str, list[dict[str, Any]]] = {
    "topics": [{"text": text, "label": label} for text, label in rows(60)],
    "several": several(60),
    "entities": tagged_rows(40),
    "answers": question_rows(60),
}


@pytest.fixture(scope="module")
def home(tiny_zoo: TinyZoo, tmp_path_factory: pytest.TempPathFactory) -> tuple[TinyZoo, dict[str, ModelEntry]]:
    """Where the versions were made: look, don't touch."""
    zoo = TinyZoo(tmp_path_factory.mktemp("made") / "home", tiny_zoo.checkpoints)
    shutil.copytree(tiny_zoo.home, zoo.home)
    return zoo, {name: adapted(zoo, rows_, job=f"ftjob-{name}", suffix=name)[0] for name, rows_ in ROWS.items()}


def folder_of(home: tuple[TinyZoo, dict[str, ModelEntry]], name: str) -> Path:
    return home[0].store.folder(name, 1) / "adapter"


@pytest.mark.parametrize("name", ROWS)
def test_it_answers_as_at_home_and_by_the_body(
    home: tuple[TinyZoo, dict[str, ModelEntry]], own_zoo: TinyZoo, name: str
) -> None:
    made = home[1][name]
    entry = imported(own_zoo, folder_of(home, name), model="again")
    assert (entry.task, entry.labels, entry.base) == (made.task, made.labels, "mini@1")
    assert entry.options["served_by"] == "body" and entry.parity["slots"]["rows"] > 0
    asked = [{"question": "what is it?", "context": text} for text in TEXTS] if name == "answers" else TEXTS
    ours, theirs = served(own_zoo, entry).rows(asked), served(home[0], made).rows(asked)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(np.asarray(one, float), np.asarray(other, float), atol=1e-4)


def test_its_labels_may_be_named_anew(home: tuple[TinyZoo, dict[str, ModelEntry]], own_zoo: TinyZoo) -> None:
    entry = imported(own_zoo, folder_of(home, "topics"), model="again", labels=("a", "b", "c"))
    assert entry.labels == ("a", "b", "c")
    once_more = imported(own_zoo, own_zoo.store.folder("again", 1) / "adapter", model="third")
    assert once_more.labels == ("a", "b", "c")


def test_another_number_of_labels_is_refused(home: tuple[TinyZoo, dict[str, ModelEntry]], own_zoo: TinyZoo) -> None:
    error = refused(own_zoo, folder_of(home, "topics"), labels=("a", "b"))
    assert (error.code, error.param) == ("invalid_labels", "labels")


def test_another_task_than_its_own_is_refused(home: tuple[TinyZoo, dict[str, ModelEntry]], own_zoo: TinyZoo) -> None:
    error = refused(own_zoo, folder_of(home, "topics"), task="token-classification")
    assert (error.code, error.param) == ("wrong_task", "task")


def test_a_base_of_the_same_form_with_other_weights_is_refused(
    home: tuple[TinyZoo, dict[str, ModelEntry]], own_zoo: TinyZoo
) -> None:
    store = own_zoo.store
    with store.staging() as staged:
        shutil.copytree(store.folder("mini", 1), staged, dirs_exist_ok=True)
        (staged / "manifest.json").unlink()
        weights = staged / CHECKPOINT / "model.safetensors"
        save_file({name: 1.01 * tensor for name, tensor in load_file(weights).items()}, weights)
        store.publish(staged, store.entry("mini", 1).model_copy(update={"name": "other", "lineage": {"job": "other"}}))
    error = refused(own_zoo, folder_of(home, "topics"), base="other")
    assert (error.code, error.param) == ("adapter_misfit", "base")
    assert "other weights" in error.message


def test_a_head_that_nothing_is_said_of_is_refused(
    home: tuple[TinyZoo, dict[str, ModelEntry]], own_zoo: TinyZoo, tmp_path: Path
) -> None:
    folder = shutil.copytree(folder_of(home, "topics"), tmp_path / "adapter")
    (folder / "config.json").unlink()
    error = refused(own_zoo, folder)
    assert error.code == "invalid_adapter" and "config.json" in error.message


@pytest.mark.parametrize("labels", [["a", "a", "b"], ["a", "b", ""], ["a", "b", "c" * 10_000]])
def test_labels_that_are_no_names_are_refused(
    home: tuple[TinyZoo, dict[str, ModelEntry]], own_zoo: TinyZoo, tmp_path: Path, labels: list[str]
) -> None:
    folder = shutil.copytree(folder_of(home, "topics"), tmp_path / "adapter")
    about = json.loads((folder / "config.json").read_text()) | {"label_names": labels}
    (folder / "config.json").write_text(json.dumps(about))
    assert refused(own_zoo, folder).code == "invalid_adapter"


@pytest.mark.parametrize("readout", [{"pooling": "sum"}, {"wide": True}, "mean", 3])
def test_a_way_to_read_the_body_that_nobody_knows_is_refused(
    home: tuple[TinyZoo, dict[str, ModelEntry]], own_zoo: TinyZoo, tmp_path: Path, readout: object
) -> None:
    folder = shutil.copytree(folder_of(home, "topics"), tmp_path / "adapter")
    about = json.loads((folder / "config.json").read_text()) | {"readout": readout}
    (folder / "config.json").write_text(json.dumps(about))
    assert refused(own_zoo, folder).code == "invalid_adapter"


def test_what_else_a_configuration_holds_is_the_bases(
    home: tuple[TinyZoo, dict[str, ModelEntry]], own_zoo: TinyZoo, tmp_path: Path
) -> None:
    folder = shutil.copytree(folder_of(home, "topics"), tmp_path / "adapter")
    about = json.loads((folder / "config.json").read_text())
    foreign = {"hidden_size": 10**9, "model_type": "gpt2", "pooling": "max"}
    (folder / "config.json").write_text(json.dumps(about | foreign))
    entry = imported(own_zoo, folder, model="again")
    assert (entry.architecture, entry.options["served_by"]) == ("bert", "body")
