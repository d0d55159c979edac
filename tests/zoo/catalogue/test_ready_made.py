"""Which files of a repository with ready-made graphs are fetched: as its layout, the precision and torch have it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.zoo.catalogue.checkpoints import WEIGHTS, entry_of, write_folder
from zoo.catalogue.sources import GraphWish, fetch
from zoo.errors import InvalidInput

SERVES = GraphWish(weights=False, always=True)
TRAINS = GraphWish(weights=True, always=True)
CATALOGUE = GraphWish(weights=True, always=False)
TEXTS = ("config.json", "tokenizer.json")


def fetched(folder: Path, paths: tuple[str, ...], wish: GraphWish) -> list[str]:
    """The weights and graphs that are fetched of a folder that has these files."""
    content = {path: WEIGHTS if path.endswith(".safetensors") else b"{}" for path in (*paths, *TEXTS)}
    source = write_folder(folder / "source", content)
    files = fetch(entry_of(source, files={}), folder / "target", graphs=wish).files
    return [file.path for file in files if file.path not in TEXTS]


@pytest.mark.parametrize(
    ("paths", "wish", "wanted"),
    [
        (("model.safetensors", "onnx/model.onnx"), SERVES, ["onnx/model.onnx"]),
        (("model.safetensors", "onnx/model.onnx"), TRAINS, ["model.safetensors", "onnx/model.onnx"]),
        (("model.safetensors", "onnx/model.onnx"), CATALOGUE, ["model.safetensors"]),
        (("pytorch_model.bin", "onnx/model.onnx"), CATALOGUE, ["onnx/model.onnx"]),
        (("model.onnx",), TRAINS, ["model.onnx"]),
        (("onnx/model_quantized.onnx", "onnx/model.onnx", "onnx/model_q4.onnx"), SERVES, ["onnx/model.onnx"]),
        (("onnx/model_int8.onnx",), SERVES, ["onnx/model_int8.onnx"]),
        (("onnx/model_quint8_avx2.onnx",), SERVES, ["onnx/model_quint8_avx2.onnx"]),
        (
            ("onnx/model_quantized.onnx", "onnx/model.onnx"),
            GraphWish(weights=False, always=True, precision="int8"),
            ["onnx/model_quantized.onnx"],
        ),
        (
            ("onnx/model.onnx", "onnx/model.onnx_data", "onnx/model.onnx_data_1", "onnx/other.onnx_data"),
            SERVES,
            ["onnx/model.onnx", "onnx/model.onnx_data", "onnx/model.onnx_data_1"],
        ),
        (
            ("onnx/encoder_model.onnx", "onnx/decoder_model.onnx", "onnx/decoder_model_merged.onnx"),
            SERVES,
            ["onnx/decoder_model_merged.onnx", "onnx/encoder_model.onnx"],
        ),
    ],
)
def test_what_is_fetched(tmp_path: Path, paths: tuple[str, ...], wish: GraphWish, wanted: list[str]) -> None:
    assert fetched(tmp_path, paths, wish) == wanted


@pytest.mark.parametrize(
    ("paths", "wish", "code", "fault"),
    [
        (("model.safetensors",), SERVES, "training_not_installed", "pip install"),
        (("onnx/encoder_model.onnx", "onnx/decoder_model.onnx"), SERVES, "incomplete_graph", "decoder_model_merged"),
        (("onnx/model_q4f16.onnx",), TRAINS, "incomplete_graph", "model_quantized"),
        (("pytorch_model.bin",), TRAINS, "unsafe_weights", "pickle"),
    ],
)
def test_why_nothing_is_fetched(tmp_path: Path, paths: tuple[str, ...], wish: GraphWish, code: str, fault: str) -> None:
    with pytest.raises(InvalidInput, match=fault) as caught:
        fetched(tmp_path, paths, wish)
    assert caught.value.code == code
