"""Whether this process should be sent requests: its live models can be loaded, and it is not about to end."""

from __future__ import annotations

import asyncio
import threading

from zoo.catalogue.registry import LIVE
from zoo.catalogue.store import Store
from zoo.engine.loader import Loader
from zoo.errors import ZooError


class Readiness:
    """Remembers which versions were found loadable, so that a probe costs a look at the alias tables."""

    def __init__(self, store: Store, loader: Loader) -> None:
        self.draining = asyncio.Event()
        self._store = store
        self._loader = loader
        self._good: set[str] = set()
        self._lock = threading.Lock()

    def drain(self) -> None:
        """From now on not ready; event streams end."""
        self.draining.set()

    def reasons(self) -> list[str]:
        """Why not to send requests here; empty when ready. Reads files of versions that were not checked before."""
        if self.draining.is_set():
            return ["draining: this process is about to end"]
        with self._lock:
            return [fault for name in self._store.names() if (fault := self._fault(name))]

    def _fault(self, name: str) -> str | None:
        try:
            version = self._store.aliases(name).get(LIVE)
            if version is None:
                return None
            reference = f"{name}@{version}"
            if reference not in self._good:
                self._loader.check(reference)
                self._good.add(reference)
        except ZooError as error:
            return f"{name}: {error.code}"
        return None
