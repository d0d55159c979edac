"""A text as it is written, passage by passage, in server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator

from api.frames import END, fault_frame, frame
from zoo.errors import ZooError


async def frames(written: AsyncIterator[str]) -> AsyncIterator[str]:
    """A delta for each bit, then the whole text, which is all deltas joined; an error ends the stream as an event."""
    told = ""
    try:
        async for bit in written:
            told += bit
            if bit:
                yield frame({"type": "text.delta", "delta": bit})
        yield frame({"type": "text.done", "text": told})
        yield END
    except ZooError as error:
        yield fault_frame(error)
