"""Requests at a given rate from one process that takes little time itself: HTTP/1.1 over kept connections."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

MOST_AT_ONCE = 24  # a service admits 64 requests that wait


@dataclass(frozen=True)
class Answer:
    """``begun`` and ``ended`` on ``time.perf_counter``; ``status`` 0 if the connection broke, and then no body."""

    begun: float
    ended: float
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None


class Connections:
    """Kept connections to one service on loopback; as many as are used at once."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, method: str, path: str, body: object) -> Answer:
        """One request and its answer; whatever goes wrong is an answer too."""
        begun = time.perf_counter()
        try:
            status, headers, text = await self._exchange(method, path, json.dumps(body).encode())
        except (OSError, asyncio.IncompleteReadError, ValueError):
            return Answer(begun, time.perf_counter(), 0)
        return Answer(begun, time.perf_counter(), status, headers, json.loads(text) if text else None)

    def close(self) -> None:
        """Close what is idle."""
        for _, writer in self._idle:
            writer.close()
        self._idle.clear()

    def _kept(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof():  # the server closes what is idle for some seconds
                return reader, writer
            writer.close()
        return None

    async def _exchange(self, method: str, path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        reader, writer = self._kept() or await asyncio.open_connection("127.0.0.1", self._port)
        head = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        writer.write(head.encode() + f"content-length: {len(body)}\r\n\r\n".encode() + body)
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        text = await reader.readexactly(int(headers.get("content-length", 0)))
        self._idle.append((reader, writer))
        return int(lines[0].split()[1]), headers, text


async def saturated(connections: Connections, request: Callable[[int], tuple[str, object]], *, seconds: float) -> float:
    """Requests a second with 16 clients that ask again as soon as they are answered."""
    ended = time.perf_counter() + seconds
    counts = [0] * 16

    async def client(number: int) -> None:
        while time.perf_counter() < ended:
            path, body = request(counts[number])
            await connections.ask("POST", path, body)
            counts[number] += 1

    await asyncio.gather(*(client(number) for number in range(16)))
    return sum(counts) / seconds


async def steady(
    connections: Connections,
    request: Callable[[int], tuple[str, object]],
    *,
    rate: float,
    until: asyncio.Event,
) -> list[Answer]:
    """Requests at ``rate`` a second, whether or not earlier ones are answered, until the event is set.

    Not more than 24 at once: a machine that has become slower meanwhile gets less, instead of more than it admits.
    """
    began, asked, room = time.perf_counter(), list[asyncio.Task[Answer]](), asyncio.Semaphore(MOST_AT_ONCE)

    async def one(number: int) -> Answer:
        try:
            path, body = request(number)
            return await connections.ask("POST", path, body)
        finally:
            room.release()

    while not until.is_set():
        due = began + len(asked) / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        await room.acquire()
        asked.append(asyncio.create_task(one(len(asked))))
    return list(await asyncio.gather(*asked))
