"""Aliases that roll out: which version answers a request, what is mirrored, and the way back when the rule says so.

A request is resolved once, here, and asks the engine for exactly that version: it keeps it to its end, whatever becomes
of the alias meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import ExitStack, aclosing
from typing import Any, cast

from zoo.catalogue.alias import Alias, closed, promoted
from zoo.catalogue.reference import parse_reference
from zoo.catalogue.registry import LIVE
from zoo.catalogue.rollout import Rollout
from zoo.catalogue.store import Store
from zoo.engine.agreement import agreement
from zoo.engine.loader import Loader
from zoo.engine.mirror import Copy, Mirror
from zoo.engine.predictor import Prediction
from zoo.engine.route import Route, is_chosen, is_fault, is_server_full
from zoo.engine.tally import Counted, Observer, SideName, Tally
from zoo.errors import DeadlineExceeded, ZooError

Answer = Callable[[str], Awaitable[Prediction]]
Relay = Callable[[str], AsyncIterator[Prediction]]
Whole = Callable[[Sequence[Prediction]], Prediction]
log = logging.getLogger("zoo.rollouts")


class Rollouts:
    """The way from a reference to an answer. Requests come on one event loop; the rest may be called anywhere."""

    def __init__(self, loader: Loader, store: Store, *, observer: Observer) -> None:
        self._loader = loader
        self._store = store
        self._observer = observer
        self._tallies: dict[tuple[str, str], Tally] = {}
        self._lock = threading.Lock()
        self._mirror = Mirror(loader.waiting, room=loader.cores)
        self._endings: dict[Tally, asyncio.Task[None]] = {}

    async def answer(self, reference: str, ask: Answer, *, key: str | None = None) -> Prediction:
        """What ``ask`` answers for the version that ``reference`` means now; raises what it and the registry raise.

        ``key``: requests with the same one get the same side of a canary. Where the canary fails or refuses, the stable
        version answers; what the shadow does is never seen.
        """
        route = self._route(reference, key)
        await self._mirror.make_room()
        if isinstance(route, str):
            return await ask(route)
        refusal: Exception | None = None
        started = time.perf_counter()
        if route.side == "canary":
            try:
                return await self._timed(route, "canary", ask(route.chosen))
            except Exception as error:
                if is_server_full(error):
                    raise
                if is_fault(error):
                    _log_fault(route, error)
                else:
                    refusal = error
        prediction = await self._timed(route, "stable", ask(route.stable))
        if refusal is not None:  # what the stable version takes is no error of the caller
            self._count(route, "canary", started, failed=True)
            _log_fault(route, refusal)
        self._offer(route, ask, prediction)
        return prediction

    async def relay(
        self,
        reference: str,
        ask: Relay,
        *,
        key: str | None = None,
        whole: Whole | None = None,
        done: Callable[[], None] = lambda: None,
    ) -> AsyncIterator[Prediction]:
        """As ``answer``, for what comes bit by bit. ``done`` is called when ``ask`` will be called no more.

        A canary that cannot be loaded is passed over before ``ask``. ``whole`` makes of all bits what is compared with
        the shadow's; without it nothing is mirrored.
        """
        with ExitStack() as ending:
            ending.callback(done)
            route = self._route(reference, key)
            await self._mirror.make_room()
            side, version = await self._loadable(route)
            mirrored = not isinstance(route, str) and side == "stable" and route.shadow is not None
            started, given = time.perf_counter(), list[Prediction]()
            try:
                async with aclosing(cast(AsyncGenerator[Prediction, None], ask(version))) as bits:
                    async for bit in bits:
                        if mirrored and whole is not None:
                            given.append(bit)
                        yield bit
            except Exception as error:
                if is_fault(error) and not isinstance(route, str):
                    self._count(route, side, started, failed=True)
                raise
            if not isinstance(route, str):
                self._count(route, side, started, failed=False)
                if given and whole is not None:

                    async def again(version: str) -> Prediction:
                        return whole([bit async for bit in ask(version)])

                    self._offer(route, again, whole(given), ending.pop_all())

    def tally(self, name: str, alias: str, rollout: Rollout) -> Tally:
        """What this process has counted of a rollout; a new one begins at nothing."""
        with self._lock:
            tally = self._tallies.get((name, alias))
            if tally is None or tally.rollout != rollout.id:
                tally = self._tallies[name, alias] = Tally(rollout.id)
            return tally

    def promote(self, name: str, alias: str) -> Alias:
        """Let the alias mean its canary, in one step; ``NotFound`` (``no_rollout``), or ``Conflict`` without one."""

        def change(found: Alias) -> Alias:
            figures = self.tally(name, alias, found.running).figures()
            return promoted(found, reason="Promoted on request.", figures=figures)

        return self._store.change_alias(name, alias, change)

    def roll_back(self, name: str, alias: str) -> Alias:
        """End a rollout, so that the stable version answers everything; ``NotFound`` (``no_rollout``)."""

        def change(found: Alias) -> Alias:
            figures = self.tally(name, alias, found.running).figures()
            return closed(found, "rolled_back", "Rolled back on request.", figures=figures)

        return self._store.change_alias(name, alias, change)

    async def settled(self) -> None:
        """Wait until nothing is mirrored any more and every roll-back that was decided is written down."""
        await self._mirror.settled()
        if self._endings:
            await asyncio.wait(set(self._endings.values()))

    async def close(self) -> None:
        """Give up what is mirrored, finish what is being written."""
        await self._mirror.close()
        await self.settled()

    def _route(self, reference: str, key: str | None) -> Route | str:
        """The way of a request, or the version alone where no rollout is counted."""
        wanted = parse_reference(reference)
        if wanted.version is not None:
            return reference
        name = wanted.alias or LIVE
        alias = self._store.alias_table(wanted.name).get(name)
        if alias is None:
            return reference  # the newest version, or the registry's error
        stable = f"{wanted.name}@{alias.version}"
        if alias.rollout is None:
            return stable
        tally = self.tally(wanted.name, name, alias.rollout)
        if tally.over is not None:
            self._end(wanted.name, name, tally)
            return stable
        canary = is_chosen(wanted.name, alias.rollout, tally, key)
        chosen = f"{wanted.name}@{alias.rollout.canary}" if canary else stable
        return Route(wanted.name, name, stable, chosen, alias.rollout, tally)

    async def _timed(self, route: Route, side: SideName, asked: Awaitable[Prediction]) -> Prediction:
        started = time.perf_counter()
        try:
            prediction = await asked
        except DeadlineExceeded:  # nobody's fault where all are late, but a side that is late alone has to be seen
            self._count(route, side, started, failed=False)
            raise
        except Exception as error:
            if is_fault(error):
                self._count(route, side, started, failed=True)
            raise
        self._count(route, side, started, failed=False)
        return prediction

    async def _loadable(self, route: Route | str) -> tuple[SideName, str]:
        if isinstance(route, str):
            return "stable", route
        if route.side == "canary":
            started = time.perf_counter()
            try:
                await asyncio.to_thread(self._loader.load, route.chosen)
                return "canary", route.chosen
            except Exception as error:
                if is_fault(error):
                    self._count(route, "canary", started, failed=True)
                _log_fault(route, error)
        return "stable", route.stable

    def _offer(self, route: Route, ask: Answer, prediction: Prediction, ending: ExitStack | None = None) -> None:
        """Mirror a request that was answered; ``ending`` is closed when its copy is answered too, or never will be."""
        shadow, ending = route.shadow, ending or ExitStack()
        if shadow is None:
            return

        async def run() -> None:
            started = time.perf_counter()
            try:
                with ending:
                    copied = await ask(shadow)
            except Exception as error:
                if is_fault(error):
                    self._count(route, "shadow", started, failed=True)
                    _log_fault(route, error)
                else:  # the server is full, or this version refuses what the stable one took: an answer that differs
                    self._refused(route, error, started)
                return
            seconds = time.perf_counter() - started
            number = len(prediction.entry.labels) == 1
            share = await asyncio.to_thread(agreement, prediction.body, copied.body, number=number)
            self._count(route, "shadow", started, failed=False, seconds=seconds, agreed=share)

        def dropped() -> None:
            ending.close()
            self._dropped(route)

        self._mirror.offer(Copy(run, dropped))

    def _dropped(self, route: Route) -> None:
        route.tally.drop()
        self._observer.count_dropped(route.name)

    def _refused(self, route: Route, error: Exception, started: float) -> None:
        if is_server_full(error):
            self._dropped(route)
        else:
            self._count(route, "shadow", started, failed=False, agreed=0.0)

    def _count(
        self,
        route: Route,
        side: SideName,
        started: float,
        *,
        failed: bool,
        seconds: float | None = None,
        agreed: float | None = None,
    ) -> None:
        taken = time.perf_counter() - started if seconds is None else seconds
        route.tally.count(side, taken, failed=failed, agreed=agreed)
        self._observer.count_rollout(Counted(route.name, side, taken, failed, agreed))
        if side == "stable" or route.tally.over is not None or not route.rollout.rule.automatic:
            return
        route.tally.over = route.tally.verdict(route.rollout, at_once=False)
        if route.tally.over is not None:
            self._end(route.name, route.alias, route.tally)

    def _end(self, name: str, alias: str, tally: Tally) -> None:
        """Write a roll-back down, beside the requests; one that cannot be written now is tried at the next request."""
        if tally in self._endings:
            return
        task = asyncio.get_running_loop().create_task(asyncio.to_thread(self._roll_back, name, alias, tally))
        self._endings[tally] = task
        task.add_done_callback(lambda _: self._endings.pop(tally))

    def _roll_back(self, name: str, alias: str, tally: Tally) -> None:
        reason = str(tally.over)

        def change(found: Alias) -> Alias:
            if found.rollout is None or found.rollout.id != tally.rollout:
                return found  # another process, or somebody's hand, was first
            return closed(found, "rolled_back", reason, by="rule", figures=tally.figures())

        fields = {"model": name, "alias": alias, "reason": reason}
        try:
            changed = self._store.change_alias(name, alias, change)
        except ZooError as error:
            log.error("roll-back not written", extra=fields | {"code": error.code})
            return
        last = changed.last
        if last is not None and last.by == "rule" and last.rollout.id == tally.rollout:
            self._observer.count_roll_back(name)
            log.warning("rolled back", extra=fields)


def _log_fault(route: Route, error: Exception) -> None:
    code = error.code if isinstance(error, ZooError) else type(error).__name__
    fields: dict[str, Any] = {"model": route.name, "alias": route.alias, "code": code}
    log.warning("a version of a rollout failed", extra=fields, exc_info=not isinstance(error, ZooError))
