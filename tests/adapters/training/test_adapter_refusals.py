"""Adapters made elsewhere that are refused, and what is told about them: nothing is published."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from adapters import importing
from adapters.training import lora
from adapters.training.peft_folder import PeftFolder
from tests.adapters.training.peft_folders import NAMES, Saved, asked, refused, save
from tests.conftest import TinyZoo
from tests.tiny import write_checkpoint
from zoo.errors import InvalidInput, Unsupported


@pytest.fixture(scope="module")
def made(tiny_zoo: TinyZoo, tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """A sequence classifier on ``mini`` without names of its labels: look, don't touch."""
    folder = tmp_path_factory.mktemp("saved") / "made"
    return save(tiny_zoo.checkpoints / "mini", folder, kind="SEQ_CLS", targets=("query",))


def copied(saved: Saved, folder: Path, **settings: Any) -> Path:
    shutil.copytree(saved.folder, folder)
    config = json.loads((folder / "adapter_config.json").read_text()) | settings
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


def test_without_labels_it_is_told_how_many_to_give_and_how(tiny_zoo: TinyZoo, made: Saved) -> None:
    error = refused(tiny_zoo, made.folder)
    assert (error.code, error.param) == ("labels_missing", "labels")
    assert "3 classes" in error.message and "--labels a,b,c" in error.message


def test_without_a_task_it_is_told_which_there_are(tiny_zoo: TinyZoo, made: Saved, tmp_path: Path) -> None:
    error = refused(tiny_zoo, copied(made, tmp_path / "made", task_type=None), labels=NAMES)
    assert (error.code, error.param) == ("unsupported_task", "task")
    assert "text-classification, token-classification" in error.message


def test_labels_that_are_given_stand_above_those_beside_the_adapter(made: Saved, tmp_path: Path) -> None:
    folder = copied(made, tmp_path / "made")
    (folder / "config.json").write_text(json.dumps({"id2label": dict(enumerate(NAMES))}))
    read = PeftFolder.read(folder, task=None)
    assert read.labels(3, None) == NAMES
    assert read.labels(3, ("one", "two", "three")) == ("one", "two", "three")


def test_the_head_of_a_version_without_what_it_is_for_is_refused(
    tiny_zoo: TinyZoo, made: Saved, tmp_path: Path
) -> None:
    folder = copied(made, tmp_path / "made")
    save_file({"weight": torch.zeros(3, 32), "bias": torch.zeros(3)}, folder / "head.safetensors")
    assert "says what it answers" in refused(tiny_zoo, folder, labels=NAMES).message


def test_another_number_of_labels_than_of_classes_is_refused(tiny_zoo: TinyZoo, made: Saved) -> None:
    error = refused(tiny_zoo, made.folder, labels=("a", "b"))
    assert error.code == "invalid_labels"
    assert "3 classes apart, 2 labels are given" in error.message


def test_labels_for_a_task_without_labels_are_refused(tiny_zoo: TinyZoo, tmp_path: Path) -> None:
    saved = save(tiny_zoo.checkpoints / "mini", tmp_path / "made", kind="QUESTION_ANS", targets=("query",))
    assert refused(tiny_zoo, saved.folder, labels=NAMES).param == "labels"


def test_an_adapter_made_for_a_body_of_another_width_is_refused(tiny_zoo: TinyZoo, tmp_path: Path) -> None:
    other = write_checkpoint(tmp_path / "other", hidden_size=48)
    saved = save(other, tmp_path / "made", kind="SEQ_CLS", targets=("query",), named=NAMES)
    error = refused(tiny_zoo, saved.folder)
    assert (error.code, error.param) == ("adapter_misfit", "base")
    assert "query takes 48 numbers to 48, the base's 32 to 32" in error.message


def test_an_adapter_of_layers_that_the_body_lacks_is_refused(tiny_zoo: TinyZoo, tmp_path: Path) -> None:
    other = write_checkpoint(tmp_path / "other", num_hidden_layers=3)
    saved = save(other, tmp_path / "made", kind="SEQ_CLS", targets=("query",), named=NAMES)
    assert (
        "bert.encoder.layer.2.attention.self.query, which is no linear layer" in refused(tiny_zoo, saved.folder).message
    )


def test_an_adapter_beside_another_vocabulary_is_refused(tiny_zoo: TinyZoo, made: Saved, tmp_path: Path) -> None:
    folder = copied(made, tmp_path / "made")
    tokenizer = json.loads((tiny_zoo.checkpoints / "mini" / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"] |= {"parcel": tokenizer["model"]["vocab"]["late"]}
    tokenizer["model"]["vocab"] |= {"late": 999}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert "another vocabulary" in refused(tiny_zoo, folder, labels=NAMES).message


def test_an_adapter_without_the_weights_of_its_head_is_refused(tiny_zoo: TinyZoo, made: Saved, tmp_path: Path) -> None:
    folder = copied(made, tmp_path / "made")
    weights = load_file(folder / "adapter_model.safetensors")
    kept = {name: value for name, value in weights.items() if "lora_" in name}
    save_file(kept, folder / "adapter_model.safetensors")
    error = refused(tiny_zoo, folder, labels=NAMES)
    assert error.code == "adapter_misfit"
    assert "classifier." in error.message and "modules_to_save" in error.message


def test_a_pickle_of_an_adapter_is_refused_with_the_way_out(tiny_zoo: TinyZoo, made: Saved, tmp_path: Path) -> None:
    folder = copied(made, tmp_path / "made")
    torch.save(load_file(folder / "adapter_model.safetensors"), folder / "adapter_model.bin")
    (folder / "adapter_model.safetensors").unlink()
    error = refused(tiny_zoo, folder, labels=NAMES)
    assert error.code == "invalid_adapter"
    assert "adapter_model.bin" in error.message and "adapter_model.safetensors" in error.message


@pytest.mark.parametrize("name", ["adapter.py", "MODEL.PY", "kernel.so"])
def test_row_48_code_beside_an_adapter_is_refused(tiny_zoo: TinyZoo, made: Saved, tmp_path: Path, name: str) -> None:
    folder = copied(made, tmp_path / "made")
    (folder / name).write_bytes(b"print()")
    error = refused(tiny_zoo, folder, labels=NAMES)
    assert error.code == "invalid_adapter"
    assert "code has no place there" in error.message


def test_row_48_a_tensor_that_is_there_twice_is_refused(tiny_zoo: TinyZoo, made: Saved, tmp_path: Path) -> None:
    folder = copied(made, tmp_path / "made")
    weights = folder / "adapter_model.safetensors"
    content = weights.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = content[8 : 8 + length].strip()
    name, spec = next((name, spec) for name, spec in json.loads(header).items() if name != "__metadata__")
    doubled = header[:-1] + f",{json.dumps(name)}:{json.dumps(spec)}}}".encode()
    weights.write_bytes(len(doubled).to_bytes(8, "little") + doubled + content[8 + length :])
    error = refused(tiny_zoo, folder, labels=NAMES)
    assert error.code == "invalid_adapter"
    assert "adapter_model.safetensors is refused: it holds a name twice" in error.message


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_row_48_numbers_that_are_not_finite_are_refused(
    tiny_zoo: TinyZoo, made: Saved, tmp_path: Path, number: float
) -> None:
    folder = copied(made, tmp_path / "made")
    weights = load_file(folder / "adapter_model.safetensors")
    next(iter(weights.values())).view(-1)[0] = number
    save_file(weights, folder / "adapter_model.safetensors")
    error = refused(tiny_zoo, folder, labels=NAMES)
    assert error.code == "invalid_adapter"
    assert "not finite" in error.message


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"use_dora": True}, "use_dora"),
        ({"bias": "lora_only"}, "bias"),
        ({"r": 65}, "1 to 64"),
        ({"peft_type": "IA3"}, "peft_type"),
        ({"fan_in_fan_out": True}, "fan_in_fan_out"),
        ({"auto_mapping": {"base_model_class": "X", "parent_library": "their_module"}}, "auto_mapping"),
    ],
)
def test_other_arithmetic_than_plain_lora_is_refused_by_its_name(
    tiny_zoo: TinyZoo, made: Saved, tmp_path: Path, settings: dict[str, Any], named: str
) -> None:
    error = refused(tiny_zoo, copied(made, tmp_path / "made", **settings), labels=NAMES)
    assert error.code == "invalid_adapter"
    assert named in error.message


def test_a_task_whose_adapters_are_not_imported_is_refused(tiny_zoo: TinyZoo, made: Saved) -> None:
    with pytest.raises(Unsupported, match="text-classification, token-classification"):
        importing.run(asked(tiny_zoo, made.folder, task="fill-mask"), tiny_zoo.settings)


def test_an_adapter_is_no_model_of_its_own(tiny_zoo: TinyZoo, made: Saved, tmp_path: Path) -> None:
    folder = copied(made, tmp_path / "made")
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(InvalidInput, match="zoo import-adapter FOLDER --model NAME"):
        importing.run(asked(tiny_zoo, folder, base=None, task="text-classification"), tiny_zoo.settings)


def test_a_version_that_peft_would_answer_otherwise_for_is_not_published(
    own_zoo: TinyZoo, made: Saved, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = lora.merged

    def changed(wrapped: Any) -> Any:
        model: Any = real(wrapped)
        with torch.no_grad():
            model.classifier.bias.add_(0.01)
        return model

    monkeypatch.setattr(lora, "merged", changed)
    assert refused(own_zoo, made.folder, labels=NAMES).code == "parity_failed"
