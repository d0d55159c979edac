"""What goes wrong between here and the model hub, said in this project's errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from zoo.errors import InvalidInput, SourceUnavailable, ZooError

# Seconds for which the hub counts requests, so that a download goes on at the latest after so many. huggingface_hub
# sleeps for as long as it is told, up to six times for a file: what is longer is an error at once.
WINDOW = 300.0


@contextmanager
def hub_errors() -> Iterator[None]:
    """Turn the errors of huggingface_hub into ``InvalidInput`` and ``SourceUnavailable``; those of the disk pass."""
    from huggingface_hub import errors
    from huggingface_hub.utils import get_session

    hooks = get_session().event_hooks["response"]
    hooks.append(_refuse_to_sleep)
    try:
        yield
    except ZooError:
        raise
    except errors.LocalEntryNotFoundError as error:
        # How a download says that its first question failed: there is no cache that it could fall back on.
        cause = error.__cause__
        raise _described(cause if isinstance(cause, Exception) else ConnectionError()) from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None and error.filename is not None:
            raise  # of the local disk
        raise _described(error) from error
    finally:
        hooks.remove(_refuse_to_sleep)


def _refuse_to_sleep(response: Any) -> None:
    if response.status_code == 429 and (_wait_of(response.headers) or 0) > WINDOW:
        raise _of_status(response)


def _described(error: Exception) -> ZooError:
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        message = "its owner grants access on request: accept the terms on its page and set HF_TOKEN"
        return InvalidInput(message, code="gated_model")
    if isinstance(error, errors.RepositoryNotFoundError):
        message = "the hub has no such repository, or it is private: check the id, or set HF_TOKEN"
        return InvalidInput(message, code="unknown_source")
    if isinstance(error, (errors.RevisionNotFoundError, errors.EntryNotFoundError)):
        return InvalidInput("the hub has no such revision or file: check the revision", code="unknown_source")
    if isinstance(error, errors.HfHubHTTPError):
        return _of_status(error.response)
    if isinstance(error, errors.HFValidationError):
        return InvalidInput("that is no id of a hub repository", code="unknown_source")
    return SourceUnavailable(
        "the hub cannot be reached, or the connection broke: check the network and HF_ENDPOINT, then try again"
    )


def _of_status(response: Any) -> ZooError:
    status = int(response.status_code)
    if status == 429:
        seconds = _wait_of(response.headers)
        when = "wait some minutes" if seconds is None else f"try again in {seconds:.0f} s"
        message = f"the hub limits requests from here: {when}, or set HF_TOKEN for a higher limit"
        return SourceUnavailable(message, retry_after=WINDOW if seconds is None else seconds)
    if status in (401, 403):
        return SourceUnavailable("the hub refuses access: check HF_TOKEN")
    return SourceUnavailable(f"the hub answered with status {status}: try again later")


def _wait_of(headers: Any) -> float | None:
    """Seconds until the next request is taken, from either of the two headers that may say it."""
    from huggingface_hub.utils import parse_ratelimit_headers

    told = str(headers.get("retry-after", "")).strip()
    if told.isascii() and told.isdecimal() and len(told) <= 9:
        return float(told)
    limit = parse_ratelimit_headers(headers)
    return float(limit.reset_in_seconds) if limit is not None and limit.remaining == 0 else None
