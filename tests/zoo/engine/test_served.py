"""Requests from many callers at once, through the loader's door, on real sessions of tiny models."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from tests.conftest import TinyZoo
from zoo.catalogue.registry import Registry
from zoo.engine.cost_model import CostModel
from zoo.engine.loader import Loader
from zoo.engine.predictor import Prediction, Predictor
from zoo.engine.served import Served
from zoo.engine.steps import Row
from zoo.engine.workers import Workers
from zoo.errors import DeadlineExceeded, InvalidInput, Unavailable

WORDS = ("parcel", "refund my card", "password locked again please", "late " * 30, "it was late again")
TEXTS = [f"{text} {'abcdefghijkl'[number]}" for number in range(12) for text in WORDS]  # equal ones would run once


@contextmanager
def loader_on(zoo: TinyZoo, **settings: Any) -> Iterator[Loader]:
    loader = Loader(Registry(zoo.store, {}), zoo.store, zoo.settings.model_copy(update=settings))
    try:
        yield loader
    finally:
        loader.close()


def scores(prediction: Prediction) -> dict[str, float]:
    body: Any = prediction.body
    return {label["label"]: label["score"] for label in body[0]}


@pytest.mark.parametrize("threads", [1, 2])
def test_callers_that_share_batches_get_the_answers_to_their_own_texts(
    tiny_zoo: TinyZoo, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    gate, real = threading.Event(), Predictor.run

    def held(self: Predictor, rows: Sequence[Row], *, whole: bool = True) -> list[Any]:
        assert gate.wait(60)
        return real(self, rows, whole=whole)

    async def ask(loader: Loader) -> list[Prediction]:
        alone = [await loader.predict("mood", text, {}) for text in TEXTS]
        gate.clear()
        asked = [asyncio.create_task(loader.predict("mood", text, {})) for text in TEXTS]
        while loader.waiting() < len(TEXTS):
            await asyncio.sleep(0)
        gate.set()
        together = await asyncio.gather(*asked)
        for one, other in zip(alone, together, strict=True):
            assert scores(one) == pytest.approx(scores(other), abs=1e-5)
        return together

    gate.set()
    monkeypatch.setattr(Predictor, "run", held)
    monkeypatch.setattr(CostModel, "learn", lambda *_: None)  # of runs that were held back
    with loader_on(tiny_zoo, threads=threads) as loader:
        answers = asyncio.run(ask(loader))
        assert max(batch.others for answer in answers for batch in answer.batches) > 0
        assert loader.counts["batches"] < loader.counts["run"] == 120


def test_lists_and_single_texts_of_two_models_are_answered_side_by_side(tiny_zoo: TinyZoo) -> None:
    async def ask(loader: Loader) -> tuple[Any, ...]:
        return await asyncio.gather(
            loader.predict("mood", TEXTS, {"top_k": 1}),
            loader.predict("mood", TEXTS[0], {"top_k": 1}),
            loader.embed("mini", TEXTS),
            loader.embed("mini", TEXTS[:1]),
        )

    with loader_on(tiny_zoo, threads=2) as loader:
        several, single, vectors, vector = asyncio.run(ask(loader))
    assert [len(answer) for answer in several.body] == [1] * 60
    assert several.body[0][0]["label"] == single.body[0][0]["label"]
    np.testing.assert_allclose(vectors.body[0], vector.body[0], atol=1e-5)


def test_a_bad_text_among_those_of_others_fails_alone(tiny_zoo: TinyZoo) -> None:
    async def ask(loader: Loader) -> list[Any]:
        asked = [loader.predict("mood", text, {}) for text in ("parcel", " ", "late")]
        return await asyncio.gather(*asked, return_exceptions=True)

    with loader_on(tiny_zoo) as loader:
        first, second, third = asyncio.run(ask(loader))
    assert (first.failed, third.failed) == (0, 0)
    assert isinstance(second, InvalidInput) and second.code == "invalid_text"


def test_a_request_whose_time_is_over_is_not_answered(tiny_zoo: TinyZoo) -> None:
    with loader_on(tiny_zoo) as loader:
        loader.load("mood")
        with pytest.raises((DeadlineExceeded, Unavailable)):
            asyncio.run(loader.predict("mood", TEXTS, {}, deadline=time.monotonic() - 1))
        assert loader.waiting() == 0


def test_a_list_that_only_fails_ends_when_its_time_is_over(tiny_zoo: TinyZoo) -> None:
    with loader_on(tiny_zoo) as loader:
        loader.load("mood")
        with pytest.raises(DeadlineExceeded):
            asyncio.run(loader.predict("mood", [" "] * 33, {}, deadline=time.monotonic() - 1))


def test_a_caller_that_leaves_takes_nothing_along(tiny_zoo: TinyZoo) -> None:
    async def ask(loader: Loader) -> Any:
        leaving = [asyncio.create_task(loader.predict("mood", text, {})) for text in TEXTS]
        staying = asyncio.create_task(loader.predict("mood", "parcel", {}))
        await asyncio.sleep(0)
        for task in leaving:
            task.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)
        return await staying

    with loader_on(tiny_zoo) as loader:
        loader.load("mood")
        assert asyncio.run(ask(loader)).items == 1
        assert loader.waiting() == 0
        assert loader.rows_waiting() == 0


def test_what_runs_a_version_is_told_while_it_is_loaded(tiny_zoo: TinyZoo) -> None:
    entry = tiny_zoo.store.entry("mood", 1)
    with loader_on(tiny_zoo) as loader:
        assert loader.running(entry) is None
        loader.load("mood")
        served = loader.running(entry)
    assert served is not None
    assert (served.provider, served.threads.workers) == ("cpu", 1)


def test_after_its_end_the_loader_takes_nothing(tiny_zoo: TinyZoo) -> None:
    with loader_on(tiny_zoo) as loader:
        asyncio.run(loader.predict("mood", "parcel", {}))
    with pytest.raises(Unavailable, match="about to end"):
        asyncio.run(loader.predict("mood", "parcel", {}))


def predictor_on(zoo: TinyZoo, threads: int) -> Predictor:
    return Predictor(zoo.store.entry("mood", 1), zoo.store.folder("mood", 1), threads=threads)


def test_with_one_core_there_is_one_session_and_one_worker(tiny_zoo: TinyZoo) -> None:
    workers = Workers(1)
    threads = Served.alone(predictor_on(tiny_zoo, 1), workers).threads
    workers.close()
    assert (threads.workers, threads.alone) == (1, 1)
    assert threads.single_ms > 0
