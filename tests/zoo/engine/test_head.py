"""A head on a body's vectors, in numpy: each kind gives the numbers that its nodes in a graph would give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from zoo.engine.head import Head, Readout
from zoo.errors import ArtifactCorrupt

VECTORS = np.array([[[3.0, 4.0], [1.0, 0.0], [9.0, 9.0]]], dtype=np.float32)
FEEDS = {"attention_mask": np.array([[1, 1, 0]])}


def head(folder: Path, readout: Readout, **tensors: Any) -> Head:
    given = {"weight": [[1.0, 2.0], [0.0, 1.0], [1.0, 0.0]], "bias": [0.5, 0.0, 0.0], **tensors}
    arrays = {name: np.array(value, dtype=np.float32) for name, value in given.items() if value is not None}
    save_file(arrays, str(folder / "head.safetensors"))
    return Head.read(folder, readout)


@pytest.mark.parametrize(
    ("pooling", "expected"), [("mean", [6.5, 2.0, 2.0]), ("cls", [11.5, 4.0, 3.0]), ("max", [11.5, 4.0, 3.0])]
)
def test_a_head_for_texts_pools_the_tokens_that_are_no_padding(tmp_path: Path, pooling: Any, expected: Any) -> None:
    answer = head(tmp_path, Readout(pooling=pooling))(VECTORS, FEEDS)
    np.testing.assert_allclose(answer, [expected])


def test_a_head_may_read_vectors_of_length_one(tmp_path: Path) -> None:
    answer = head(tmp_path, Readout(pooling="cls", unit=True))(VECTORS, FEEDS)
    np.testing.assert_allclose(answer, [[2.7, 0.8, 0.6]], rtol=1e-6)


def test_a_head_for_tokens_answers_for_each_of_them(tmp_path: Path) -> None:
    answer = head(tmp_path, Readout())(VECTORS, FEEDS)
    np.testing.assert_allclose(answer, [[[11.5, 4.0, 3.0], [1.5, 0.0, 1.0], [27.5, 9.0, 9.0]]])


def test_a_head_for_scores_answers_in_the_unit_of_the_data(tmp_path: Path) -> None:
    read = head(tmp_path, Readout(pooling="cls"), weight=[[1.0, 2.0]], bias=[0.5], scale=10.0, centre=50.0)
    np.testing.assert_allclose(read(VECTORS, FEEDS), [[165.0]])


@pytest.mark.parametrize(("inner", "expected"), [("tanh", [3.454137, 0.995055, 0.964028]), ("relu", [8.5, 3.0, 2.0])])
def test_a_head_may_have_a_layer_below_that_which_answers(tmp_path: Path, inner: Any, expected: list[float]) -> None:
    below = {"inner.weight": [[1.0, 0.0], [0.0, 1.0]], "inner.bias": [-1.0, -1.0]}
    answer = head(tmp_path, Readout(pooling="cls", inner=inner), **below)(VECTORS, FEEDS)
    np.testing.assert_allclose(answer, [expected], rtol=1e-6)


def test_a_file_without_the_layer_below_is_damaged(tmp_path: Path) -> None:
    with pytest.raises(ArtifactCorrupt, match="no linear layer"):
        head(tmp_path, Readout(pooling="cls", inner="tanh"))


def test_a_version_without_a_layer_answers_with_the_bodys_vectors(tmp_path: Path) -> None:
    answer = Head.read(tmp_path, Readout(linear=False))(VECTORS, FEEDS)
    np.testing.assert_array_equal(answer, VECTORS)


@pytest.mark.parametrize("tensors", [{"bias": None}, {"bias": [0.0]}, {"weight": [1.0, 2.0, 3.0]}])
def test_a_file_without_a_linear_layer_is_damaged(tmp_path: Path, tensors: dict[str, Any]) -> None:
    with pytest.raises(ArtifactCorrupt, match="no linear layer"):
        head(tmp_path, Readout(), **tensors)


def test_a_head_for_vectors_of_another_width_is_damaged(tmp_path: Path) -> None:
    read = head(tmp_path, Readout())
    with pytest.raises(ArtifactCorrupt, match="reads 2 numbers, the body gives 3"):
        read(np.zeros((1, 3), dtype=np.float32), {})


def test_pooling_of_what_has_no_tokens_is_damaged(tmp_path: Path) -> None:
    read = head(tmp_path, Readout(pooling="mean"))
    with pytest.raises(ArtifactCorrupt, match="one vector for each text"):
        read(np.zeros((1, 2), dtype=np.float32), FEEDS)


@pytest.mark.parametrize("written", [{"pooling": "median"}, {"colour": 1}, {"inner": "swish"}])
def test_a_manifest_that_names_no_readout_is_damaged(written: dict[str, Any]) -> None:
    with pytest.raises(ArtifactCorrupt, match="how the version reads its body"):
        Readout.of(written)


def test_a_readout_is_written_and_read_again() -> None:
    readout = Readout(pooling="cls", unit=True, linear=False)
    assert readout.as_dict() == {"pooling": "cls", "unit": True, "linear": False, "inner": None}
    assert Readout.of(readout.as_dict()) == readout
