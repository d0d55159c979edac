"""Servable models by name: loaded once, bounded, sound while others are damaged or replaced."""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import TinyZoo
from zoo.catalogue.entry import ModelEntry
from zoo.catalogue.registry import Registry
from zoo.catalogue.store import Store
from zoo.engine.loader import Loader
from zoo.engine.memory import memory_limit
from zoo.engine.predictor import Prediction
from zoo.engine.served import Served
from zoo.errors import ArtifactCorrupt, DeadlineExceeded, InvalidInput, ModelNotFound, Unavailable
from zoo.tasks.task import is_task


class GatedStore(Store):
    """Counts the loads, and holds them back until the gate is opened."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.gate = threading.Event()
        self.begun = threading.Semaphore(0)
        self.loads: list[str] = []

    def verify(self, entry: ModelEntry, *, leaving: Collection[str] = ()) -> None:
        self.loads.append(entry.reference)
        self.begun.release()
        assert self.gate.wait(30)
        super().verify(entry, leaving=leaving)


@contextmanager
def loader_on(zoo: TinyZoo, *, store: Store | None = None, **settings: Any) -> Iterator[Loader]:
    store = store or zoo.store
    loader = Loader(Registry(store, {}), store, zoo.settings.model_copy(update=settings))
    try:
        yield loader
    finally:
        loader.close()


def label_of(loader: Loader, reference: str) -> str:
    body: Any = asyncio.run(loader.predict(reference, "my parcel was late", {"top_k": 1})).body
    return str(body[0][0]["label"])


def publish_with(zoo: TinyZoo, labels: tuple[str, ...], *, job: str) -> ModelEntry:
    """Another version of ``mood``, whose labels alone are new."""
    with zoo.store.staging() as staged:
        shutil.copytree(zoo.store.folder("mood", 1), staged, dirs_exist_ok=True)
        (staged / "manifest.json").unlink()
        draft = zoo.store.entry("mood", 1).model_copy(update={"labels": labels, "lineage": {"job": job}})
        return zoo.store.publish(staged, draft)


def test_a_model_is_loaded_by_its_first_request_and_answers(tiny_zoo: TinyZoo) -> None:
    with loader_on(tiny_zoo) as loader:
        assert loader.loaded() == []
        prediction = asyncio.run(loader.predict("mood", ["parcel", "late"], {}))
        assert (prediction.entry.reference, prediction.items) == ("mood@1", 2)
        assert prediction.queue_ms >= 0 and prediction.run_ms > 0
        (model,) = loader.loaded()
        assert model.key == "mood@1"
        assert model.bytes >= tiny_zoo.store.folder("mood", 1).joinpath("model.onnx").stat().st_size


def test_concurrent_first_requests_load_once(tiny_zoo: TinyZoo) -> None:
    store = GatedStore(tiny_zoo.home)
    with loader_on(tiny_zoo, store=store) as loader, ThreadPoolExecutor(6) as pool:
        predictors = [pool.submit(loader.load, "mood") for _ in range(6)]
        assert store.begun.acquire(timeout=30)
        store.gate.set()
        assert len({id(future.result(30)) for future in predictors}) == 1
    assert store.loads == ["mood@1"]


def test_requests_that_come_while_a_model_loads_are_all_answered(tiny_zoo: TinyZoo) -> None:
    store = GatedStore(tiny_zoo.home)

    async def ask(loader: Loader) -> list[Any]:
        asked = [asyncio.create_task(loader.predict("mood", f"parcel {n}", {})) for n in range(8)]
        await asyncio.to_thread(store.begun.acquire, timeout=30)
        assert loader.waiting() == 8
        store.gate.set()
        return [prediction.items for prediction in await asyncio.gather(*asked)]

    with loader_on(tiny_zoo, store=store) as loader:
        assert asyncio.run(ask(loader)) == [1] * 8
        assert loader.waiting() == 0
    assert store.loads == ["mood@1"]


def test_a_caller_who_leaves_does_not_disturb_those_who_stay(tiny_zoo: TinyZoo) -> None:
    store = GatedStore(tiny_zoo.home)

    async def ask(loader: Loader) -> int:
        leaver = asyncio.create_task(loader.predict("mood", "parcel", {}))
        await asyncio.to_thread(store.begun.acquire, timeout=30)
        others = [asyncio.create_task(loader.predict("mood", f"parcel {n}", {})) for n in range(4)]
        await asyncio.sleep(0)
        leaver.cancel()
        others[3].cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaver
        store.gate.set()
        answers = await asyncio.gather(*others[:3])
        return len(answers)

    with loader_on(tiny_zoo, store=store) as loader:
        assert asyncio.run(ask(loader)) == 3
        assert loader.waiting() == 0
    assert store.loads == ["mood@1"]


def test_a_load_that_fails_is_tried_again_by_the_next_request(own_zoo: TinyZoo) -> None:
    path = own_zoo.store.folder("mood", 1) / "model.onnx"
    content = path.read_bytes()
    with loader_on(own_zoo) as loader:
        path.write_bytes(content[:-1] + b"\x00")
        with pytest.raises(ArtifactCorrupt):
            loader.load("mood")
        assert loader.loaded() == []
        path.write_bytes(content)
        assert label_of(loader, "mood") in ("bad", "good", "so-so")


def test_one_more_than_may_wait_is_refused_and_the_others_are_answered(tiny_zoo: TinyZoo) -> None:
    store = GatedStore(tiny_zoo.home)

    async def ask(loader: Loader) -> None:
        asked = [asyncio.create_task(loader.predict("mood", f"parcel {n}", {})) for n in range(4)]  # 1 runs, 3 wait
        await asyncio.to_thread(store.begun.acquire, timeout=30)
        with pytest.raises(Unavailable, match="full") as caught:
            await loader.predict("mood", "parcel", {})
        assert caught.value.code == "overloaded"
        assert caught.value.retry_after >= 1
        with pytest.raises(Unavailable):
            await loader.embed("mini", ["parcel"])
        store.gate.set()
        assert [prediction.items for prediction in await asyncio.gather(*asked)] == [1] * 4
        assert (await loader.predict("mood", "parcel", {})).items == 1

    with loader_on(tiny_zoo, store=store, max_waiting_requests=3) as loader:
        asyncio.run(ask(loader))


def test_a_new_version_is_served_as_soon_as_the_alias_points_to_it(own_zoo: TinyZoo) -> None:
    with loader_on(own_zoo) as loader:
        before = label_of(loader, "mood")
        publish_with(own_zoo, ("x", "y", "z"), job="again")
        assert label_of(loader, "mood") == before
        own_zoo.store.set_alias("mood", "live", 2)
        assert label_of(loader, "mood") in ("x", "y", "z")
        assert label_of(loader, "mood@2") == label_of(loader, "mood")
        assert label_of(loader, "mood@1") == before
        own_zoo.store.set_alias("mood", "live", 1)
        assert label_of(loader, "mood") == before


def test_a_removed_version_is_no_longer_served_though_it_was_loaded(own_zoo: TinyZoo) -> None:
    with loader_on(own_zoo) as loader:
        loader.load("mood")
        own_zoo.store.delete("mood", None)
        with pytest.raises(ModelNotFound):
            asyncio.run(loader.predict("mood", "parcel", {}))
        with pytest.raises(ModelNotFound):
            asyncio.run(loader.predict("mood@1", "parcel", {}))


def test_unloading_forgets_every_version_of_the_name_alone(own_zoo: TinyZoo) -> None:
    publish_with(own_zoo, ("x", "y", "z"), job="again")
    with loader_on(own_zoo) as loader:
        for reference in ("mood@1", "mood@2", "mini"):
            loader.load(reference)
        loader.unload("mood")
        assert [model.key for model in loader.loaded()] == ["mini@1"]
        assert label_of(loader, "mood@2") in ("x", "y", "z")
        assert {model.key for model in loader.loaded()} == {"mini@1", "mood@2"}


def test_a_version_can_be_unloaded_alone(own_zoo: TinyZoo) -> None:
    publish_with(own_zoo, ("x", "y", "z"), job="again")
    with loader_on(own_zoo) as loader:
        for reference in ("mood@1", "mood@2"):
            loader.load(reference)
        loader.unload("mood@1")
        assert [model.key for model in loader.loaded()] == ["mood@2"]


def test_a_model_is_loaded_anew_after_it_was_unloaded(tiny_zoo: TinyZoo) -> None:
    store = GatedStore(tiny_zoo.home)
    store.gate.set()
    with loader_on(tiny_zoo, store=store) as loader:
        first = loader.load("mood")
        assert loader.load("mood@1") is first
        loader.unload("mood")
        assert loader.load("mood") is not first
    assert store.loads == ["mood@1", "mood@1"]


def test_an_unknown_name_is_not_found_with_a_suggestion(tiny_zoo: TinyZoo) -> None:
    with loader_on(tiny_zoo) as loader, pytest.raises(ModelNotFound) as caught:
        asyncio.run(loader.predict("moood", "parcel", {}))
    assert caught.value.suggestions == ("mood",)


def test_a_request_for_another_task_is_refused_before_anything_is_loaded(tiny_zoo: TinyZoo) -> None:
    with loader_on(tiny_zoo) as loader:
        with pytest.raises(InvalidInput, match="answers text-classification") as caught:
            asyncio.run(loader.predict("mood", "parcel", {}, task="feature-extraction"))
        assert (caught.value.code, caught.value.param) == ("wrong_task", "task")
        assert loader.loaded() == []
        assert asyncio.run(loader.predict("mood", "parcel", {}, task="text-classification")).items == 1


def test_embeddings_are_refused_by_a_classifier(tiny_zoo: TinyZoo) -> None:
    with loader_on(tiny_zoo) as loader, pytest.raises(InvalidInput) as caught:
        asyncio.run(loader.embed("mood", ["parcel"]))
    assert (caught.value.code, caught.value.param) == ("wrong_task", "model")


def test_embeddings_come_from_an_encoder(tiny_zoo: TinyZoo) -> None:
    with loader_on(tiny_zoo) as loader:
        prediction = asyncio.run(loader.embed("mini", ["parcel", "late again"]))
    vectors: Any = prediction.body
    assert [vector.shape for vector in vectors] == [(32,), (32,)]
    assert prediction.tokens == 3 + 4


def test_the_setting_bounds_the_number_of_items(tiny_zoo: TinyZoo) -> None:
    with loader_on(tiny_zoo, max_items=2) as loader:
        with pytest.raises(InvalidInput) as caught:
            asyncio.run(loader.predict("mood", ["late"] * 3, {}))
        assert caught.value.code == "batch_size"


def test_what_this_release_cannot_serve_is_known_beforehand(tiny_zoo: TinyZoo) -> None:
    entry = tiny_zoo.store.entry("mood", 1)
    assert is_task(entry.task)
    assert not is_task("table-question-answering")


WITHOUT_TORCH = """
import asyncio, json, sys
for name in ("torch", "transformers", "peft", "onnx", "sklearn"):
    sys.modules[name] = None
from pathlib import Path
from zoo.catalogue.registry import Registry
from zoo.catalogue.store import Store
from zoo.engine.loader import Loader
from zoo.engine.memory import memory_limit
from zoo.settings import Settings
from zoo.tasks.task import is_task

home = Path(sys.argv[1])
store = Store(home)
loader = Loader(Registry(store, {}), store, Settings(_env_file=None, home=home, threads=1))
mood = asyncio.run(loader.predict("mood", "parcel", {"top_k": 1})).body
mini = asyncio.run(loader.predict("mini", ["parcel", "late"], {})).body
loader.close()
print(json.dumps({"label": mood[0][0]["label"], "shape": [len(mini), len(mini[0])]}))
"""


def test_both_tasks_are_served_where_torch_and_transformers_cannot_be_imported(tiny_zoo: TinyZoo) -> None:
    command = [sys.executable, "-W", "error", "-c", WITHOUT_TORCH, str(tiny_zoo.home)]
    root = Path(__file__).parents[3]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    with loader_on(tiny_zoo) as loader:
        body: Any = asyncio.run(loader.predict("mood", "parcel", {"top_k": 1})).body
    assert json.loads(done.stdout) == {"label": body[0][0]["label"], "shape": [2, 32]}


def test_a_recording_is_closed_when_it_cannot_be_heard(tiny_zoo: TinyZoo) -> None:
    async def ask(loader: Loader, reference: str, sound: BytesIO) -> None:
        async for _ in loader.listen(reference, sound, {}):
            pass

    with loader_on(tiny_zoo) as loader:
        for reference, error in (("mood", InvalidInput), ("nobody", ModelNotFound)):
            sound = BytesIO(b"RIFF")
            with pytest.raises(error):
                asyncio.run(ask(loader, reference, sound))
            assert sound.closed
        assert loader.waiting() == 0


def test_the_least_recently_asked_for_leaves_when_memory_is_short_and_comes_back(own_zoo: TinyZoo) -> None:
    publish_with(own_zoo, ("x", "y", "z"), job="again")
    with loader_on(own_zoo, memory=1) as loader:
        assert label_of(loader, "mood@1") in ("bad", "good", "so-so")
        assert label_of(loader, "mood@2") in ("x", "y", "z")
        assert [model.key for model in loader.loaded()] == ["mood@2"]
        assert label_of(loader, "mood@1") in ("bad", "good", "so-so")
        memory = loader.memory()
    assert memory.budget == 1
    assert memory.counts == {
        ("mood@1", "load"): 2,
        ("mood@1", "unload"): 1,
        ("mood@2", "load"): 1,
        ("mood@2", "unload"): 1,
    }


def test_the_budget_is_half_of_what_the_process_may_use_unless_it_is_set(tiny_zoo: TinyZoo) -> None:
    with loader_on(tiny_zoo) as loader:
        assert loader.memory().budget == memory_limit() // 2


def test_equal_requests_at_once_run_once_and_others_do_not_wait_for_them(tiny_zoo: TinyZoo) -> None:
    store = GatedStore(tiny_zoo.home)

    async def ask(loader: Loader) -> None:
        asked = [
            ("mood", "parcel", {}),
            ("mood@1", "parcel", {}),
            ("mood", "parcel", {"top_k": 1}),
            ("mood", "late", {}),
        ]
        tasks = [asyncio.create_task(loader.predict(*one)) for one in asked]
        await asyncio.to_thread(store.begun.acquire, timeout=30)
        assert loader.waiting() == 3
        store.gate.set()
        first, same, shorter, other = [prediction.body for prediction in await asyncio.gather(*tasks)]
        assert first == same and len(str(shorter)) < len(str(first)) and other != first
        assert loader.answers().shared == 1

    with loader_on(tiny_zoo, store=store) as loader:
        asyncio.run(ask(loader))


def test_a_caller_whose_time_is_over_does_not_wait_for_what_others_still_wait_for(tiny_zoo: TinyZoo) -> None:
    store = GatedStore(tiny_zoo.home)

    async def ask(loader: Loader) -> None:
        patient = asyncio.create_task(loader.predict("mood", "parcel", {}))
        await asyncio.to_thread(store.begun.acquire, timeout=30)
        with pytest.raises(DeadlineExceeded):
            await loader.predict("mood", "parcel", {}, deadline=time.monotonic() + 0.05)
        assert (loader.answers().shared, patient.done()) == (1, False)
        store.gate.set()
        assert (await patient).items == 1

    with loader_on(tiny_zoo, store=store) as loader:
        asyncio.run(ask(loader))


def test_one_with_more_time_than_the_first_of_its_equals_is_answered(tiny_zoo: TinyZoo) -> None:
    store = GatedStore(tiny_zoo.home)

    async def ask(loader: Loader) -> None:
        hasty = asyncio.create_task(loader.predict("mood", "parcel", {}, deadline=time.monotonic() + 0.05))
        await asyncio.to_thread(store.begun.acquire, timeout=30)
        patient = asyncio.create_task(loader.predict("mood", "parcel", {}))
        with pytest.raises(DeadlineExceeded):
            await hasty
        store.gate.set()
        assert (await patient).items == 1

    with loader_on(tiny_zoo, store=store) as loader:
        asyncio.run(ask(loader))


def test_who_joins_a_list_of_which_some_were_late_has_its_own_asked(
    tiny_zoo: TinyZoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, real, asked = GatedStore(tiny_zoo.home), Served.answer, itertools.count()

    async def late(self: Served, *arguments: Any, **options: Any) -> Prediction:
        prediction = await real(self, *arguments, **options)
        return prediction if next(asked) else replace(prediction, failed=1, late=True)

    async def ask(loader: Loader) -> list[int]:
        first = asyncio.create_task(loader.predict("mood", ["parcel", "late"], {}))
        await asyncio.to_thread(store.begun.acquire, timeout=30)
        second = asyncio.create_task(loader.predict("mood", ["parcel", "late"], {}))
        await asyncio.sleep(0)
        store.gate.set()
        return [one.failed for one in await asyncio.gather(first, second)]

    monkeypatch.setattr(Served, "answer", late)
    with loader_on(tiny_zoo, store=store) as loader:
        assert asyncio.run(ask(loader)) == [1, 0]
        assert loader.answers().shared == 1


def test_lists_for_a_loaded_model_do_not_wait_for_models_that_are_being_loaded(own_zoo: TinyZoo) -> None:
    publish_with(own_zoo, ("x", "y", "z"), job="again")
    store = GatedStore(own_zoo.home)

    async def ask(loader: Loader) -> None:
        store.gate.set()
        await loader.predict("mini", "parcel", {})
        store.gate.clear()
        loading = [asyncio.create_task(loader.predict("mood@1", text, {})) for text in ("one", "other", "third")]
        await asyncio.to_thread(store.begun.acquire, timeout=30)
        answered = await loader.predict("mini", ["parcel", "late"], {}, deadline=time.monotonic() + 30)
        assert answered.items == 2
        assert not any(task.done() for task in loading)
        store.gate.set()
        await asyncio.gather(*loading)

    with loader_on(own_zoo, store=store) as loader:
        asyncio.run(ask(loader))


def test_an_answer_that_was_given_is_given_again_without_a_run(tiny_zoo: TinyZoo) -> None:
    with loader_on(tiny_zoo, answer_cache=1_000_000) as loader:
        first = asyncio.run(loader.predict("mood", "parcel", {}))
        again = asyncio.run(loader.predict("mood@1", "parcel", {}))
        assert again.body == first.body
        assert (first.run_ms > 0, again.run_ms) == (True, 0)
        assert (len(first.batches), again.batches) == (1, ())
        assert (loader.answers().hits, loader.answers().misses) == (1, 1)


def test_an_alias_that_moves_never_serves_what_was_kept_of_another_version(own_zoo: TinyZoo) -> None:
    with loader_on(own_zoo, answer_cache=1_000_000) as loader:
        before = label_of(loader, "mood")
        publish_with(own_zoo, ("x", "y", "z"), job="again")
        own_zoo.store.set_alias("mood", "live", 2)
        assert label_of(loader, "mood") in ("x", "y", "z")
        own_zoo.store.set_alias("mood", "live", 1)
        assert label_of(loader, "mood") == before
        assert loader.answers().hits == 1


def test_vectors_and_predictions_of_the_same_text_are_kept_apart(tiny_zoo: TinyZoo) -> None:
    with loader_on(tiny_zoo, answer_cache=1_000_000) as loader:
        predicted = asyncio.run(loader.predict("mini", ["parcel"], {})).body
        embedded: Any = asyncio.run(loader.embed("mini", ["parcel"])).body
        assert isinstance(predicted, list) and isinstance(predicted[0], list)
        assert embedded[0].shape == (32,)


def test_requests_that_wait_for_a_model_leave_others_to_load_theirs(own_zoo: TinyZoo) -> None:
    class Slow(GatedStore):
        def verify(self, entry: ModelEntry, *, leaving: Collection[str] = ()) -> None:
            if entry.name == "mood":
                super().verify(entry, leaving=leaving)

    async def ask(loader: Loader) -> None:
        waiting = [asyncio.create_task(loader.predict("mood", f"{place}", {})) for place in range(8)]
        await asyncio.to_thread(store.begun.acquire, timeout=30)
        assert (await loader.predict("mini", "parcel", {}, deadline=time.monotonic() + 60)).items == 1
        assert not any(task.done() for task in waiting)
        store.gate.set()
        assert [answer.items for answer in await asyncio.gather(*waiting)] == [1] * 8

    store = Slow(own_zoo.home)
    with loader_on(own_zoo, store=store) as loader:
        asyncio.run(ask(loader))
        assert store.loads == ["mood@1"]


def test_those_who_joined_one_whose_time_was_too_short_share_one_run(tiny_zoo: TinyZoo) -> None:
    store = GatedStore(tiny_zoo.home)

    async def ask(loader: Loader) -> None:
        hasty = asyncio.create_task(loader.predict("mood", "parcel", {}, deadline=time.monotonic() + 0.05))
        await asyncio.to_thread(store.begun.acquire, timeout=30)
        patient = [asyncio.create_task(loader.predict("mood", "parcel", {})) for _ in range(4)]
        with pytest.raises(DeadlineExceeded):
            await hasty
        store.gate.set()
        assert [answer.items for answer in await asyncio.gather(*patient)] == [1] * 4

    with loader_on(tiny_zoo, store=store) as loader:
        asyncio.run(ask(loader))
        assert loader.counts["run"] == 1
