"""A transcript as it is heard, in server-sent events that OpenAI's clients read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from api.frames import END, fault_frame, frame
from api.transcript_object import usage_object
from zoo.errors import ZooError
from zoo.tasks.decoding.transcript import Transcript, joined


async def frames(heard: AsyncIterator[Transcript], fault: Callable[[ZooError], ZooError]) -> AsyncIterator[str]:
    """A delta for each stretch in which something was said, then the whole text, which is all deltas joined.

    An error ends the stream with an event of its own, worded by ``fault``.
    """
    stretches: list[Transcript] = []
    told = ""
    try:
        async for stretch in heard:
            stretches.append(stretch)
            text = joined(stretches).text
            if len(text) > len(told):
                yield frame({"type": "transcript.text.delta", "delta": text[len(told) :]})
            told = text
        whole = joined(stretches)
        yield frame({"type": "transcript.text.done", "text": told, "usage": usage_object(whole)})
        yield END
    except ZooError as error:
        yield fault_frame(fault(error))
