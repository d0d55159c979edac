"""Load over HTTP/1.1 on kept connections, made in a process of its own whose processor time is told.

Requests are bytes made beforehand, answers are only told apart by status and length. Closed: each client sends its next
request when it has its answer. Open: requests come at a rate (Poisson) whether or not earlier ones are answered, and
their time counts from the moment they were due.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import re
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import uvloop

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_PATIENCE = re.compile(rb"\r\nretry-after: *[0-9]", re.IGNORECASE)
MOST_CONNECTIONS = 1500


@dataclass(frozen=True)
class Load:
    """Requests to send to a port of this machine; no new one after ``limit`` seconds, and all end by twice that.

    ``rate``: requests a second of an open load; None: closed, by ``clients``.
    """

    port: int
    requests: Sequence[bytes]
    clients: int
    limit: float
    rate: float | None = None


@dataclass
class Outcome:
    """What became of a load. Times in seconds, ``latencies`` of answers of status 200 in order of their end.

    ``answered``: places of the requests that were answered well. ``unexplained``: refusals without Retry-After.
    ``lost``: connections that ended without an answer. ``client_cpu``: processor time of the client.
    """

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    unexplained: int = 0
    lost: int = 0
    client_cpu: float = 0.0

    def percentile(self, percent: float) -> float:
        """Of the latencies, in milliseconds; NaN if nothing was answered."""
        return float(np.percentile(self.latencies, percent)) * 1000 if self.latencies else float("nan")


def post(path: str, body: bytes, headers: Sequence[str] = (), *, kind: str = "application/json") -> bytes:
    """The bytes of a request; ``kind``: the media type of its body."""
    lines = [
        f"POST {path} HTTP/1.1",
        "host: localhost",
        f"content-type: {kind}",
        f"content-length: {len(body)}",
        *headers,
    ]
    return "\r\n".join(lines).encode("ascii") + b"\r\n\r\n" + body


def measure(load: Load) -> Outcome:
    """Send a load from a process of its own and wait for its end."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(drive, load).result()


def drive(load: Load) -> Outcome:
    """Send a load from this process."""
    outcome: Outcome = uvloop.run(_Driver(load).run())
    return outcome


class _Driver:
    """The state of one load: what is still to be sent, which connections are free, what came back."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.outcome = Outcome()
        self._next = 0
        self._open = 0
        self._idle: list[_Connection] = []
        self._opening: set[asyncio.Task[None]] = set()
        self._connections: list[_Connection] = []
        self._ended = asyncio.Event()

    async def run(self) -> Outcome:
        cpu, started = time.process_time(), time.perf_counter()
        self._stop_at = started + self.load.limit
        send = self._send_closed() if self.load.rate is None else self._send_open(self.load.rate)
        try:
            async with asyncio.timeout(2 * self.load.limit):
                await send
                await self._ended.wait()
        except TimeoutError:
            self.outcome.lost += self._open
        self.outcome.seconds = time.perf_counter() - started
        self.outcome.client_cpu = time.process_time() - cpu
        for connection in self._connections:
            connection.leave()
        await asyncio.sleep(0)
        return self.outcome

    async def _send_closed(self) -> None:
        for _ in range(min(self.load.clients, len(self.load.requests))):
            self._begin(time.perf_counter())

    async def _send_open(self, rate: float) -> None:
        gaps = np.random.default_rng(0).exponential(1 / rate, len(self.load.requests))
        due = time.perf_counter()
        for gap in gaps:
            due += gap
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            if due > self._stop_at:
                break
            self._begin(due)
        self._next = len(self.load.requests)
        self._end_if_done()

    def _begin(self, due: float) -> None:
        """Send the next request on a free connection, or on a new one."""
        place, self._next = self._next, self._next + 1
        self._open += 1
        while self._idle and self._idle[-1].closed:
            self._idle.pop()
        if self._idle:
            self._idle.pop().send(place, due)
        elif self._open > MOST_CONNECTIONS:
            self._finished()
            self.outcome.lost += 1
        else:
            task = asyncio.create_task(self._connect(place, due))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _connect(self, place: int, due: float) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(lambda: _Connection(self), "127.0.0.1", self.load.port)
        except OSError:
            self.failed()
            return
        self._connections.append(connection)
        connection.send(place, due)

    def answered(self, connection: _Connection, head: bytes) -> None:
        """An answer is there whole."""
        status = int(head[9:12])
        self.outcome.statuses[status] += 1
        now = time.perf_counter()
        if status == 200:
            self.outcome.latencies.append(now - connection.due)
            self.outcome.answered.append(connection.place)
        elif not _PATIENCE.search(head):
            self.outcome.unexplained += 1
        self._idle.append(connection)
        self._finished()

    def failed(self) -> None:
        """A connection ended without an answer."""
        self.outcome.lost += 1
        self._finished()

    def _finished(self) -> None:
        self._open -= 1
        now = time.perf_counter()
        if self.load.rate is None and self._next < len(self.load.requests) and now < self._stop_at:
            self._begin(now)
        self._end_if_done()

    def _end_if_done(self) -> None:
        over = self._next >= len(self.load.requests) or time.perf_counter() >= self._stop_at
        if self._open == 0 and over:
            self._ended.set()


class _Connection(asyncio.Protocol):
    """One kept connection with at most one request in work."""

    def __init__(self, driver: _Driver) -> None:
        self._driver = driver
        self._received = bytearray()
        self._needed = 0
        self._head = b""
        self._waiting = False
        self.place = 0
        self.due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are not of that class

    @property
    def closed(self) -> bool:
        """Whether the server has ended it, or said that it will."""
        return self._transport.is_closing() or b"connection: close" in self._head.lower()

    def send(self, place: int, due: float) -> None:
        """Send one of the load's requests; its time counts from ``due``."""
        self.place, self.due, self._waiting, self._needed = place, due, True, 0
        self._transport.write(self._driver.load.requests[place])

    def leave(self) -> None:
        """Close the connection; what it still waits for is no loss."""
        self._waiting = False
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._needed and (end := self._received.find(b"\r\n\r\n")) >= 0:
            self._head = bytes(self._received[:end])
            length = _LENGTH.search(self._head)
            self._needed = end + 4 + int(length[1]) if length else -1
        if len(self._received) >= self._needed > 0 or (self._needed < 0 and self._received.endswith(b"0\r\n\r\n")):
            self._received.clear()
            self._waiting = False
            self._driver.answered(self, self._head)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting:
            self._waiting = False
            self._driver.failed()
