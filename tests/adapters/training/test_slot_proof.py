"""What becomes of a fine-tune: served by its body among others, or by its own graph with the reason."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import random
import shutil
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adapters.jobs import Hyperparameters
from api.model_object import Imports, detailed
from tests.adapters.training.adapters_on_bodies import apart
from tests.adapters.training.jobs import adapted, served
from tests.conftest import TinyZoo
from tests.tiny import LABELS, rows
from tests.tiny_sentences import scored, text_of
from zoo.catalogue.entry import ModelEntry
from zoo.catalogue.registry import Registry
from zoo.catalogue.slot_table import GRAPH, SlotTable
from zoo.engine import shared_body
from zoo.engine.adapter_weights import AdapterWeights
from zoo.engine.assembly import Assembly
from zoo.engine.body import BARE, AdaptedRuns, Body
from zoo.engine.cost_model import CostModel
from zoo.engine.loader import Loader
from zoo.engine.predictor import MODEL_FILE, Prediction
from zoo.engine.session import ON_CPU, Array, Session
from zoo.engine.shared_body import SharedBody
from zoo.engine.steps import Row
from zoo.engine.workers import Workers
from zoo.tasks.task import load_task

KINDS = ("labels", "score", "entities", "vectors")
TEXTS = ["my parcel is late", "why was the card charged again", "locked"]


def near(one: Array, other: Array) -> bool:
    """Within 1e-5 of one another, or of the largest number where that is above 1."""
    return apart(one, other) <= 1e-5 * max(1.0, apart(other, np.zeros_like(other)))


def data(kind: str) -> list[dict[str, Any]]:
    if kind == "labels":
        return [{"text": text, "label": label} for text, label in rows(60)]
    if kind == "score":
        return scored(60)
    if kind == "entities":
        marked = [(text, text.split()[-1]) for text, _ in rows(60)]
        ends = [{"start": len(text) - len(word), "end": len(text), "label": "END"} for text, word in marked]
        return [{"text": text, "entities": [end]} for (text, _), end in zip(marked, ends, strict=True)]
    draw = random.Random(1)
    topics = [LABELS[place % 3] for place in range(60)]
    return [
        {"sentence1": text_of(draw, [topic], words=2), "sentence2": text_of(draw, [topic], words=3)} for topic in topics
    ]


@pytest.fixture(scope="module")
def learnt(tiny_zoo: TinyZoo, tmp_path_factory: pytest.TempPathFactory) -> tuple[TinyZoo, dict[str, ModelEntry]]:
    """A version of ``mini`` for each kind of head, of ranks 4, 8, 16 and 32."""
    home = tmp_path_factory.mktemp("learnt") / "home"
    shutil.copytree(tiny_zoo.home, home)
    zoo = TinyZoo(home, tiny_zoo.checkpoints)
    entries = {}
    for place, kind in enumerate(KINDS):
        asked = Hyperparameters(n_epochs=1, batch_size=8, learning_rate=0.01, lora_rank=4 * 2**place)
        entries[kind], _ = adapted(zoo, data(kind), job=f"ftjob-{kind}", suffix=kind, hyperparameters=asked)
    return zoo, entries


@pytest.mark.parametrize("kind", KINDS)
def test_a_version_of_a_text_encoder_is_served_by_its_body(
    learnt: tuple[TinyZoo, dict[str, ModelEntry]], kind: str
) -> None:
    entry = learnt[1][kind]
    assert entry.options["served_by"] == "body"
    assert entry.parity["slots"]["max_abs_difference"] <= entry.parity["slots"]["tolerance"]
    assert entry.parity["slots"]["argmax_agreement"] == 1.0
    assert entry.parity["slots"]["rows"] > entry.parity["rows"]  # alone, and among others


@pytest.mark.parametrize("kind", KINDS)
def test_the_body_answers_as_the_versions_own_graph(learnt: tuple[TinyZoo, dict[str, ModelEntry]], kind: str) -> None:
    zoo, entry = learnt[0], learnt[1][kind]
    folder = zoo.store.folder(kind, 1)
    runs = AdaptedRuns(Body(zoo.store.folder("mini", 1), threads=1, budget=2**26), entry, folder)
    own = Session(folder / "model.onnx", threads=1)
    for feeds in batches(entry, folder):
        (merged,), (found,) = own.run(feeds), runs(feeds)
        assert found.shape == merged.shape
        assert near(found, merged)


def batches(entry: ModelEntry, folder: Path) -> list[dict[str, Array]]:
    """What the version's task gives its graph for some texts."""
    given: list[dict[str, Array]] = []

    class Recorder:
        def __call__(self, feeds: Any, outputs: Any = None) -> list[Array]:
            given.append(dict(feeds))
            return Session(folder / "model.onnx", threads=1).run(feeds)

        def __getitem__(self, graph: str) -> Any:
            raise KeyError(graph)

    task = load_task(entry, folder)
    vectors = entry.task == "sentence-similarity"
    items: list[Any] = [{"source_sentence": TEXTS[0], "sentences": TEXTS[1:]}] if vectors else list(TEXTS)
    encoded = [task.preprocess(item, task.parameters({})) for item in items]
    task.run([part for one in encoded for part in getattr(one, "rows", (one,))], Recorder())
    return given


def test_versions_of_all_kinds_and_the_body_share_a_run(learnt: tuple[TinyZoo, dict[str, ModelEntry]]) -> None:
    zoo, entries = learnt
    folder = zoo.store.folder("mini", 1)
    body = Body(folder, threads=1, budget=2**26)
    runs = {kind: AdaptedRuns(body, entries[kind], zoo.store.folder(kind, 1)) for kind in KINDS}
    (feeds,) = batches(entries["labels"], zoo.store.folder("labels", 1))
    feeds = {name: values[:1].repeat(5, axis=0) for name, values in feeds.items()}
    with contextlib.ExitStack() as held:
        slots = [held.enter_context(runs[kind].hold()) for kind in KINDS]
        assert sorted(slot.rank for slot in slots) == [8, 8, 16, 32]
        vectors = body.run(feeds, [*slots, BARE])
    for place, kind in enumerate(KINDS):
        row = {name: values[:1] for name, values in feeds.items()}
        (expected,) = Session(zoo.store.folder(kind, 1) / "model.onnx", threads=1).run(row)
        found = runs[kind].head(vectors[place : place + 1], row)
        assert found.shape == expected.shape
        assert near(found, expected)
    (bare,) = Session(folder / "model.onnx", threads=1).run(row)
    assert near(vectors[4:], bare)


def test_a_version_of_a_body_without_slots_is_served_by_its_own_graph(own_zoo: TinyZoo) -> None:
    entry, _ = adapted(own_zoo, data("labels"), model="mood", hyperparameters=Hyperparameters(n_epochs=1))
    assert entry.options["served_by"] == "merged"
    assert entry.options["why"] == "its base has no graph with slots for adapters"
    assert "slots" not in entry.parity


def changed(zoo: TinyZoo, change: Any) -> None:
    """Publish ``mini`` once more, with another table of slots."""
    folder, entry = zoo.store.folder("mini", 1), zoo.store.entry("mini", 1)
    with zoo.store.staging() as staged:
        shutil.copytree(folder, staged, dirs_exist_ok=True)
        (staged / "manifest.json").unlink()
        table = json.loads((staged / "body.json").read_text())
        change(table)
        (staged / "body.json").write_text(json.dumps(table))
        zoo.store.publish(staged, entry.model_copy(update={"lineage": {}}))
    zoo.store.set_alias("mini", "live", 2)


def test_a_version_that_adapts_a_layer_without_slots_is_served_by_its_own_graph(own_zoo: TinyZoo) -> None:
    layer = "encoder.layer.1.output.dense"
    changed(own_zoo, lambda table: table["linears"].pop(layer))
    entry, _ = adapted(own_zoo, data("labels"), hyperparameters=Hyperparameters(n_epochs=1))
    assert entry.base == "mini@2"
    assert entry.options["served_by"] == "merged"
    assert f"{layer} has no slot in the body's graph" in entry.options["why"]
    assert served(own_zoo, entry).predict("my parcel is late").items == 1


def test_a_version_that_its_body_answers_otherwise_for_is_served_by_its_own_graph(own_zoo: TinyZoo) -> None:
    def swap(table: dict[str, Any]) -> None:
        names = [f"encoder.layer.1.attention.self.{name}" for name in ("query", "value")]
        one, other = (table["linears"][name] for name in names)
        table["linears"] |= dict(zip(names, (other, one), strict=True))

    changed(own_zoo, swap)
    entry, _ = adapted(own_zoo, data("labels"), hyperparameters=Hyperparameters(n_epochs=3, learning_rate=0.01))
    assert entry.options["served_by"] == "merged"
    assert "does not answer as the trained one" in entry.options["why"]


def test_an_adapter_that_is_saved_is_read_with_its_scale(learnt: tuple[TinyZoo, dict[str, ModelEntry]]) -> None:
    zoo, _ = learnt
    table = SlotTable.read(zoo.store.folder("mini", 1))
    weights = AdapterWeights.read(zoo.store.folder("labels", 1) / "adapter", table)
    assert weights.rank == 8  # the class of 4
    assert {name for name in weights.slots if (weights.slots[name][4:] != 0).any()} == {
        name for name in weights.slots if name.startswith("slots.down")
    }


INPUTS: dict[str, Any] = {
    "labels": TEXTS[0],
    "score": TEXTS[1],
    "entities": TEXTS[0],
    "vectors": {"source_sentence": TEXTS[0], "sentences": TEXTS[1:]},
}


def numbers(body: object) -> list[float]:
    """All scores in an answer, in order."""
    if isinstance(body, float):
        return [body]
    parts = list(body.values()) if isinstance(body, dict) else body if isinstance(body, list) else []
    return [number for part in parts for number in numbers(part)]


def loader_on(zoo: TinyZoo, **settings: Any) -> Loader:
    return Loader(Registry(zoo.store, {}), zoo.store, zoo.settings.model_copy(update={"threads": 2, **settings}))


def test_requests_for_all_versions_of_a_body_share_its_runs(
    learnt: tuple[TinyZoo, dict[str, ModelEntry]], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, gate, real = threading.Event(), threading.Event(), SharedBody.run

    def held(self: SharedBody, rows: Sequence[Row], whole: bool) -> list[Any]:
        begun.set()
        assert gate.wait(60)
        return real(self, rows, whole)

    async def ask(loader: Loader) -> list[Prediction]:
        for kind in KINDS:  # loads them
            await loader.predict(kind, INPUTS[kind], {})
        gate.clear()
        begun.clear()
        first = asyncio.create_task(loader.predict("labels", "keeps the worker busy", {}))
        await asyncio.to_thread(begun.wait, 60)
        asked = [asyncio.create_task(loader.predict(kind, INPUTS[kind], {})) for kind in KINDS * 2]
        while loader.rows_waiting() < len(KINDS):  # equal ones are asked once
            await asyncio.sleep(0.001)
        gate.set()
        await first
        return await asyncio.gather(*asked)

    gate.set()
    monkeypatch.setattr(SharedBody, "run", held)
    monkeypatch.setattr(CostModel, "learn", lambda *_: None)  # of runs that were held back
    loader = loader_on(learnt[0], threads=1)  # what waits is not shared out: four rows are of two callers at least
    answers = asyncio.run(ask(loader))
    assert {one.provider for kind in KINDS if (one := loader.running(learnt[1][kind]))} == {"cpu"}
    loader.close()
    assert max(batch.others for answer in answers for batch in answer.batches) > 0
    for kind, answer in zip(KINDS * 2, answers, strict=True):
        own = served(learnt[0], learnt[1][kind]).predict(INPUTS[kind]).body
        assert numbers(answer.body) == pytest.approx(numbers(own), abs=1e-4)


def test_a_version_whose_body_is_damaged_is_served_by_its_own_graph(
    learnt: tuple[TinyZoo, dict[str, ModelEntry]], tmp_path: Path
) -> None:
    shutil.copytree(learnt[0].home, tmp_path / "home")
    zoo = TinyZoo(tmp_path / "home", learnt[0].checkpoints)
    graph = zoo.store.folder("mini", 1) / GRAPH
    graph.write_bytes(graph.read_bytes()[:-1] + b"?")
    loader = loader_on(zoo)
    registry, entry = Registry(zoo.store, {}), zoo.store.entry("labels", 1)
    before = detailed(registry.listing("labels"), entry, Imports(None))
    answer = asyncio.run(loader.predict("labels", TEXTS[0], {}))
    shown = detailed(registry.listing("labels"), entry, Imports(None), loader.running(entry))
    loader.close()
    own = served(zoo, learnt[1]["labels"]).predict(TEXTS[0]).body
    assert numbers(answer.body) == pytest.approx(numbers(own), abs=1e-5)
    assert (before["served_by"], before["why"]) == ("body", None)
    assert shown["served_by"] == "merged"
    assert shown["why"] == "its body cannot answer for it at the moment (artifact_corrupt)"


def test_more_adapters_than_there_is_room_for_take_turns(learnt: tuple[TinyZoo, dict[str, ModelEntry]]) -> None:
    async def ask(loader: Loader) -> list[Prediction]:
        return await asyncio.gather(*(loader.predict(kind, INPUTS[kind], {}) for kind in KINDS * 3))

    loader = loader_on(learnt[0], memory=4)  # a byte for the adapters: one always finds room
    answers = asyncio.run(ask(loader))
    loader.close()
    assert [answer.failed for answer in answers] == [0] * 12


def test_a_row_is_answered_alike_in_a_thousand_batches_of_any_versions(
    learnt: tuple[TinyZoo, dict[str, ModelEntry]],
) -> None:
    loader, draw = loader_on(learnt[0]), random.Random(0)
    texts = [*TEXTS, "late " * 30, "§ ¶ ∆ ≈ ∫", "a", "refund! " * 12]
    rows: list[Row] = []
    for kind in KINDS:
        predictor = loader.load(kind)
        asked = {"source_sentence": texts[0], "sentences": texts[1:]} if kind == "vectors" else texts
        rows += next(predictor.predicting(asked, {}))
    served = loader.running(learnt[1]["labels"])
    assert served is not None and served.body is not None
    alone = [np.asarray(served.body.run([row], False)[0], dtype=np.float64) for row in rows]
    for _ in range(1000):
        places = draw.sample(range(len(rows)), k=draw.randint(2, 8))
        for place, answer in zip(places, served.body.run([rows[place] for place in places], False), strict=True):
            assert near(np.asarray(answer, dtype=np.float64), alone[place])
    loader.close()


def test_a_body_leaves_memory_with_its_last_version_and_each_version_with_its_slot(
    learnt: tuple[TinyZoo, dict[str, ModelEntry]],
) -> None:
    loader = loader_on(learnt[0])
    for kind in ("labels", "score"):
        asyncio.run(loader.predict(kind, INPUTS[kind], {}))
    served = loader.running(learnt[1]["labels"])
    assert served is not None and served.body is not None
    slots, body = served.body.body.slots, weakref.ref(served.body)
    del served
    gc.collect()
    gc.disable()  # a service freezes what is there when it starts, and nothing of that is ever collected
    try:
        assert sorted(slots.residents()) == ["labels@1", "score@1"]
        loader.unload("labels")
        assert (sorted(slots.residents()), body() is None) == (["score@1"], False)
        loader.unload("score")
        assert (slots.residents(), body()) == ({}, None)
    finally:
        gc.enable()
        loader.close()


@pytest.mark.parametrize(("padded", "runs"), [(0, 2), (10_000_000, 1)])
def test_ranks_are_padded_for_a_shared_run_while_that_is_little(
    learnt: tuple[TinyZoo, dict[str, ModelEntry]], monkeypatch: pytest.MonkeyPatch, padded: int, runs: int
) -> None:
    loader, real, seen = loader_on(learnt[0]), Body.run, []

    def run(self: Body, feeds: Any, slots: Sequence[Any], **options: Any) -> Array:
        seen.append({slot.rank for slot in slots})
        return real(self, feeds, slots, **options)

    rows = [next(loader.load(kind).predicting(TEXTS[0], {}))[0] for kind in ("labels", "entities", "labels")]
    served = loader.running(learnt[1]["labels"])
    assert served is not None and served.body is not None
    alone = [served.body.run([row], False)[0] for row in rows]
    monkeypatch.setattr(shared_body, "PADDED", padded)
    monkeypatch.setattr(Body, "run", run)
    together = served.body.run(rows, False)
    loader.close()
    assert len(seen) == runs
    assert all(near(np.asarray(one), np.asarray(other)) for one, other in zip(together, alone, strict=True))


def test_a_body_counts_with_its_weights_and_a_version_without_what_is_not_read(
    learnt: tuple[TinyZoo, dict[str, ModelEntry]],
) -> None:
    zoo, workers = learnt[0], Workers(1)
    assembly = Assembly(zoo.store, workers, placement=ON_CPU, adapter_bytes=1)
    base = zoo.store.entry("mini", 1)
    weights = zoo.store.folder("mini", 1).joinpath(MODEL_FILE).stat().st_size
    beside, alone = assembly.wanted(learnt[1]["labels"], max_items=1), assembly.wanted(base, max_items=1)
    workers.close()
    assert weights <= beside.shared.size() < base.size
    assert weights <= alone.size < base.size - zoo.store.folder("mini", 1).joinpath(GRAPH).stat().st_size
