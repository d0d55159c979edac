"""What is loaded before anybody asks."""

from __future__ import annotations

import logging
import threading
import time

import pytest

from tests.api.test_predict import wait_until
from tests.conftest import TinyZoo
from tests.zoo.engine.test_loader import GatedStore, label_of, loader_on, publish_with
from zoo.catalogue.plan import Plan, start
from zoo.engine.loader import Loader
from zoo.engine.preload import Preload


def loaded(loader: Loader) -> list[str]:
    return sorted(model.key for model in loader.loaded())


def test_what_live_names_is_loaded(own_zoo: TinyZoo) -> None:
    own_zoo.store.remove_alias("mini", "live")
    with loader_on(own_zoo) as loader:
        Preload(loader).run()
        assert loaded(loader) == ["mood@1"]


def test_what_other_aliases_name_is_loaded_behind_what_live_names(own_zoo: TinyZoo) -> None:
    publish_with(own_zoo, ("x", "y", "z"), job="again")
    publish_with(own_zoo, ("u", "v", "w"), job="and again")
    own_zoo.store.set_alias("mini", "prod", 1)
    own_zoo.store.remove_alias("mini", "live")
    start(own_zoo.store, "mood", "live", Plan(canary=2, weight=10, shadow=3))
    store = GatedStore(own_zoo.home)
    store.gate.set()
    with loader_on(own_zoo, store=store) as loader:
        Preload(loader).run()
        assert store.loads == ["mood@1", "mini@1", "mood@2", "mood@3"]


def test_what_does_not_fit_beside_the_others_is_left_to_its_first_request(tiny_zoo: TinyZoo) -> None:
    budget = tiny_zoo.store.entry("mini", 1).size
    with loader_on(tiny_zoo, memory=budget) as loader:
        Preload(loader).run()
        assert loaded(loader) == ["mini@1"]


def test_a_damaged_model_is_told_and_the_others_are_loaded(own_zoo: TinyZoo, caplog: pytest.LogCaptureFixture) -> None:
    (own_zoo.store.folder("mini", 1) / "model.onnx").write_bytes(b"damaged")
    with loader_on(own_zoo) as loader:
        Preload(loader).run()
        assert loaded(loader) == ["mood@1"]
    (record,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert (record.__dict__["model"], record.__dict__["code"]) == ("mini", "artifact_corrupt")


def test_a_request_does_not_wait_for_another_model_that_is_being_preloaded(tiny_zoo: TinyZoo) -> None:
    store = GatedStore(tiny_zoo.home)
    with loader_on(tiny_zoo, store=store) as loader:
        preload = Preload(loader)
        preload.start()
        preload.settle()
        assert store.begun.acquire(timeout=30)
        assert store.loads == ["mini@1"]
        asking = threading.Thread(target=label_of, args=(loader, "mood"))
        asking.start()
        assert store.begun.acquire(timeout=30)
        assert store.loads == ["mini@1", "mood@1"]
        store.gate.set()
        asking.join(30)
        preload.stop()
        assert loaded(loader) == ["mini@1", "mood@1"]


def test_how_a_model_runs_is_measured_once_the_process_has_started(tiny_zoo: TinyZoo) -> None:
    with loader_on(tiny_zoo) as loader:
        preload = Preload(loader)
        preload.start()
        time.sleep(0.5)
        assert loaded(loader) == []
        preload.settle()
        wait_until(lambda: loaded(loader) == ["mini@1", "mood@1"], 30)
        preload.stop()
        first = next(model for model in loader.loaded() if model.key == "mini@1")
        files = tiny_zoo.store.entry("mini", 1).files
        read = [file.size for file in files if not file.path.startswith(("checkpoint/", "body.graph"))]
        assert first.bytes == sum(read)  # the process grew by other things too


def test_one_that_is_stopped_before_the_process_has_started_ends(tiny_zoo: TinyZoo) -> None:
    with loader_on(tiny_zoo) as loader:
        preload = Preload(loader)
        preload.start()
        preload.stop()
        assert loader.calm.is_set()
