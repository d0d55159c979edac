"""A body's graph with slots answers as peft does, for any mix of adapters in a batch."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from adapters.training.encoder import load_body
from adapters.training.pictures.body import load_body as load_picture_body
from adapters.training.slots import add_slots, linear_weights
from tests.adapters.training.adapters_on_bodies import Made, apart, make
from tests.conftest import TinyZoo
from tests.imports import Imports
from tests.tiny_pictures import write_picture_checkpoint
from zoo.catalogue.slot_table import SlotTable
from zoo.catalogue.store import Store
from zoo.engine.body import BARE, Body, Slot
from zoo.engine.session import Array, Session
from zoo.errors import Unsupported

BLOCK = ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense")
LINEARS = [
    f"encoder.layer.{place}.{name}" for place in range(2) for name in (*BLOCK, "intermediate.dense", "output.dense")
]
BUDGET = 64 * 1024**2


def texts(rows: int = 4, length: int = 9) -> dict[str, Array]:
    draw = np.random.default_rng(rows)
    mask = np.ones((rows, length), dtype=np.int64)
    mask[1:, length - 3 :] = 0
    ids = draw.integers(5, 40, (rows, length))
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


def pictures(rows: int, size: tuple[int, int]) -> dict[str, Array]:
    draw = np.random.default_rng(rows)
    return {"pixel_values": draw.standard_normal((rows, 3, *size), dtype=np.float32)}


def answers(body: Body, feeds: dict[str, Array], adapters: list[Made | None]) -> Array:
    """What the body says to each row with its adapter."""
    with contextlib.ExitStack() as held:
        slots: list[Slot] = []
        for made in adapters:
            if made is None:
                slots.append(BARE)
            else:
                load = made
                hold = body.slots.hold(str(made.folder), lambda load=load: load.weights(body))  # type: ignore[misc]
                slots.append(held.enter_context(hold))
        return body.run(feeds, slots)


def row(feeds: dict[str, Array], place: int) -> dict[str, Array]:
    return {name: values[place : place + 1] for name, values in feeds.items()}


@pytest.fixture(scope="module")
def mini(tiny_zoo: TinyZoo) -> Path:
    return tiny_zoo.store.folder("mini", 1)


def test_every_linear_layer_that_the_answer_depends_on_gets_slots(mini: Path) -> None:
    table = SlotTable.read(mini)
    assert sorted(table.linears) == sorted(LINEARS)
    assert table.left_out == {"pooler.dense": "its weight is not in the graph exactly once"}


def test_layers_that_read_the_same_share_one_stack(mini: Path) -> None:
    linears = SlotTable.read(mini).linears
    three = [linears[f"encoder.layer.0.{name}"] for name in BLOCK[:3]]
    assert len({linear.down for linear in three}) == 1
    assert sorted((linear.part, linear.parts) for linear in three) == [(0, 3), (1, 3), (2, 3)]


def test_without_an_adapter_the_graph_answers_as_the_body(mini: Path) -> None:
    feeds = texts()
    expected = Session(mini / "model.onnx", threads=1).run(feeds)[0]
    body = Body(mini, threads=1, budget=BUDGET)
    assert apart(body.run(feeds, [BARE] * 4), expected) <= 1e-6


def test_the_graph_reads_large_weights_from_the_bodys_own_instead_of_holding_them_again(mini: Path) -> None:
    tensors = onnx.load(mini / "body.graph", load_external_data=False).graph.initializer
    outside = {tensor.name for tensor in tensors if tensor.data_location == onnx.TensorProto.EXTERNAL}
    assert len(outside) >= len(LINEARS)
    assert max(len(tensor.raw_data) for tensor in tensors) < 1024
    places = {entry.value for tensor in tensors for entry in tensor.external_data if entry.key == "location"}
    assert places == {"model.onnx"}


@pytest.mark.parametrize("rank", [4, 8, 16])
def test_a_text_encoder_answers_as_peft_with_an_adapter_on_all_layers(mini: Path, tmp_path: Path, rank: int) -> None:
    made = make(load_body(mini / "checkpoint"), tmp_path / "adapter", ["query", "key", "value", "dense"][:3], rank=rank)
    feeds = texts()
    body = Body(mini, threads=1, budget=BUDGET)
    bare = body.run(feeds, [BARE] * 4)
    found = answers(body, feeds, [made] * 4)
    assert apart(found, made.vectors(feeds)) <= 1e-4
    assert apart(found, bare) > 0.01


def test_adapters_of_all_ranks_and_the_bare_body_share_a_batch(mini: Path, tmp_path: Path) -> None:
    encoder = load_body(mini / "checkpoint")
    made: list[Made | None] = [
        make(encoder, tmp_path / "a", LINEARS, rank=4, seed=1),
        make(encoder, tmp_path / "b", LINEARS[:6], rank=8, seed=2),
        None,
        make(encoder, tmp_path / "c", ["query", "value"], rank=16, seed=3),
        make(encoder, tmp_path / "d", LINEARS, rank=64, alpha=16, seed=4),
    ]
    feeds = texts(rows=5)
    body = Body(mini, threads=1, budget=BUDGET)
    found = answers(body, feeds, made)
    bare = Session(mini / "model.onnx", threads=1).run(feeds)[0]
    for place, one in enumerate(made):
        expected = bare[place] if one is None else one.vectors(row(feeds, place))[0]
        assert apart(found[place], expected) <= 1e-4


def test_adapters_of_one_class_of_ranks_share_a_batch(mini: Path, tmp_path: Path) -> None:
    encoder = load_body(mini / "checkpoint")
    made: list[Made | None] = [
        make(encoder, tmp_path / str(seed), LINEARS, rank=rank, seed=seed) for seed, rank in enumerate((4, 8, 2, 5))
    ]
    feeds = texts()
    found = answers(Body(mini, threads=1, budget=BUDGET), feeds, made)
    for place, one in enumerate(made):
        assert one is not None
        assert apart(found[place], one.vectors(row(feeds, place))[0]) <= 1e-4


def test_a_picture_encoder_answers_with_its_vectors_as_peft(imports: Imports, tmp_path: Path) -> None:
    checkpoint = write_picture_checkpoint(tmp_path / "checkpoint", "vit")
    imports.bring(tmp_path / "home", "eye", checkpoint, task="image-classification")
    folder = Store(tmp_path / "home").folder("eye", 1)
    encoder = load_picture_body(checkpoint)
    table = SlotTable.read(folder)
    names = [name for name in table.linears if name.endswith("query") or name.endswith("q_proj")]
    assert (len(names), table.left_out) == (3, {})
    made = [
        make(encoder, tmp_path / "a", list(table.linears), rank=8, seed=1),
        make(encoder, tmp_path / "b", names, rank=16, seed=2),
        None,
    ]
    feeds = pictures(3, encoder.size)
    found = answers(Body(folder, threads=1, budget=BUDGET), feeds, made)
    for place, one in enumerate(made):
        alone = row(feeds, place)
        with torch.no_grad():
            bare = encoder(torch.from_numpy(alone["pixel_values"])).numpy()
        assert apart(found[place], (bare if one is None else one.vectors(alone))[0]) <= 1e-4


def test_a_layer_whose_weight_is_there_twice_gets_no_slots(tmp_path: Path, mini: Path) -> None:
    encoder = load_body(mini / "checkpoint")
    shutil.copyfile(mini / "model.onnx", tmp_path / "model.onnx")
    graph = onnx.load(tmp_path / "model.onnx")
    first = encoder.get_submodule(LINEARS[0]).get_parameter("weight").T
    graph.graph.initializer.append(onnx.numpy_helper.from_array(first.detach().contiguous().numpy(), "again"))
    onnx.save(graph, tmp_path / "model.onnx")
    table = add_slots(tmp_path, tmp_path / "model.onnx", linear_weights(encoder))
    assert LINEARS[0] in table.left_out
    assert sorted(table.linears) == sorted(LINEARS[1:])


def test_an_adapter_of_a_layer_without_slots_is_refused_with_the_reason(mini: Path, tmp_path: Path) -> None:
    made = make(load_body(mini / "checkpoint"), tmp_path / "adapter", ["query", "pooler.dense"])
    body = Body(mini, threads=1, budget=BUDGET)
    with pytest.raises(Unsupported, match="pooler.dense has no slot .* not in the graph exactly once"):
        made.weights(body)
