"""Copies of requests for a version in the shadow: one at a time, only while there is room, and first to go."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

PENDING = 8  # copies that wait, each of which holds its input
log = logging.getLogger("zoo.rollouts")


@dataclass(frozen=True)
class Copy:
    """``run`` answers a copy and raises nothing; ``dropped`` is told when it will never be answered."""

    run: Callable[[], Awaitable[None]]
    dropped: Callable[[], None]


class Mirror:
    """Runs copies on the event loop that it is used on. ``working``: requests in work, the copy that runs included.

    ``room``: requests in work, this copy aside, from which on none is begun and the one that runs is given up.
    """

    def __init__(self, working: Callable[[], int], *, room: int) -> None:
        self._working = working
        self._room = room
        self._pending: deque[Copy] = deque()
        self._current: asyncio.Task[None] | None = None
        self._runner: asyncio.Task[None] | None = None

    def offer(self, copy: Copy) -> None:
        """Take a copy to be answered later, or drop it; returns at once."""
        if self._is_full() or len(self._pending) >= PENDING:
            copy.dropped()
            return
        self._pending.append(copy)
        if self._runner is None or self._runner.done():
            self._runner = asyncio.get_running_loop().create_task(self._run())

    async def make_room(self) -> None:
        """Before a client's request: if the server is full, what is mirrored gives up its place first."""
        if self._pending and self._is_full():
            self._drop_pending()
        current = self._current
        if current is not None and self._is_full():
            current.cancel()
            await asyncio.wait({current})

    async def settled(self) -> None:
        """Wait until every copy that was taken is answered or dropped."""
        if self._runner is not None:
            await asyncio.wait({self._runner})

    async def close(self) -> None:
        """Drop what waits and give up what runs."""
        self._drop_pending()
        if self._current is not None:
            self._current.cancel()
        await self.settled()

    def _is_full(self) -> bool:
        return self._working() - (self._current is not None) >= self._room

    def _drop_pending(self) -> None:
        while self._pending:
            self._pending.popleft().dropped()

    async def _run(self) -> None:
        while self._pending:
            copy = self._pending.popleft()
            if self._is_full():
                copy.dropped()
                continue
            self._current = asyncio.create_task(_answered(copy))
            await asyncio.wait({self._current})
            if self._current.cancelled():
                copy.dropped()
            elif (error := self._current.exception()) is not None:
                log.error("a copy was lost", exc_info=error)
            self._current = None


async def _answered(copy: Copy) -> None:
    await copy.run()
