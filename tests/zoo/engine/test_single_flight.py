"""The same work at once is done once; who leaves disturbs nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

import pytest

from zoo.engine.single_flight import SingleFlight


class Work:
    """Runs until it is let through; counts how often it began and was cancelled."""

    def __init__(self, *, error: Exception | None = None) -> None:
        self.gate = asyncio.Event()
        self.begun = 0
        self.cancelled = 0
        self.error = error

    async def __call__(self) -> str:
        self.begun += 1
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        return f"run {self.begun}"


async def turns() -> None:
    """Let everything that can go on do so."""
    for _ in range(5):
        await asyncio.sleep(0)


def run(main: Coroutine[None, None, None]) -> None:
    asyncio.run(main)


def test_equal_work_runs_once_and_answers_all() -> None:
    async def main() -> None:
        flights, work = SingleFlight[str](), Work()
        asked = [asyncio.create_task(flights.run("key", work)) for _ in range(5)]
        await turns()
        work.gate.set()
        assert await asyncio.gather(*asked) == ["run 1"] * 5
        assert (work.begun, flights.shared) == (1, 4)

    run(main())


def test_other_work_runs_beside_it() -> None:
    async def main() -> None:
        flights, slow, quick = SingleFlight[str](), Work(), Work()
        waiting = asyncio.create_task(flights.run("slow", slow))
        quick.gate.set()
        assert await flights.run("quick", quick) == "run 1"
        slow.gate.set()
        assert (await waiting, flights.shared) == ("run 1", 0)

    run(main())


def test_what_is_done_is_done_anew_when_it_is_asked_for_again() -> None:
    async def main() -> None:
        flights, work = SingleFlight[str](), Work()
        work.gate.set()
        assert [await flights.run("key", work), await flights.run("key", work)] == ["run 1", "run 2"]

    run(main())


@pytest.mark.parametrize("leaver", [0, 1, 2])
def test_a_caller_who_leaves_disturbs_nobody_not_even_as_the_first(leaver: int) -> None:
    async def main() -> None:
        flights, work = SingleFlight[str](), Work()
        asked = [asyncio.create_task(flights.run("key", work)) for _ in range(3)]
        await turns()
        asked.pop(leaver).cancel()
        await turns()
        work.gate.set()
        assert await asyncio.gather(*asked) == ["run 1"] * 2
        assert work.cancelled == 0

    run(main())


def test_work_is_cancelled_when_all_have_left_and_a_later_caller_starts_it_again() -> None:
    async def main() -> None:
        flights, work = SingleFlight[str](), Work()
        asked = [asyncio.create_task(flights.run("key", work)) for _ in range(2)]
        await turns()
        for one in asked:
            one.cancel()
        await turns()
        assert work.cancelled == 1
        work.gate.set()
        assert await flights.run("key", work) == "run 2"

    run(main())


def test_an_error_reaches_all_who_wait() -> None:
    async def main() -> None:
        flights, work = SingleFlight[str](), Work(error=ValueError("broken"))
        asked = [asyncio.create_task(flights.run("key", work)) for _ in range(3)]
        await turns()
        work.gate.set()
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert [str(answer) for answer in answers] == ["broken"] * 3

    run(main())
