"""What a caller is told of a run that ended with an error."""

from __future__ import annotations

import logging

from zoo.errors import RunFailed, ZooError

log = logging.getLogger("zoo.tasks")


def failure(error: Exception) -> ZooError:
    """The error itself where it was raised on purpose; of any other one the log has the trace, and the caller this."""
    if isinstance(error, ZooError):
        return error
    log.error("an item could not be run", exc_info=error)
    return RunFailed("The model could not be run on this input. Others were not affected.")
