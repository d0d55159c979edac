"""From a torch module to one file that answers the same on every size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from adapters.training.export import export
from adapters.training.recipe import Batch, Servable, Size, seeded
from zoo.engine.session import Session

LIMIT = 40


class Counter(nn.Module):
    """Embeds ids, sums those that the mask keeps, and answers with two numbers for each row."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(50, 8)
        self.layer = nn.Linear(8, 2)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        kept = self.embedding(input_ids) * attention_mask.unsqueeze(-1)
        answer: Tensor = self.layer(kept.sum(dim=1))
        return answer


def example(rows: int, size: Size) -> Batch:
    (length,) = size
    generator = torch.Generator().manual_seed(rows * 100 + length)
    ids = torch.randint(50, (rows, length), generator=generator)
    return {"input_ids": ids, "attention_mask": (ids % 3 > 0).long()}


@pytest.fixture(scope="module")
def servable() -> Servable:
    torch.manual_seed(3)
    return Servable(
        module=Counter().eval().requires_grad_(False),
        inputs=("input_ids", "attention_mask"),
        outputs=("logits",),
        example=example,
        sizes=((17,), (1,), (LIMIT,)),
        axes={0: "batch", 1: "length"},
        bounds={"length": LIMIT},
        architecture="counter",
    )


@pytest.fixture(scope="module")
def exported(servable: Servable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("exported") / "model.onnx"
    export(servable, target)
    return target


@pytest.mark.parametrize(("rows", "length"), [(1, 1), (1, LIMIT), (2, 5), (7, 17), (64, 3)])
def test_the_graph_answers_as_torch_on_every_size(exported: Path, servable: Servable, rows: int, length: int) -> None:
    batch = example(rows, (length,))
    (served,) = Session(exported, threads=1).run({name: values.numpy() for name, values in batch.items()})
    expected = servable.module(**batch).numpy()
    np.testing.assert_allclose(np.asarray(served, dtype=float), expected, atol=1e-5)


def test_inputs_and_output_have_the_names_of_the_servable(exported: Path) -> None:
    session = Session(exported, threads=1)
    assert (session.inputs, session.outputs) == (("input_ids", "attention_mask"), ("logits",))


def test_the_weights_are_inside_the_one_file(exported: Path) -> None:
    assert [path.name for path in exported.parent.iterdir()] == ["model.onnx"]
    initializers = onnx.load(exported, load_external_data=False).graph.initializer
    assert all(tensor.data_location == onnx.TensorProto.DEFAULT for tensor in initializers)
    assert sum(np.prod(tensor.dims) for tensor in initializers if tensor.dims) >= 50 * 8 + 8 * 2 + 2


def test_batch_and_length_are_free_axes(exported: Path) -> None:
    for value in onnx.load(exported).graph.input:
        assert [bool(axis.dim_param) for axis in value.type.tensor_type.shape.dim] == [True, True]


def test_exporting_prints_nothing_and_leaves_the_module_as_it_was(
    servable: Servable, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = {name: weight.clone() for name, weight in servable.module.named_parameters()}
    capfd.readouterr()
    export(servable, tmp_path / "model.onnx")
    assert tuple(capfd.readouterr()) == ("", "")
    assert all(torch.equal(weight, before[name]) for name, weight in servable.module.named_parameters())
    assert not servable.module.training


class Halves(nn.Module):
    """Two answers to a picture: a vector, and a map of half its size."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 3, 2, 1)

    def forward(self, pixel_values: Tensor) -> tuple[Tensor, Tensor]:
        found = self.layer(pixel_values)
        return found.mean(dim=(2, 3)), found


def pictures(rows: int, size: Size) -> Batch:
    return {"pixel_values": torch.randn(rows, 3, *size, generator=seeded(rows))}


@pytest.mark.parametrize(
    ("axes", "sizes"),
    [
        ({0: "batch"}, ((8, 12),)),
        ({0: "batch", 2: "height", 3: "width"}, ((8, 12), (32, 4), (6, 6))),
    ],
    ids=["one-size", "any-size"],
)
def test_a_graph_of_pictures_answers_with_every_output_on_every_size(
    tmp_path: Path, axes: dict[int, str], sizes: tuple[Size, ...]
) -> None:
    torch.manual_seed(2)
    made = Servable(
        module=Halves().eval().requires_grad_(False),
        inputs=("pixel_values",),
        outputs=("vector", "map"),
        example=pictures,
        sizes=sizes,
        axes=axes,
        architecture="halves",
    )
    export(made, tmp_path / "model.onnx")
    session = Session(tmp_path / "model.onnx", threads=1)
    assert (session.inputs, session.outputs) == (("pixel_values",), ("vector", "map"))
    shape = onnx.load(tmp_path / "model.onnx").graph.input[0].type.tensor_type.shape
    assert {place for place, axis in enumerate(shape.dim) if axis.dim_param} == set(axes)
    for rows, size in [(rows, size) for rows in (1, 5) for size in sizes]:
        batch = pictures(rows, size)
        served = session.run({name: values.numpy() for name, values in batch.items()})
        for one, other in zip(served, made.module(**batch), strict=True):
            np.testing.assert_allclose(np.asarray(one, dtype=float), other.numpy(), atol=1e-5)


class Window(nn.Module):
    """Answers with the mean over windows of four values, which fewer than four have not."""

    def __init__(self) -> None:
        super().__init__()
        self.window = nn.Conv1d(1, 1, kernel_size=4, bias=False)
        nn.init.constant_(self.window.weight, 0.25)

    def forward(self, values: Tensor) -> Tensor:
        """(batch, 1, length) to (batch, 1)."""
        found: Tensor = self.window(values).mean(dim=2)
        return found


@pytest.mark.parametrize(("least", "runs"), [({}, 2), ({"length": 4}, 1)])
def test_a_least_length_that_is_said_saves_a_second_run_through_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, least: dict[str, int], runs: int
) -> None:
    counted: list[Any] = []
    genuine = torch.export.export

    def export_counted(*given: Any, **named: Any) -> Any:
        counted.append(named)
        return genuine(*given, **named)

    monkeypatch.setattr(torch.export, "export", export_counted)
    window = Servable(
        module=Window().eval().requires_grad_(False),
        inputs=("values",),
        outputs=("mean",),
        example=lambda rows, size: {"values": torch.randn(rows, 1, *size)},
        sizes=((9,),),
        axes={0: "batch", 2: "length"},
        least=least,
        architecture="window",
    )
    export(window, tmp_path / "model.onnx")
    assert len(counted) == runs
    (served,) = Session(tmp_path / "model.onnx", threads=1).run({"values": np.ones((2, 1, 5), dtype=np.float32)})
    assert np.asarray(served).tolist() == [[1.0], [1.0]]
