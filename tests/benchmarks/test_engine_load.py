"""The client of the engine's benchmarks against a server of a few lines."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from benchmarks.engine_load import Load, drive, post

FINE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
FULL = b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n"
BARE = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
NOTHING = b""


@contextmanager
def answering(*answers: bytes) -> Iterator[int]:
    """The port of a server that gives these answers one after the other, and then the last one on and on."""
    coming = itertools.chain(answers, itertools.repeat(answers[-1]))
    loop = asyncio.new_event_loop()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"{}"):
                answer = next(coming)
                writer.write(answer)
                if answer in (BARE, NOTHING):
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def end() -> None:
        server.close()
        serving = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*serving, return_exceptions=True)

    server = loop.run_until_complete(asyncio.start_server(serve, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def requests(count: int) -> list[bytes]:
    return [post("/embed", b"{}")] * count


def test_every_request_of_a_closed_load_is_sent_once() -> None:
    with answering(FINE) as port:
        outcome = drive(Load(port, requests(20), clients=3, limit=30))
    assert sorted(outcome.answered) == list(range(20))
    assert (dict(outcome.statuses), outcome.lost) == ({200: 20}, 0)


def test_refusals_are_told_apart_by_whether_they_say_when_to_come_back() -> None:
    with answering(FULL, BARE, FINE) as port:
        outcome = drive(Load(port, requests(5), clients=1, limit=30))
    assert dict(outcome.statuses) == {429: 1, 503: 1, 200: 3}
    assert outcome.unexplained == 1


def test_a_connection_that_ends_without_an_answer_is_lost_and_the_rest_goes_on() -> None:
    with answering(FINE, NOTHING, FINE) as port:
        outcome = drive(Load(port, requests(4), clients=1, limit=30))
    assert (outcome.lost, len(outcome.latencies)) == (1, 3)


def test_an_open_load_sends_without_waiting_for_answers() -> None:
    with answering(FINE) as port:
        outcome = drive(Load(port, requests(30), clients=0, limit=30, rate=1000))
    assert sorted(outcome.answered) == list(range(30))
