"""Models in memory before the first user asks: those that aliases name, loaded behind the running service."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from zoo.catalogue.registry import LIVE
from zoo.engine.loader import Loader
from zoo.errors import ZooError

STOP_SECONDS = 10.0
log = logging.getLogger("zoo.engine.preload")


class Preload:
    """Loads one model after another in a thread of its own. A request for another model waits for none of them.

    It may begin while the process still imports its other parts: until ``settle`` nothing is measured.
    """

    def __init__(self, loader: Loader) -> None:
        self._loader = loader
        self._ending = threading.Event()
        self._then: Callable[[], object] | None = None
        self._thread = threading.Thread(target=self._all, name="preload", daemon=True)

    def start(self) -> None:
        """Begin, and return at once."""
        self._loader.calm.clear()
        self._thread.start()

    def settle(self, then: Callable[[], object] | None = None) -> None:
        """The process has started, and the models have the cores to themselves; ``then`` is called behind the last."""
        self._then = then
        self._loader.calm.set()

    def stop(self) -> None:
        """Begin no other model; wait for the one that is being loaded, within reason."""
        self._ending.set()
        self.settle()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)

    def _all(self) -> None:
        self.run()
        self._loader.calm.wait()
        if self._then is not None and not self._ending.is_set():
            self._then()

    def run(self) -> None:
        """Load all that fit into the budget together, by name; one that cannot be loaded is told in the log.

        What ``live`` names comes first, then what the other aliases name, and the canaries and shadows of their
        rollouts.
        """
        for live in (True, False):
            for name in self._loader.store.names():
                for version in self._versions(name, live=live):
                    if self._ending.is_set():
                        return
                    self._load(name, version)

    def _versions(self, name: str, *, live: bool) -> list[int]:
        try:
            table = self._loader.store.alias_table(name)
        except ZooError as error:
            if live:
                log.warning("cannot be preloaded", extra={"model": name, "code": error.code})
            return []
        if live:
            return [table[LIVE].version] if LIVE in table else []
        running = [alias.rollout for alias in table.values() if alias.rollout is not None]
        named = [alias.version for key, alias in table.items() if key != LIVE]
        named += [version for one in running for version in (one.canary, one.shadow) if version is not None]
        return sorted(set(named))

    def _load(self, name: str, version: int) -> None:
        try:
            if not self._loader.preload(f"{name}@{version}"):
                log.info("left to its first request, as the memory for models is full", extra={"model": name})
        except ZooError as error:
            log.warning("cannot be preloaded", extra={"model": name, "code": error.code})
        except Exception:
            log.exception("cannot be preloaded", extra={"model": name})
