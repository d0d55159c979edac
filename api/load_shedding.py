"""What a full service costs those whom it refuses: a prediction without a turn is answered before it becomes a task.

A refusal by way of the application took 338 µs of a core, this way 255, its connection included (medians of three runs
of a service with nothing else to do): time that runs lack under load.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Scope

from api.deadline import deadline_of
from api.direct import Way
from api.errors import response_for
from api.limits import Gate
from api.request_log import record, request_id_of
from api.services import Serving
from zoo.errors import Unavailable, ZooError


class LoadShedding:
    """Asked by the protocol about each request whose headers are there.

    Of the ``ways`` those that do not name their model in the path are refused where no model has a turn left.
    """

    def __init__(self, ways: Sequence[Way], gate: Gate, serving: Serving) -> None:
        self._ways = ways
        self._gate = gate
        self._serving = serving

    def refusal(self, scope: Scope) -> Response | None:
        """The answer to a request that no turn is left for; None for every other, also for one with another fault."""
        if scope["method"] != "POST":
            return None
        started = time.perf_counter()
        for way in self._ways:
            if found := way.pattern.match(scope["path"]):
                break
        else:
            return None
        try:
            until = deadline_of(Headers(scope=scope), self._serving.settings)
            self._serving.loader.check_room(found.groupdict().get("model_id"), until)
        except Unavailable as full:
            refused = full
        except ZooError:
            return None
        else:
            return None
        try:
            self._gate.admit(scope)
        except ZooError:
            return None
        request_id = request_id_of(scope)
        scope["state"]["request_id"], scope["route"] = request_id, way
        response = response_for(refused, scope)
        response.headers["x-request-id"] = request_id
        record(self._serving.metrics, scope, response.status_code, time.perf_counter() - started)
        return response
