"""The gate of imports: graphs that answer otherwise than torch, on any size or in any output, are refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from adapters.training.gate import answers_of, prove_shapes
from adapters.training.recipe import Batch, Servable, Size, load_recipe
from tests.adapters.training.test_gate import edit, scale_weight
from tests.conftest import TinyZoo
from zoo.errors import ParityFailed

WIDTH = 4
Answer = Tensor | tuple[Tensor, ...]


class Module(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[Tensor], Answer]) -> None:
        super().__init__()
        self._function = function

    def forward(self, x: Tensor) -> Answer:
        return self._function(x)


def written(folder: Path, factors: Any, *, rows: str | int = "rows", columns: str | int = "columns") -> Path:
    """A graph with ``x * factor`` for each factor: its outputs are y0, y1, …"""
    made = [np.asarray(factor, dtype=np.float32) for factor in factors]
    ends = [
        helper.make_tensor_value_info(f"y{place}", TensorProto.FLOAT, [rows, columns]) for place in range(len(made))
    ]
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", f"factor{place}"], [f"y{place}"]) for place in range(len(made))],
        "products",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [rows, columns])],
        ends,
        [numpy_helper.from_array(factor, f"factor{place}") for place, factor in enumerate(made)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    model.ir_version = 10
    onnx.save(model, folder / "model.onnx")
    return folder


def example(rows: int, size: Size) -> Batch:
    """Rows of ones but for the first column, which is the largest."""
    x = torch.ones(rows, *size)
    x[:, 0] = 2.0
    return {"x": x}


def servable(
    function: Callable[[Tensor], Answer], *, outputs: int = 1, sizes: tuple[Size, ...] = ((WIDTH,),)
) -> Servable:
    return Servable(
        module=Module(function),
        inputs=("x",),
        outputs=tuple(f"y{place}" for place in range(outputs)),
        example=example,
        sizes=sizes,
        axes={0: "rows"},
        architecture="products",
    )


def test_a_model_of_one_size_is_tried_with_one_two_and_five_rows(tmp_path: Path) -> None:
    tried: list[tuple[int, ...]] = []

    def watched(x: Tensor) -> Tensor:
        tried.append(tuple(x.shape))
        return x * 3

    parity = prove_shapes(written(tmp_path, [3.0]), answers_of(servable(watched)), threads=1)
    assert tried == [(1, WIDTH), (2, WIDTH), (5, WIDTH)]
    assert (parity.rows, parity.max_abs_difference, parity.argmax_agreement) == (8, 0.0, 1.0)


def test_every_size_is_tried(tmp_path: Path) -> None:
    tried: set[int] = set()

    def watched(x: Tensor) -> Tensor:
        tried.add(x.shape[1])
        return x * 3

    sizes = tuple((side,) for side in (17, 1, 5, 64, 33, 48))
    assert prove_shapes(written(tmp_path, [3.0]), answers_of(servable(watched, sizes=sizes)), threads=1).rows == 16
    assert tried == {17, 1, 5, 64, 33, 48}


@pytest.mark.parametrize("fixed", [{"rows": 3}, {"columns": 17}])
def test_a_dimension_that_was_silently_fixed_is_refused(tmp_path: Path, fixed: dict[str, int]) -> None:
    sizes = ((17,), (5,), (9,))
    with pytest.raises(ParityFailed, match="Nothing was published"):
        prove_shapes(written(tmp_path, [3.0], **fixed), answers_of(servable(lambda x: x * 3, sizes=sizes)), threads=1)


@pytest.mark.parametrize("wrong", [0, 1, 2])
def test_each_of_several_outputs_is_compared(tmp_path: Path, wrong: int) -> None:
    def three(x: Tensor) -> Answer:
        return x * 1, x * 2, x * 3

    assert prove_shapes(written(tmp_path, [1.0, 2.0, 3.0]), answers_of(servable(three, outputs=3)), threads=1).rows == 8
    factors = [1.0, 2.0, 3.0]
    factors[wrong] += 0.01
    with pytest.raises(ParityFailed, match="largest difference 0.02"):
        prove_shapes(written(tmp_path, factors), answers_of(servable(three, outputs=3)), threads=1)


def test_outputs_in_another_order_are_refused(tmp_path: Path) -> None:
    folder = written(tmp_path, [2.0, 1.0])
    with pytest.raises(ParityFailed, match="largest difference 2"):
        prove_shapes(folder, answers_of(servable(lambda x: (x * 1, x * 2), outputs=2)), threads=1)


@pytest.mark.parametrize("function", [lambda x: (x, x), lambda x: x[:, :2], lambda x: x[:, :1]])
def test_another_number_of_outputs_or_another_shape_is_refused(tmp_path: Path, function: Any) -> None:
    with pytest.raises(ParityFailed):
        prove_shapes(written(tmp_path, [1.0]), answers_of(servable(function)), threads=1)


@pytest.mark.parametrize("column", range(WIDTH))
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("output", [0, 1])
def test_values_that_are_no_numbers_are_refused_wherever_they_stand(
    tmp_path: Path, column: int, value: float, output: int
) -> None:
    factors = np.ones((2, WIDTH))
    factors[output, column] = value
    with pytest.raises(ParityFailed, match="no numbers"):
        prove_shapes(written(tmp_path, factors), answers_of(servable(lambda x: (x, x), outputs=2)), threads=1)


def test_values_that_torch_too_cannot_give_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ParityFailed, match="no numbers"):
        prove_shapes(written(tmp_path, [float("nan")]), answers_of(servable(lambda x: x * float("nan"))), threads=1)


@pytest.mark.parametrize("largest", [0.1, 5.0, 200.0])
@pytest.mark.parametrize(("lead", "passes"), [(0.4, True), (1.5, False)])
def test_another_largest_value_passes_where_torch_rates_it_as_high_but_for_the_tolerance(
    tmp_path: Path, largest: float, lead: float, passes: bool
) -> None:
    tolerance = 1e-4 * max(1.0, largest / 10)
    x = largest * torch.tensor([0.5, 1.0, 1.0, 1.0])  # times the example's: equal values but for the lead
    ahead, behind = x.clone(), x.clone()
    ahead[2] += lead * tolerance
    behind[1] += 0.4 * tolerance
    folder = written(tmp_path, [behind.numpy()])
    if passes:
        parity = prove_shapes(folder, answers_of(servable(lambda values: values * ahead)), threads=1)
        assert parity.argmax_agreement == 1.0 and parity.max_abs_difference > 0
    else:
        with pytest.raises(ParityFailed, match=r"equal answers on 0\.00%"):
            prove_shapes(folder, answers_of(servable(lambda values: values * ahead)), threads=1)


@pytest.mark.parametrize(("largest", "tolerance"), [(1.0, 1e-4), (10.0, 1e-4), (83.0, 8.3e-4)])
def test_outputs_beyond_ten_alone_may_differ_by_more(tmp_path: Path, largest: float, tolerance: float) -> None:
    factor = largest / 2
    parity = prove_shapes(written(tmp_path, [factor]), answers_of(servable(lambda x: x * factor)), threads=1)
    assert parity.tolerance == pytest.approx(tolerance)
    further = factor + 0.75 * tolerance  # the largest value is two factors
    with pytest.raises(ParityFailed, match="largest difference"):
        prove_shapes(written(tmp_path, [further]), answers_of(servable(lambda x: x * factor)), threads=1)


def test_a_file_that_is_no_graph_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(ParityFailed, match="cannot be served"):
        prove_shapes(tmp_path, answers_of(servable(lambda x: x)), threads=1)


def test_sizes_that_torch_cannot_run_are_refused() -> None:
    def fails(x: Tensor) -> Tensor:
        raise RuntimeError("no such size")

    with pytest.raises(ParityFailed, match="cannot be run"):
        answers_of(servable(fails))


def test_an_import_whose_graph_answers_otherwise_is_refused(tiny_zoo: TinyZoo, tmp_path: Path) -> None:
    folder = tmp_path / "version"
    shutil.copytree(tiny_zoo.store.folder("mini", 1), folder)
    edit(folder, scale_weight("LayerNorm.weight", 1.01))
    servable = load_recipe("feature-extraction").load(tiny_zoo.checkpoints / "mini")
    with pytest.raises(ParityFailed, match="largest difference"):
        prove_shapes(folder, answers_of(servable), threads=1)
