"""Weights of 8 bits: nearly the same answers, row by row, from a smaller file; import says what it cost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from adapters import importing
from adapters.jobs import JobKind, JobSpec
from adapters.training.gate import Answer
from adapters.training.quantisation_loss import loss_of
from adapters.training.quantised import TABLE, blocks, quantise
from tests.adapters.training.quiet_context import context_for
from tests.tiny_pictures import write_picture_checkpoint
from tests.tiny_whisper import SPEAKING, tiny_whisper, write_ctranslate2, write_tokenizer
from zoo.catalogue.store import Store
from zoo.engine.predictor import Predictor
from zoo.engine.session import Session
from zoo.errors import ParityFailed, Unsupported
from zoo.settings import Settings
from zoo.tasks.processors.sound import SAMPLE

WIDTH, WORDS = 200, TABLE  # no multiple of a block


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """Rows of a table, times a matrix, times the table turned: what a decoder does with its embeddings."""
    draw = np.random.default_rng(7)
    tensors = [
        numpy_helper.from_array(draw.standard_normal((WORDS, WIDTH)).astype(np.float32), "table"),
        numpy_helper.from_array(draw.standard_normal((WIDTH, WIDTH)).astype(np.float32), "matrix"),
    ]
    nodes = [
        helper.make_node("Gather", ["table", "tokens"], ["rows"]),
        helper.make_node("MatMul", ["rows", "matrix"], ["mixed"]),
        helper.make_node("Transpose", ["table"], ["turned"], perm=[1, 0]),
        helper.make_node("MatMul", ["mixed", "turned"], ["logits"]),
    ]
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "words",
            [helper.make_tensor_value_info("tokens", TensorProto.INT64, ["batch", "new"])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "new", WORDS])],
            tensors,
        ),
        opset_imports=[helper.make_opsetid("", 20)],
    )
    model.ir_version = 10
    onnx.save(model, tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def logits(path: Path, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
    (found,) = Session(path, threads=1).run({"tokens": tokens})
    return np.asarray(found, dtype=np.float32)


TOKENS = np.array([[5, 77, 4000], [1, 2, 3]])


def test_a_quarter_of_the_bytes_gives_nearly_the_same_answers(graph: Path) -> None:
    before, size = logits(graph, TOKENS), graph.stat().st_size
    quantise(graph)
    after = logits(graph, TOKENS)
    # The table is there twice then, once with scales for blocks of columns and once for rows.
    assert graph.stat().st_size < 0.6 * size
    assert (before.argmax(axis=-1) == after.argmax(axis=-1)).all()
    assert np.sqrt(np.square(after - before).mean()) < 0.02 * np.sqrt(np.square(before).mean())


def test_a_row_is_answered_the_same_whatever_stands_beside_it(graph: Path) -> None:
    quantise(graph)
    (alone,) = logits(graph, TOKENS[1:])
    np.testing.assert_allclose(logits(graph, TOKENS)[1], alone, rtol=0, atol=1e-3)


def test_blocks_hold_what_they_stand_for() -> None:
    matrix = np.random.default_rng(3).standard_normal((300, 5)).astype(np.float32)
    matrix[:, 2] = 0
    values, scales = blocks(matrix)
    restored = ((values.astype(np.float32) - 128) * scales[:, :, None]).reshape(5, -1)[:, :300].T
    assert values.shape == (5, 3, 128)
    assert np.abs(restored - matrix).max() <= scales.max() / 2 + 1e-6
    assert not restored[:, 2].any()


def test_a_graph_that_answers_something_else_is_refused(graph: Path) -> None:
    wrong = Answer({"tokens": TOKENS}, [-logits(graph, TOKENS)])
    with pytest.raises(ParityFailed, match="precision fp32"):
        loss_of(graph.parent, [wrong], threads=1, file=graph.name)


def test_an_import_in_8_bits_is_served_and_says_what_it_cost(tmp_path: Path) -> None:
    checkpoint, home = tmp_path / "checkpoint", tmp_path / "home"
    write_tokenizer(write_ctranslate2(checkpoint, tiny_whisper(seed=8, vocabulary=SPEAKING), kind="int8"))
    (checkpoint / "vocabulary.txt").write_text("as CTranslate2 writes it")
    source = {"kind": "folder", "path": str(checkpoint)}
    spec = JobSpec(kind=JobKind.IMPORT, model="ears", source=source, precision="int8")
    context = context_for(home, spec)
    importing.run(context, Settings(_env_file=None, home=home, worker_threads=1))
    store = Store(home)
    entry = store.entry("ears", 1)
    assert entry.precision == "int8"
    assert 0 < entry.parity["int8"]["relative_difference"] < 0.15
    assert any("8 bits" in message for message in context.messages)
    assert "text" in dict(Predictor(entry, store.folder("ears", 1), threads=1).predict(SAMPLE).body)  # type: ignore[call-overload]


def test_convolutions_are_not_rounded_without_rows(tmp_path: Path) -> None:
    checkpoint, home = tmp_path / "checkpoint", tmp_path / "home"
    write_picture_checkpoint(checkpoint, "timm-resnet", model_args={"layers": [1, 1], "widths": [8, 16]})
    source = {"kind": "folder", "path": str(checkpoint)}
    spec = JobSpec(kind=JobKind.IMPORT, model="eyes", source=source, precision="int8")
    with pytest.raises(Unsupported, match="precision int8 to the job that adapts it"):
        importing.run(context_for(home, spec), Settings(_env_file=None, home=home, worker_threads=1))
    assert not Store(home).names()
