"""Adapters in peft's format: the same arithmetic, and nothing of the file is believed or run."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save, save_file

from zoo.catalogue.adapter import LoraAdapter
from zoo.errors import InvalidInput

Arrays = Mapping[str, NDArray[np.float32]]

QUERY = "encoder.layer.0.attention.self.query"
VALUE = "encoder.layer.0.attention.self.value"
# As peft 0.21 writes it, every key.
CONFIG: Mapping[str, object] = {
    "alora_invocation_tokens": None,
    "alpha_pattern": {},
    "arrow_config": None,
    "auto_mapping": None,
    "base_model_name_or_path": "minilm",
    "bias": "none",
    "corda_config": None,
    "ensure_weight_tying": False,
    "eva_config": None,
    "exclude_modules": None,
    "fan_in_fan_out": False,
    "inference_mode": True,
    "init_lora_weights": True,
    "layer_replication": None,
    "layers_pattern": None,
    "layers_to_transform": None,
    "loftq_config": {},
    "lora_alpha": 4,
    "lora_bias": False,
    "lora_dropout": 0.05,
    "megatron_config": None,
    "megatron_core": "megatron.core",
    "modules_to_save": ["classifier", "score"],
    "peft_type": "LORA",
    "peft_version": "0.21.2",
    "qalora_group_size": 16,
    "r": 2,
    "rank_pattern": {},
    "revision": None,
    "target_modules": ["query", "value"],
    "target_parameters": None,
    "task_type": "SEQ_CLS",
    "trainable_token_indices": None,
    "use_dora": False,
    "use_qalora": False,
    "use_rslora": False,
}


def _tensors() -> dict[str, NDArray[np.float32]]:
    return {
        f"base_model.model.{QUERY}.lora_A.weight": np.array([[1, 2, 3], [0, 1, 0]], dtype=np.float32),
        f"base_model.model.{QUERY}.lora_B.weight": np.array([[1, 0], [0, 2], [1, 1], [0, 0]], dtype=np.float32),
        "base_model.model.classifier.weight": np.ones((5, 4), dtype=np.float32),
        "base_model.model.classifier.bias": np.zeros(5, dtype=np.float32),
    }


def _write(folder: Path, tensors: Arrays | None = None, **settings: object) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps({**CONFIG, **settings}), encoding="utf-8")
    save_file(dict(_tensors() if tensors is None else tensors), folder / "adapter_model.safetensors")
    return folder


def _refusal(folder: Path) -> str:
    with pytest.raises(InvalidInput) as caught:
        LoraAdapter.read(folder)
    assert caught.value.code == "invalid_adapter"
    assert str(folder) not in caught.value.message
    return caught.value.message


def test_an_adapter_as_peft_writes_it_is_read(tmp_path: Path) -> None:
    adapter = LoraAdapter.read(_write(tmp_path / "adapter"))
    assert (adapter.rank, adapter.alpha, adapter.scale) == (2, 4.0, 2.0)
    assert list(adapter.pairs) == [QUERY]
    a, b = adapter.pairs[QUERY]
    assert (a.shape, b.shape) == ((2, 3), (4, 2))
    assert {a.dtype.name, b.dtype.name} == {"float32"}


def test_a_convolution_of_one_pixel_is_a_linear_layer_over_channels(tmp_path: Path) -> None:
    tensors = {name: value[..., None, None] if "lora" in name else value for name, value in _tensors().items()}
    a, b = LoraAdapter.read(_write(tmp_path / "adapter", tensors)).pairs[QUERY]
    assert (a.shape, b.shape) == ((2, 3), (4, 2))


def test_a_convolution_of_more_pixels_is_refused(tmp_path: Path) -> None:
    tensors = _tensors()
    tensors[f"base_model.model.{QUERY}.lora_A.weight"] = np.ones((2, 3, 3, 3), dtype=np.float32)
    tensors[f"base_model.model.{QUERY}.lora_B.weight"] = np.ones((4, 2, 1, 1), dtype=np.float32)
    assert "lora_A has to be (rank, in)" in _refusal(_write(tmp_path / "adapter", tensors))


def test_the_delta_is_scaled_b_times_a(tmp_path: Path) -> None:
    delta = LoraAdapter.read(_write(tmp_path / "adapter")).delta(QUERY)
    # B @ A = [[1,2,3],[0,2,0],[1,3,3],[0,0,0]], times alpha / r = 2
    assert delta.tolist() == [[2, 4, 6], [0, 4, 0], [2, 6, 6], [0, 0, 0]]
    assert delta.dtype == np.float32


def test_layers_trained_whole_are_the_head(tmp_path: Path) -> None:
    head = LoraAdapter.read(_write(tmp_path / "adapter")).head
    assert {name: array.shape for name, array in head.items()} == {"classifier.weight": (5, 4), "classifier.bias": (5,)}


def test_a_layer_whose_name_only_ends_as_one_that_is_trained_whole_is_one_too(tmp_path: Path) -> None:
    """As peft has it, which saves DistilBERT's pre_classifier under the entry classifier."""
    tensors = {**_tensors(), "base_model.model.pre_classifier.weight": np.ones((4, 4), dtype=np.float32)}
    head = LoraAdapter.read(_write(tmp_path / "adapter", tensors)).head
    assert sorted(head) == ["classifier.bias", "classifier.weight", "pre_classifier.weight"]


def test_a_head_in_a_file_of_its_own_is_read(tmp_path: Path) -> None:
    lora = {name: array for name, array in _tensors().items() if "lora" in name}
    folder = _write(tmp_path / "adapter", lora)
    save_file({"weight": np.ones((2, 3), dtype=np.float32)}, folder / "head.safetensors")
    assert list(LoraAdapter.read(folder).head) == ["weight"]


def test_rank_stabilised_scale_divides_by_the_root_of_the_rank(tmp_path: Path) -> None:
    adapter = LoraAdapter.read(_write(tmp_path / "adapter", use_rslora=True, lora_alpha=3))
    assert adapter.scale == pytest.approx(2.1213203)
    assert adapter.delta(QUERY)[0, 0] == pytest.approx(2.1213203)


def test_patterns_change_rank_and_alpha_of_single_layers(tmp_path: Path) -> None:
    tensors = {
        **_tensors(),
        f"base_model.model.{VALUE}.lora_A.weight": np.ones((1, 3), dtype=np.float32),
        f"base_model.model.{VALUE}.lora_B.weight": np.ones((4, 1), dtype=np.float32),
    }
    patterns = {"rank_pattern": {"value": 1}, "alpha_pattern": {"self.value": 5}}
    adapter = LoraAdapter.read(_write(tmp_path / "adapter", tensors, **patterns))
    assert adapter.scales == {QUERY: 2.0, VALUE: 5.0}
    assert adapter.delta(VALUE)[0, 0] == 5.0


def test_half_precision_weights_become_float32(tmp_path: Path) -> None:
    folder = _write(tmp_path / "adapter")
    halves = {name: array.astype(np.float16) for name, array in _tensors().items()}
    save_file(halves, folder / "adapter_model.safetensors")
    assert LoraAdapter.read(folder).delta(QUERY)[2].tolist() == [2, 6, 6]


def test_bfloat16_weights_become_float32(tmp_path: Path) -> None:
    folder = _write(tmp_path / "adapter")
    a, b = f"base_model.model.{QUERY}.lora_A.weight", f"base_model.model.{QUERY}.lora_B.weight"
    header = json.dumps(
        {
            a: {"dtype": "BF16", "shape": [2, 1], "data_offsets": [0, 4]},
            b: {"dtype": "BF16", "shape": [1, 2], "data_offsets": [4, 8]},
        }
    ).encode()
    # 0x3F80 is 1.0, 0xC020 is -2.5
    data = bytes.fromhex("803f20c0803f803f")
    (folder / "adapter_model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + data)
    adapter = LoraAdapter.read(folder)
    assert adapter.pairs[QUERY][0].tolist() == [[1.0], [-2.5]]
    assert adapter.delta(QUERY).tolist() == [[-3.0]]


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"auto_mapping": {"base_model_class": "X", "parent_library": "os"}}, "auto_mapping"),
        ({"megatron_config": {"a": 1}}, "megatron"),
        ({"megatron_core": "os"}, "megatron"),
        ({"peft_type": "IA3"}, "peft_type"),
        ({"use_dora": True}, "DoRA"),
        ({"bias": "all"}, "bias"),
        ({"fan_in_fan_out": True}, "fan_in_fan_out"),
        ({"init_lora_weights": "pissa_niter_4"}, "init_lora_weights"),
        ({"layer_replication": [[0, 4]]}, "layer_replication"),
        ({"Evil\nkey": 1}, "one of its settings"),
        ({"r": 0}, "r: a rank"),
        ({"r": 65}, "r: a rank"),
        ({"r": 10**9}, "r: a rank"),
        ({"r": True}, "r: a rank"),
        ({"r": "2"}, "r: a rank"),
        ({"lora_alpha": float("nan")}, "lora_alpha"),
        ({"lora_alpha": float("inf")}, "lora_alpha"),
        ({"lora_alpha": 0}, "lora_alpha"),
        ({"lora_alpha": None}, "lora_alpha"),
        ({"use_rslora": "yes"}, "use_rslora"),
        ({"rank_pattern": {"(a+)+$": 2}}, "rank_pattern"),
        ({"rank_pattern": {"query": 65}}, "rank_pattern"),
        ({"alpha_pattern": {"query": -1}}, "alpha_pattern"),
        ({"modules_to_save": "classifier"}, "modules_to_save"),
    ],
)
def test_settings_that_run_code_or_compute_otherwise_are_refused(
    tmp_path: Path, settings: dict[str, object], named: str
) -> None:
    assert named in _refusal(_write(tmp_path / "adapter", None, **settings))


@pytest.mark.parametrize("text", ["", "[]", "{", '{"r": 2, "r": 3}', "[" * 100_000, '{"r": ' + "9" * 5000 + "}"])
def test_a_configuration_that_is_no_json_object_is_refused(tmp_path: Path, text: str) -> None:
    folder = _write(tmp_path / "adapter")
    (folder / "adapter_config.json").write_text(text, encoding="utf-8")
    _refusal(folder)


@pytest.mark.parametrize(
    "name", ["adapter_model.bin", "modeling.py", "training_args.bin", "a.PKL", "inner/optimizer.pt"]
)
def test_code_and_pickles_in_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    folder = _write(tmp_path / "adapter")
    (folder / "inner").mkdir()
    (folder / name).write_bytes(b"\x80\x04.")
    _refusal(folder)


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
def test_missing_and_linked_files_are_refused(tmp_path: Path, name: str) -> None:
    folder = _write(tmp_path / "adapter")
    os.rename(folder / name, tmp_path / name)
    assert name in _refusal(folder)
    (folder / name).symlink_to(tmp_path / name)
    assert "link" in _refusal(folder)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused(tmp_path: Path, value: float) -> None:
    tensors = _tensors()
    tensors[f"base_model.model.{QUERY}.lora_A.weight"][1, 1] = value
    assert "finite" in _refusal(_write(tmp_path / "adapter", tensors))


@pytest.mark.parametrize(
    ("key", "shape"),
    [
        (f"{QUERY}.lora_A.weight", (3, 3)),
        (f"{QUERY}.lora_B.weight", (4, 1)),
        (f"{QUERY}.lora_A.weight", (2, 3, 1, 1)),
        (f"{QUERY}.lora_A.weight", (2, 0)),
    ],
)
def test_shapes_that_do_not_fit_the_rank_are_refused(tmp_path: Path, key: str, shape: tuple[int, ...]) -> None:
    tensors = {**_tensors(), f"base_model.model.{key}": np.ones(shape, dtype=np.float32)}
    assert "lora_A has to be (rank, in)" in _refusal(_write(tmp_path / "adapter", tensors))


@pytest.mark.parametrize(
    "key",
    [
        "base_model.model.unknown.weight",
        f"base_model.model.{VALUE}.lora_A.weight",
        f"base_model.model.{QUERY}.lora_magnitude_vector.weight",
        f"{QUERY}.lora_A.weight",
        "base_model.model.../../x.lora_A.weight",
    ],
)
def test_a_tensor_that_belongs_to_nothing_is_refused(tmp_path: Path, key: str) -> None:
    _refusal(_write(tmp_path / "adapter", {**_tensors(), key: np.ones((2, 3), dtype=np.float32)}))


def test_an_adapter_without_lora_weights_is_refused(tmp_path: Path) -> None:
    _refusal(_write(tmp_path / "adapter", {"base_model.model.classifier.bias": np.ones(2, dtype=np.float32)}))


def test_whole_numbers_for_weights_are_refused(tmp_path: Path) -> None:
    folder = _write(tmp_path / "adapter")
    save_file(
        {name: array.astype(np.int32) for name, array in _tensors().items()}, folder / "adapter_model.safetensors"
    )
    assert "floating-point" in _refusal(folder)


def test_a_tensor_name_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    folder = _write(tmp_path / "adapter")
    spec = json.dumps({"dtype": "F32", "shape": [1], "data_offsets": [0, 4]})
    header = f'{{"base_model.model.x.lora_A.weight":{spec},"base_model.model.x.lora_A.weight":{spec}}}'.encode()
    doubled = len(header).to_bytes(8, "little") + header + bytes(4)
    (folder / "adapter_model.safetensors").write_bytes(doubled)
    assert "twice" in _refusal(folder)


@pytest.mark.parametrize("damage", ["pickle", "zip", "cut", "overlap", "huge header", "empty"])
def test_a_weight_file_that_is_damaged_or_something_else_is_refused(tmp_path: Path, damage: str) -> None:
    folder = _write(tmp_path / "adapter")
    spec = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    header = json.dumps({"a": spec, "b": spec}).encode()
    content = {
        "pickle": b"\x80\x04\x95pickle",
        "zip": b"PK\x03\x04 a zip archive",
        "cut": save(dict(_tensors()))[:-1],
        "overlap": len(header).to_bytes(8, "little") + header + bytes(8),
        "huge header": (1 << 62).to_bytes(8, "little") + b"{}",
        "empty": b"",
    }[damage]
    (folder / "adapter_model.safetensors").write_bytes(content)
    assert "adapter_model.safetensors" in _refusal(folder)
