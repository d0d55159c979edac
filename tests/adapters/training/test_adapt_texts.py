"""The fine-tune job on pairs of texts, from file to published version, on tiny models."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForSeq2SeqLM

from adapters.datasets import FileStore
from adapters.jobs import Hyperparameters, JobKind, JobSpec
from adapters.training import adapt, lora
from adapters.training.recipe import load_recipe
from adapters.training.texts.scores import corpus_chrf
from tests.adapters.training.quiet_context import QuietContext, context_for
from tests.conftest import TinyZoo
from tests.imports import Imports
from tests.tiny_texts import DIALECT, pairs, write_pairs
from tests.torch_texts import KINDS, TorchTexts
from tests.zoo.tasks.text_models import import_texts
from zoo.engine.predictor import Predictor
from zoo.errors import InvalidInput, ParityFailed, Unsupported

FAST = Hyperparameters(n_epochs=12, batch_size=16, learning_rate=0.01)


def asked(
    zoo: TinyZoo,
    rows: list[tuple[str, str]],
    *,
    job: str = "ftjob-1",
    header: tuple[str, str] = ("en", "de"),
    **spec: Any,
) -> QuietContext:
    path = write_pairs(zoo.home / f"{job}.csv", rows, header)

    async def chunks() -> AsyncIterator[bytes]:
        yield path.read_bytes()

    files = FileStore(zoo.home, zoo.settings)
    file = asyncio.run(files.receive(chunks(), filename="pairs.csv", purpose="fine-tune")).id
    given = {"kind": JobKind.ADAPT, "model": "taught", "suffix": "mine", "task": "translation"}
    return context_for(zoo.home, JobSpec(**(given | {"hyperparameters": FAST, "training_file": file} | spec)), job=job)


@pytest.fixture(scope="module")
def texts(imports: Imports, tmp_path_factory: pytest.TempPathFactory) -> TinyZoo:
    return import_texts(imports, tmp_path_factory.mktemp("texts"), "taught")


@pytest.fixture(scope="module")
def adapted(texts: TinyZoo, tmp_path_factory: pytest.TempPathFactory) -> tuple[TinyZoo, dict[str, Any], QuietContext]:
    zoo = copied(texts, tmp_path_factory.mktemp("adapted"))
    context = asked(zoo, pairs(160, words=DIALECT), seed=2)
    return zoo, adapt.run(context, zoo.settings), context


def copied(zoo: TinyZoo, folder: Path) -> TinyZoo:
    shutil.copytree(zoo.home, folder / "home")
    return TinyZoo(folder / "home", zoo.checkpoints)


def written(zoo: TinyZoo, name: str, items: list[str]) -> list[str]:
    entry = zoo.store.entry(name, 1)
    answers: Any = Predictor(entry, zoo.store.folder(name, 1), threads=1).predict(items).body
    return [next(iter(answer.values())) for answer in answers]


def test_the_adapted_model_translates_what_it_was_taught(
    adapted: tuple[TinyZoo, dict[str, Any], QuietContext],
) -> None:
    zoo, _, _ = adapted
    fresh = [pair for pair in pairs(220, words=DIALECT) if pair not in pairs(160, words=DIALECT)]
    sources, targets = [source for source, _ in fresh], [target for _, target in fresh]
    before, after = (corpus_chrf(written(zoo, name, sources), targets) for name in ("taught", "mine"))
    assert before < 70
    assert after > before + 0.5 * (100 - before)


def test_figures_are_those_of_before_and_after(adapted: tuple[TinyZoo, dict[str, Any], QuietContext]) -> None:
    zoo, result, context = adapted
    entry = zoo.store.entry("mine", 1)
    assert (entry.task, entry.labels, entry.base) == ("translation", (), "taught@1")
    assert set(result["metrics"]) == {"heldout", "before"}
    assert set(result["metrics"]["heldout"]) == {"rows", "chrf", "bleu"}
    assert result["metrics"]["heldout"]["chrf"] > result["metrics"]["before"]["chrf"] + 10
    assert any(message.startswith("taught as it is: chrf ") for message in context.messages)
    card = (zoo.store.folder("mine", 1) / "README.md").read_text()
    assert "| taught@1 as it is |" in card and "head.safetensors" not in card


def test_the_gate_found_the_served_graphs_to_write_the_same(
    adapted: tuple[TinyZoo, dict[str, Any], QuietContext],
) -> None:
    entry = adapted[0].store.entry("mine", 1)
    assert entry.parity["argmax_agreement"] == 1.0
    assert entry.parity["max_abs_difference"] <= 1e-4
    files = {file.path for file in entry.files}
    assert files >= {"model.onnx", "decoder.onnx", "tokenizer.json", "source.json"}


def test_peft_loads_the_adapter_onto_the_network(adapted: tuple[TinyZoo, dict[str, Any], QuietContext]) -> None:
    zoo, _, _ = adapted
    folder = zoo.store.folder("mine", 1) / "adapter"
    names = " ".join(load_file(folder / "adapter_model.safetensors"))
    for part in ("encoder.layers.0.self_attn.q_proj", "decoder.layers.1.encoder_attn.v_proj", "decoder.layers.0.fc2"):
        assert f"model.{part}.lora_A" in names
    assert "embed" not in names and "lm_head" not in names
    model = AutoModelForSeq2SeqLM.from_pretrained(zoo.checkpoints / "taught")
    wrapped = PeftModel.from_pretrained(model, str(folder)).eval()
    known = json.loads((zoo.checkpoints / "taught" / "vocab.json").read_text())
    (source, _), *_ = pairs(1, words=DIALECT)
    ids = torch.tensor([[*(known["▁" + word] for word in source.split()), 0]])
    tokens = wrapped.generate(input_ids=ids, max_length=16, num_beams=1)[0].tolist()
    named = {place: piece for piece, place in known.items()}
    text = "".join(named[token] for token in tokens if token not in (0, len(known) - 1)).replace("▁", " ").strip()
    assert [text] == written(zoo, "mine", [source])


def test_a_model_that_writes_otherwise_than_it_was_trained_is_not_published(
    texts: TinyZoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoo = copied(texts, tmp_path)
    genuine = lora.merged

    def damaged(wrapped: Any) -> Any:
        network = genuine(wrapped)
        for name, weight in network.named_parameters():
            if name.endswith("fc1.weight"):
                weight.add_(0.5)
        return network

    monkeypatch.setattr(lora, "merged", damaged)
    short = Hyperparameters(n_epochs=1, batch_size=16, learning_rate=0.01)
    with pytest.raises(ParityFailed):
        adapt.run(asked(zoo, pairs(40), hyperparameters=short), zoo.settings)
    assert "mine" not in zoo.store.names()


def test_a_file_that_is_the_other_way_round_teaches_nothing(texts: TinyZoo, tmp_path: Path) -> None:
    zoo = copied(texts, tmp_path)
    backwards = [(target, source) for source, target in pairs(40)]
    with pytest.raises(InvalidInput) as caught:
        adapt.run(asked(zoo, backwards), zoo.settings)
    assert (caught.value.code, caught.value.param) == ("wrong_direction", "training_file")
    assert "translates en to de" in caught.value.message
    assert "mine" not in zoo.store.names()


@pytest.mark.parametrize(
    ("kind", "task", "said"),
    [
        ("m2m_100", "translation", "by the languages' codes"),
        ("t5", "summarization", "start from a model that translates"),
    ],
)
def test_what_cannot_learn_to_translate_one_pair_says_why(tmp_path: Path, kind: str, task: str, said: str) -> None:
    checkpoint = KINDS[kind](tmp_path / kind)
    entry = TorchTexts.read(checkpoint, task).entry
    with pytest.raises((InvalidInput, Unsupported)) as caught:
        load_recipe("translation").adapt(checkpoint, entry, [], labels=(), asked=FAST)
    assert caught.value.code == "not_adaptable"
    assert said in caught.value.message


def test_a_model_of_many_languages_learns_the_pair_that_the_columns_name(imports: Imports, tmp_path: Path) -> None:
    zoo = import_texts(imports, tmp_path, "tongues")
    short = Hyperparameters(n_epochs=1, batch_size=16, learning_rate=0.01)
    context = asked(zoo, pairs(40), header=("fr", "nl"), model="tongues", hyperparameters=short)
    adapt.run(context, zoo.settings)
    settings = zoo.store.entry("mine", 1).options["text_to_text"]
    assert (settings["source"], settings["target"]) == ("fr", "nl")
    assert len(written(zoo, "mine", ["the cat"])) == 1
