"""What the exit status of every `zoo` command means, and which fault ends with which. The one place that decides."""

from __future__ import annotations

from enum import IntEnum

from api.service_errors import NoService, ServiceError
from zoo.errors import (
    ArtifactCorrupt,
    Conflict,
    InvalidInput,
    NotFound,
    TooLarge,
    Unavailable,
    Unsupported,
    ZooError,
)


class ExitCode(IntEnum):
    """Exit statuses, after sysexits.h where it has a fitting one."""

    OK = 0  # done
    FAILED = 1  # it ran and failed: a job that failed or was cancelled, a check of `zoo doctor`, a fault of the service
    USAGE = 2  # the command line itself is wrong: unknown option, missing argument
    BAD_DATA = 65  # what was named or sent cannot be accepted: unknown model, rejected file, bad text
    UNAVAILABLE = 69  # no service answers at the address
    TRY_AGAIN = 75  # the service is busy or not ready; the same command may work later
    CONFIGURATION = 78  # a setting or the API key is wrong or missing
    INTERRUPTED = 130  # Ctrl-C


class ConfigurationError(ZooError):
    """A setting that cannot be used; the message names it."""

    code = "invalid_setting"


class JobFailed(ZooError):
    """The job that the command waited for failed or was cancelled."""

    code = "job_failed"


_BY_STATUS = {
    401: ExitCode.CONFIGURATION,
    403: ExitCode.CONFIGURATION,
    408: ExitCode.TRY_AGAIN,
    429: ExitCode.TRY_AGAIN,
    502: ExitCode.UNAVAILABLE,
    503: ExitCode.TRY_AGAIN,
    504: ExitCode.TRY_AGAIN,
}


def exit_code(error: ZooError) -> ExitCode:
    """The status that a command ends with when ``error`` reaches it."""
    if isinstance(error, NoService):
        return ExitCode.UNAVAILABLE
    if isinstance(error, ServiceError):
        if error.status in _BY_STATUS:
            return _BY_STATUS[error.status]
        return ExitCode.BAD_DATA if 400 <= error.status < 500 else ExitCode.FAILED
    if isinstance(error, ConfigurationError):
        return ExitCode.CONFIGURATION
    if isinstance(error, InvalidInput | NotFound | TooLarge | Unsupported | Conflict | ArtifactCorrupt):
        return ExitCode.BAD_DATA
    return ExitCode.TRY_AGAIN if isinstance(error, Unavailable) else ExitCode.FAILED
