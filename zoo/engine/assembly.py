"""How a version comes into memory: with a session of its own, or as an adapter beside a body that others share."""

from __future__ import annotations

import logging
import threading
from functools import partial
from weakref import WeakValueDictionary

from zoo.catalogue.entry import CHECKPOINT, ModelEntry
from zoo.catalogue.slot_table import GRAPH
from zoo.catalogue.store import Store
from zoo.engine.body import ADAPTER_FOLDER, SERVED_BY, AdaptedRuns
from zoo.engine.predictor import MODEL_FILE, Predictor
from zoo.engine.served import Served
from zoo.engine.session import Placement
from zoo.engine.shared_body import SharedBody
from zoo.engine.shelf import Shared, Wanted
from zoo.engine.workers import Workers
from zoo.errors import ZooError

log = logging.getLogger("zoo.engine.assembly")
_UNREAD = (f"{CHECKPOINT}/", f"{ADAPTER_FOLDER}/", GRAPH)
"""Where a version's files begin that its own graph does without."""


class Assembly:
    """Makes what is served; safe to use from any thread.

    A body is loaded with the first version that it answers for and leaves with the last one. Where it cannot be loaded,
    the version's own graph is, with a warning in the log. ``adapter_bytes``: what the adapters of one body may take.
    """

    def __init__(self, store: Store, workers: Workers, *, placement: Placement, adapter_bytes: int) -> None:
        self._store = store
        self._workers = workers
        self._placement = placement
        self._adapter_bytes = adapter_bytes
        self._bodies: WeakValueDictionary[str, SharedBody] = WeakValueDictionary()
        self._lock = threading.Lock()
        self._loading: dict[str, threading.Lock] = {}

    def wanted(self, entry: ModelEntry, *, max_items: int) -> Wanted[Served]:
        """A version as the shelf asks for it."""
        if entry.options.get(SERVED_BY) != "body" or entry.base is None:
            size = sum(file.size for file in entry.files if not file.path.startswith(_UNREAD))
            return Wanted(entry.reference, entry, size, lambda: self._alone(entry, max_items))
        size = sum(file.size for file in entry.files if file.path.startswith(f"{ADAPTER_FOLDER}/"))
        shared = Shared(entry.base, partial(self._body_size, entry.base))
        return Wanted(entry.reference, entry, size, lambda: self._beside_body(entry, max_items), shared)

    def _body_size(self, reference: str) -> int:
        try:
            files = self._body_entry(reference).files
        except ZooError:  # the version will say so when it is loaded, and be served by its own graph
            return 0
        return sum(file.size for file in files if file.path.startswith((GRAPH, MODEL_FILE)))  # which has the weights

    def _alone(self, entry: ModelEntry, max_items: int) -> Served:
        self._store.verify(entry, leaving=(CHECKPOINT,))
        folder = self._store.folder(entry.name, entry.version)
        predictor = Predictor(
            entry, folder, threads=self._workers.count, max_items=max_items, placement=self._placement
        )
        predictor.warm()
        return Served.alone(predictor, self._workers)

    def _beside_body(self, entry: ModelEntry, max_items: int) -> Served:
        try:
            body = self._body(str(entry.base))
            self._store.verify(entry, leaving=(MODEL_FILE, CHECKPOINT))
            folder = self._store.folder(entry.name, entry.version)
            runs = AdaptedRuns(body.body, entry, folder)
            predictor = Predictor(entry, folder, threads=1, max_items=max_items, runs=runs)
            predictor.warm()
            return Served.beside(predictor, body, runs)
        except ZooError as error:
            if error.code == "overloaded":  # for a moment only: the next request finds a slot
                raise
            fields = {"model": entry.reference, "body": entry.base, "code": error.code}
            log.warning("a body does not answer for a version, which is served by its own graph", extra=fields)
            served = self._alone(entry, max_items)
            served.why = f"its body cannot answer for it at the moment ({error.code})"
            return served

    def _body(self, reference: str) -> SharedBody:
        with self._lock:
            loading = self._loading.setdefault(reference, threading.Lock())
        with loading:  # others that want the same one wait
            body = self._bodies.get(reference)
            if body is None:
                entry = self._body_entry(reference)
                self._store.verify(entry, leaving=(CHECKPOINT,))
                body = SharedBody(
                    self._store.folder(entry.name, entry.version),
                    self._workers,
                    placement=self._placement,
                    adapter_bytes=self._adapter_bytes,
                )
                self._bodies[reference] = body
            return body

    def _body_entry(self, reference: str) -> ModelEntry:
        name, _, version = reference.rpartition("@")
        return self._store.entry(name, int(version))
