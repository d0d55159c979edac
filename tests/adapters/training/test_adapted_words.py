"""An adapter and a head for words beside a body without one fill gaps as the whole network does."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForMaskedLM, pipeline

from adapters import importing
from adapters.jobs import Hyperparameters, JobKind, JobSpec
from adapters.pretraining.texts import network_of
from adapters.training import lora
from adapters.training.architectures.word_head import WordHead
from adapters.training.checkpoint import infer_task
from adapters.training.encoder import load_weights
from adapters.training.hyperparameters import resolve
from adapters.training.layouts.adapted import write_adapted
from adapters.training.recipe import Defaults, load_recipe
from tests.adapters.training.quiet_context import context_for
from tests.tiny_language import write_filler
from zoo.catalogue.entry import CatalogueEntry, FolderSource
from zoo.catalogue.store import Store
from zoo.engine.predictor import Predictor
from zoo.errors import InvalidInput
from zoo.settings import Settings

TASK = "fill-mask"
DEFAULTS = Defaults(
    updates=1, epochs=(1, 1), batch_size=(1, 1), learning_rate=(1e-3, 1e-3), lora_rank=4, top=1.0, plain_attention=True
)
TEXTS = ["my parcel was [MASK] today", "[MASK]", "why is the price [MASK]?"]


def written(small: Path, whole: Path | None = None) -> Path:
    """A body with an adapter that changes something and a head; in ``whole`` the same as one network."""
    filler: Any = AutoModelForMaskedLM.from_pretrained(write_filler(small.with_name("filler"), "bert"))
    filler.bert.save_pretrained(small)
    names = ("tokenizer.json", "tokenizer_config.json")
    for name in names:
        shutil.copy(small.with_name("filler") / name, small)
    body: Any = load_weights(AutoModel, small)
    config = network_of(body)
    head = WordHead(body.get_input_embeddings().weight)
    guess = filler.cls.predictions
    with torch.no_grad():
        for target, source in (
            (head.dense.weight, guess.transform.dense.weight),
            (head.dense.bias, guess.transform.dense.bias),
            (head.norm.weight, guess.transform.LayerNorm.weight),
            (head.norm.bias, guess.transform.LayerNorm.bias),
            (head.bias, guess.bias),
        ):
            source.copy_(source.half())
            target.copy_(source)
        plan = resolve(Hyperparameters(), DEFAULTS, rows=1, layers=2, max_tokens=None)
        wrapped = lora.wrap(body, lora.targets(body, list(lora.blocks(body)[1])), plan.ranks, base="body")
        for _, weight in lora.weights(wrapped):
            weight.copy_((0.1 * torch.randn_like(weight)).half())
    write_adapted(small, wrapped, head, labels=(), **config, task=TASK)
    if whole is not None:
        filler.bert.load_state_dict(lora.merged(wrapped).state_dict(), strict=False)  # without the pooler
        filler.save_pretrained(whole)
        for name in names:
            shutil.copy(small / name, whole)
    return small


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With ``small``, the body with adapter and head beside, and ``whole``."""
    root = tmp_path_factory.mktemp("checkpoints")
    written(root / "small", root / "whole")
    return root


@pytest.fixture(scope="module")
def served(folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Predictor]:
    """A model of the catalogue, imported as any other is, the gate included."""
    home, small = tmp_path_factory.mktemp("home"), folders / "small"
    files = [path for path in small.rglob("*") if path.is_file()]
    offer = CatalogueEntry(
        name="small",
        title="",
        task=TASK,
        modality="text",
        architecture="bert",
        licence="mit",
        size_mb=1,
        sources=(FolderSource(kind="folder", path=str(small)),),
        files={path.relative_to(small).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importing, "load_catalogue", lambda: {"small": offer})
        context = context_for(home, JobSpec(kind=JobKind.IMPORT, model="small"))
        importing.run(context, Settings(_env_file=None, home=home, worker_threads=1))
    store = Store(home)
    yield Predictor(store.entry("small", 1), store.folder("small", 1), threads=1)


@pytest.fixture(scope="module")
def reference(folders: Path) -> Any:
    return pipeline("fill-mask", model=str(folders / "whole"), device="cpu")


def assert_same(told: Any, expected: Any) -> None:
    assert [item["score"] for item in told] == pytest.approx([item["score"] for item in expected], abs=1e-4)
    for name in ("token", "token_str", "sequence"):
        assert [item[name] for item in told] == [item[name] for item in expected]


def test_the_task_is_the_one_that_it_names(folders: Path, served: Predictor) -> None:
    assert infer_task(folders / "small") == TASK
    assert (served.entry.task, served.entry.architecture, served.entry.labels) == (TASK, "bert", ())


@pytest.mark.parametrize("options", [{}, {"top_k": 12}, {"targets": ["late", "lost"]}], ids=["none", "more", "words"])
def test_it_answers_as_the_whole_network_does(options: dict[str, Any], served: Predictor, reference: Any) -> None:
    body: Any = served.predict(TEXTS, options).body
    for text, told in zip(TEXTS, body, strict=True):
        assert_same(told, reference(text, **options))


def test_several_gaps_are_filled_each_by_itself(served: Predictor, reference: Any) -> None:
    text = "my [MASK] was [MASK] again, [MASK]."
    body: Any = served.predict(text).body
    for told, expected in zip(body, reference(text), strict=True):
        assert_same(told, expected)


def test_the_table_of_words_is_not_stored_again(folders: Path) -> None:
    stored = load_file(folders / "small" / "adapter" / "head.safetensors")
    assert sorted(stored) == ["bias", "dense.bias", "dense.weight", "norm.bias", "norm.weight"]
    assert {tensor.dtype for tensor in stored.values()} == {torch.float16}


@pytest.mark.parametrize("fault", ["bias", "dense.weight", "more"])
def test_a_head_for_another_body_is_refused(fault: str, tmp_path: Path) -> None:
    path = written(tmp_path / "small") / "adapter" / "head.safetensors"
    save_file({**load_file(path), fault: torch.zeros(5)}, str(path))
    with pytest.raises(InvalidInput, match="no head for its body") as caught:
        load_recipe(TASK).load(tmp_path / "small")
    assert caught.value.code == "invalid_checkpoint"
