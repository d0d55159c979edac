"""The body's graph with adapted weights and a pooled head answers as torch does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

from adapters.datasets import Example
from adapters.jobs import Hyperparameters
from adapters.training import lora
from adapters.training.gate import answers_of, prove_shapes
from adapters.training.graft import Change, add_pooled_head, changed
from adapters.training.hyperparameters import resolve
from adapters.training.recipes import text_classification
from adapters.training.recipes.text_classification import TextAdaptation
from tests.conftest import TinyZoo
from tests.imports import Imports
from tests.tiny import write_checkpoint
from zoo.catalogue.store import Store
from zoo.engine.predictor import MODEL_FILE


def adaptation_of(store: Store, name: str) -> TextAdaptation:
    examples = [Example(at, at, {"text": "x", "label": label}) for at, label in enumerate("abcd")]
    folder = store.folder(name, 1) / "checkpoint"
    asked = Hyperparameters(max_tokens=48)
    return text_classification.adapt(folder, store.entry(name, 1), examples, labels=tuple("abcd"), asked=asked)


def adapted(adaptation: TextAdaptation) -> tuple[list[Change], nn.Module]:
    """Changes of an adapter with random weights, and the merged body."""
    plan = resolve(Hyperparameters(), adaptation.defaults, rows=100, layers=2, max_tokens=48)
    wrapped = lora.wrap(adaptation.body, lora.targets(adaptation.body, adaptation.steps()), plan.ranks, base="x")
    torch.manual_seed(1)
    for name, weight in wrapped.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(weight, std=0.1)
    merged = lora.merged(wrapped)
    return lora.changes(wrapped, merged), merged


@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
def test_the_grafted_graph_answers_as_the_merged_network(imports: Imports, tmp_path: Path, pooling: str) -> None:
    folder = write_checkpoint(tmp_path / "checkpoint", pooling=pooling)
    imports.bring(tmp_path, "mine", folder)
    store = Store(tmp_path)
    adaptation = adaptation_of(store, "mine")
    changes, merged = adapted(adaptation)
    assert len(changes) == 12
    (graph,) = changed([store.folder("mine", 1) / MODEL_FILE], changes) or []
    assert adaptation.extend({MODEL_FILE: graph})
    onnx.checker.check_model(graph)
    onnx.save(graph, tmp_path / "model.onnx")
    adaptation.network.body = merged
    parity = prove_shapes(tmp_path, answers_of(adaptation.servable()), threads=1)
    assert parity.max_abs_difference <= 1e-4
    untouched = onnx.load(store.folder("mine", 1) / "model.onnx")
    assert [value.name for value in untouched.graph.output] == ["token_vectors"]


def test_a_weight_that_is_not_in_the_graph_is_no_graft(tiny_zoo: TinyZoo) -> None:
    foreign = torch.full((32, 32), 0.5)
    assert changed([tiny_zoo.store.folder("mini", 1) / "model.onnx"], [(foreign, foreign)]) is None


def test_a_graph_that_is_no_body_gets_no_head(tiny_zoo: TinyZoo) -> None:
    graph = onnx.load(tiny_zoo.store.folder("mood", 1) / "model.onnx")
    before = graph.SerializeToString()
    assert not add_pooled_head(graph, nn.Linear(32, 2), hidden="token_vectors", pooling="mean")
    assert graph.SerializeToString() == before


def test_only_the_named_weights_change(tiny_zoo: TinyZoo) -> None:
    path = tiny_zoo.store.folder("mini", 1) / "model.onnx"
    adaptation = adaptation_of(tiny_zoo.store, "mini")
    weight = adaptation.body.get_submodule("encoder.layer.1.output.dense").get_parameter("weight")
    (graph,) = changed([path], [(weight, weight * 2)]) or []
    before = {one.name: onnx.numpy_helper.to_array(one) for one in onnx.load(path).graph.initializer}
    after = {one.name: onnx.numpy_helper.to_array(one) for one in graph.graph.initializer}
    different = [name for name in before if not np.array_equal(before[name], after[name])]
    assert len(different) == 1
    np.testing.assert_allclose(after[different[0]], 2 * before[different[0]])


def convolution(path: Path, weight: torch.Tensor, *, again: bool = False) -> Path:
    """A graph of one convolution, or of two with equal weights."""
    constants = {"w0": weight.numpy()} | ({"w1": weight.numpy()} if again else {})
    names = ["x", *(f"h{place}" for place in range(len(constants)))]
    shape: list[str | int] = ["rows", 4, "height", "width"]
    graph = helper.make_graph(
        [helper.make_node("Conv", [names[at], f"w{at}"], [names[at + 1]]) for at in range(len(constants))],
        "convolution",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(names[-1], TensorProto.FLOAT, shape)],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    model.ir_version = 10
    onnx.save(model, path)
    return path


def test_the_weight_of_a_convolution_is_found_and_keeps_its_shape(tmp_path: Path) -> None:
    before, after = torch.randn(2, 4, 4, 1, 3).unbind(0)
    (graph,) = changed([convolution(tmp_path / "model.onnx", before)], [(before, after)]) or []
    (tensor,) = graph.graph.initializer
    assert (tensor.name, list(tensor.dims)) == ("w0", [4, 4, 1, 3])
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(tensor), after.numpy())


def test_a_weight_that_is_in_the_graph_twice_is_no_graft(tmp_path: Path) -> None:
    before, after = torch.randn(2, 4, 4, 1, 1).unbind(0)
    assert changed([convolution(tmp_path / "model.onnx", before, again=True)], [(before, after)]) is None


def test_a_weight_is_changed_in_whichever_graph_of_the_version_it_is(tmp_path: Path) -> None:
    weights = torch.randn(3, 4, 4, 1, 1).unbind(0)
    paths = [convolution(tmp_path / f"{place}.onnx", weights[place]) for place in range(2)]
    first, second = changed(paths, [(weights[1], weights[2])]) or []
    for graph, weight in ((first, weights[0]), (second, weights[2])):
        np.testing.assert_array_equal(onnx.numpy_helper.to_array(graph.graph.initializer[0]), weight.numpy())
