"""What predictions do not need and takes half a second to import: made behind the start, or by who asks first."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.types import Receive, Scope, Send

from api.errors import ending
from api.services import in_thread

if TYPE_CHECKING:
    from api.rest import Rest


class Later:
    """ASGI application in front of the one of ``make``, which is called once."""

    def __init__(self, make: Callable[[], Rest]) -> None:
        self._make = make
        self._made: Rest | None = None
        self._closed = False
        self._lock = threading.Lock()

    def made(self) -> Rest:
        """Make it, unless it is there; raises ``Unavailable`` once the service ends."""
        with self._lock:
            if self._closed:
                raise ending()
            if self._made is None:
                self._made = self._make()
            return self._made

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        rest = self._made
        if rest is None:
            rest = await in_thread(self.made)
        await rest.app(scope, receive, send)

    def close(self) -> None:
        """End it, if it was made."""
        with self._lock:
            self._closed = True
            if self._made is not None:
                self._made.close()
