"""Domain errors: raised where the fact is known, turned into HTTP or exit codes by the api package alone.

Every error carries a stable machine-readable ``code``, a sentence for people that names the fault and the fix, and
optionally the request field (``param``) it is about. No message holds a user's text, a path of the host or a secret.
"""

from __future__ import annotations

import logging

log = logging.getLogger("zoo.errors")


class ZooError(Exception):
    """Root of everything that AdaptZoo raises on purpose."""

    code = "internal_error"

    def __init__(self, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        if code is not None:
            self.code = code


class InvalidInput(ZooError):
    """What was sent is well-formed but cannot be accepted: the caller has to change it."""

    code = "invalid_request"


class RunFailed(InvalidInput):
    """The model ends with an error on this very input, alone."""

    code = "run_failed"

    @classmethod
    def of(cls, error: Exception) -> ZooError:
        """``error`` where it was raised on purpose; of any other one the log has the trace, and the caller this."""
        if isinstance(error, ZooError):
            return error
        log.error("an item could not be run", exc_info=error)
        return cls("The model could not be run on this input. Others were not affected.")


class InvalidDataset(InvalidInput):
    """A data file that cannot be trained on; the message names row and column."""

    code = "invalid_dataset"


class TooLarge(ZooError):
    """Over a published limit; the message names the limit."""

    code = "body_too_large"


class NotFound(ZooError):
    """No such model, version, file or job."""

    code = "not_found"


class ModelNotFound(NotFound):
    """No such model or version; ``suggestions`` are the nearest names that exist."""

    code = "model_not_found"

    def __init__(self, message: str, *, suggestions: tuple[str, ...] = (), param: str | None = "model") -> None:
        super().__init__(message, param=param)
        self.suggestions = suggestions


class Unsupported(ZooError):
    """A media type, task or architecture that this installation cannot handle."""

    code = "unsupported_media_type"


class Conflict(ZooError):
    """The thing is in a state that forbids the move (a finished job, a taken name)."""

    code = "conflict"


class Unavailable(ZooError):
    """Cannot be done now, may work later; ``retry_after`` is in seconds."""

    code = "unavailable"

    def __init__(
        self, message: str, *, code: str | None = None, param: str | None = None, retry_after: float = 5.0
    ) -> None:
        super().__init__(message, code=code, param=param)
        self.retry_after = retry_after


class QuotaExceeded(Unavailable):
    """The caller is over its own quota."""

    code = "quota_exceeded"


class DeadlineExceeded(Unavailable):
    """The time that the caller, or the server, gives a request was over before it was answered."""

    code = "deadline_exceeded"


class ArtifactCorrupt(Unavailable):
    """A file of a model version on disk is not what its manifest says; the version is not loaded."""

    code = "artifact_corrupt"


class SourceUnavailable(Unavailable):
    """A package index or model hub could not be reached or did not deliver what was asked for."""

    code = "upstream_unavailable"


class ParityFailed(ZooError):
    """The exported model does not answer as the trained one did: nothing is published."""

    code = "parity_failed"
