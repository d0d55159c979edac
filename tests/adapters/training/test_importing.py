"""The import job, on checkpoints in hub layout that the tests write."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from adapters import importing
from adapters.jobs import JobKind, JobSpec
from tests.adapters.training.quiet_context import QuietContext, context_for
from tests.conftest import TinyZoo
from tests.imports import Imports
from tests.tiny import write_checkpoint
from zoo.catalogue.registry import load_catalogue
from zoo.catalogue.store import Store
from zoo.engine.predictor import Predictor
from zoo.errors import InvalidInput, ModelNotFound, Unsupported, ZooError
from zoo.settings import Settings


def settings_in(home: Path) -> Settings:
    return Settings(_env_file=None, home=home, worker_threads=1)


def asked(home: Path, folder: Path, *, task: str | None = None) -> QuietContext:
    source = {"kind": "folder", "path": str(folder)}
    return context_for(home, JobSpec(kind=JobKind.IMPORT, model="mine", task=task, source=source))


def predictor_of(home: Path, name: str = "mine") -> Predictor:
    store = Store(home)
    return Predictor(store.entry(name, 1), store.folder(name, 1), threads=1)


def test_an_imported_encoder_says_what_it_is(tiny_zoo: TinyZoo) -> None:
    entry = tiny_zoo.store.entry("mini", 1)
    assert (entry.task, entry.modality, entry.architecture) == ("feature-extraction", "text", "bert")
    assert entry.limits == {"max_tokens": 48, "width": 32}
    assert entry.options == {"pooling": "mean", "normalise": True, "pad_token_id": 0}
    assert tiny_zoo.store.aliases("mini") == {"live": 1}


def test_an_imported_classifier_keeps_its_labels(tiny_zoo: TinyZoo) -> None:
    entry = tiny_zoo.store.entry("mood", 1)
    assert (entry.task, entry.labels) == ("text-classification", ("bad", "good", "so-so"))


def test_the_export_is_compared_on_shapes_of_every_size(tiny_zoo: TinyZoo) -> None:
    parity = tiny_zoo.store.entry("mini", 1).parity
    assert parity["rows"] == 2 * (1 + 2 + 5)
    assert parity["max_abs_difference"] <= 1e-4
    assert parity["argmax_agreement"] == 1.0


def test_the_weights_stay_beside_the_graph_for_adapting(tiny_zoo: TinyZoo) -> None:
    kept = {file.path for file in tiny_zoo.store.entry("mini", 1).files}
    assert {"model.onnx", "tokenizer.json", "checkpoint/model.safetensors", "checkpoint/config.json"} <= kept


@pytest.mark.parametrize("pooling", ["cls", "max"])
def test_other_poolings_are_served_as_the_checkpoint_says(imports: Imports, tmp_path: Path, pooling: str) -> None:
    folder = write_checkpoint(tmp_path / "checkpoint", pooling=pooling)
    imports.bring(tmp_path, "mine", folder)
    assert predictor_of(tmp_path).entry.options["pooling"] == pooling
    from transformers import AutoModel, AutoTokenizer

    encoded = AutoTokenizer.from_pretrained(folder)("my parcel was late", return_tensors="pt")
    with torch.no_grad():
        hidden = AutoModel.from_pretrained(folder)(**encoded).last_hidden_state[0]
    expected = hidden[0] if pooling == "cls" else hidden.max(dim=0).values
    (served,) = predictor_of(tmp_path).rows(["my parcel was late"])
    np.testing.assert_allclose(np.asarray(served, dtype=float), expected.numpy(), atol=1e-5)


def test_a_checkpoint_that_brings_its_own_code_is_refused(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "checkpoint")
    config = json.loads((folder / "config.json").read_text()) | {"auto_map": {"AutoModel": "modeling_x.Model"}}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ZooError) as caught:
        importing.run(asked(tmp_path, folder), settings_in(tmp_path))
    assert caught.value.code == "remote_code"


def test_a_pickle_is_refused_and_nothing_is_published(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "checkpoint")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ZooError) as caught:
        importing.run(asked(tmp_path, folder), settings_in(tmp_path))
    assert caught.value.code in ("unsafe_weights", "no_weights")
    assert Store(tmp_path).names() == []


def test_missing_weights_are_named(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "checkpoint")
    weights = load_file(folder / "model.safetensors")
    del weights["encoder.layer.1.output.dense.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InvalidInput, match=r"encoder\.layer\.1\.output\.dense\.weight"):
        importing.run(asked(tmp_path, folder), settings_in(tmp_path))


def test_a_checkpoint_of_another_task_is_refused_with_what_can_be_imported(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "checkpoint")
    config = json.loads((folder / "config.json").read_text()) | {"architectures": ["BertForMultipleChoice"]}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "modules.json").unlink()
    with pytest.raises(Unsupported, match="it imports audio-classification, .*text-classification"):
        importing.run(asked(tmp_path, folder), settings_in(tmp_path))


def test_a_catalogue_entry_of_a_task_to_come_is_refused_before_anything_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer = load_catalogue()["deberta-v3-zeroshot"].model_copy(update={"task": "table-question-answering"})
    monkeypatch.setattr(importing, "load_catalogue", lambda: {offer.name: offer})
    context = context_for(tmp_path, JobSpec(kind=JobKind.IMPORT, model=offer.name))
    with pytest.raises(Unsupported, match="table-question-answering"):
        importing.run(context, settings_in(tmp_path))
    assert context.messages == []


def test_an_unknown_name_without_a_source_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="name a source"):
        importing.run(context_for(tmp_path, JobSpec(kind=JobKind.IMPORT, model="nothing")), settings_in(tmp_path))


def test_a_vocabulary_without_tokenizer_json_gets_one(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "checkpoint", num_hidden_layers=1)
    pieces = sorted(
        (vocabulary := json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]),
        key=vocabulary.__getitem__,
    )
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n")
    settings = {"tokenizer_class": "BertTokenizer", "model_max_length": 48}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    importing.run(asked(tmp_path, folder), settings_in(tmp_path))
    assert len(predictor_of(tmp_path).rows(["my parcel"])[0]) == 32
