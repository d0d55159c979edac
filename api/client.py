"""The command line's own HTTP client: thin, typed, every fault a readable line.

Programs use the public packages against the same service; this one exists so that `zoo` needs nothing beside httpx.
"""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from api.commands.exit_codes import ConfigurationError
from api.service_errors import NoService, ServiceError
from api.service_note import running_service
from zoo.errors import InvalidInput
from zoo.settings import Settings

Json = dict[str, Any]
LOOPBACK = ("localhost", "127.0.0.1", "::1")
UNHURRIED = httpx.Timeout(None, connect=5.0)
ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


class Client:
    """Calls to one running service; close it or use it as a context.

    Raises ``NoService`` or ``ServiceError``, ``InvalidInput`` for what cannot be written as a request, and
    ``ConfigurationError`` for a key that no header can carry.
    """

    def __init__(self, url: str, api_key: str = "", *, timeout: float = 120.0) -> None:
        self.url = url.rstrip("/")
        if not (api_key.isascii() and api_key.isprintable()):
            fault = "a header cannot carry its characters; use a key of ASCII letters, digits and signs"
            raise ConfigurationError(f"setting api_key (--api-key or ZOO_API_KEY): {fault}", param="api_key")
        headers = {"accept": "application/json"} | ({"authorization": f"Bearer {api_key}"} if api_key else {})
        limits = httpx.Timeout(timeout, connect=5.0)
        try:
            # A proxy of the environment cannot reach this machine's loopback.
            proxied = urlsplit(self.url).hostname not in LOOPBACK
            self._http = httpx.Client(base_url=self.url, headers=headers, timeout=limits, trust_env=proxied)
        except (httpx.InvalidURL, ValueError) as error:
            raise NoService(f"{url} is not an address; give one as http://host:port") from error

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def alive(self) -> bool:
        """Whether the service answers its liveness probe."""
        try:
            return self._http.get("/livez", timeout=2.0).status_code == 200
        except httpx.HTTPError:
            return False

    def ready(self) -> bool:
        """Whether the service says that it is ready for requests."""
        try:
            return self._http.get("/readyz", timeout=5.0).status_code == 200
        except httpx.HTTPError:
            return False

    def models(self, **filters: str | None) -> list[Json]:
        """The models that match ``task``, ``modality`` and ``q`` (words)."""
        return _data(self._json("GET", "/v1/models", params=filters))

    def model(self, reference: str) -> Json:
        """One model or version (``name``, ``name@3``, ``name@alias``) with all that is known about it."""
        return self._json("GET", f"/v1/models/{_segment(reference)}")

    def import_model(
        self, name: str, *, source: Json | None = None, task: str | None = None, precision: str | None = None
    ) -> Json:
        """Queue the import of a model; returns its job."""
        body: Json = {"id": name}
        if source is not None:
            body["source"] = source
        if task is not None:
            body["task"] = task
        if precision is not None:
            body["precision"] = precision
        return self._json("POST", "/v1/models", json=body, headers=_once())

    def import_adapter(
        self, name: str, *, base: str, source: Json, task: str | None = None, labels: Sequence[str] | None = None
    ) -> Json:
        """Queue the import of an adapter that peft saved elsewhere; returns its job."""
        wished = {"task": task, "labels": None if labels is None else list(labels)}
        body: Json = {"id": name, "base": base, "source": source}
        body |= {field: value for field, value in wished.items() if value is not None}
        return self._json("POST", "/v1/models", json=body, headers=_once())

    def delete_model(self, reference: str) -> Json:
        """Remove one version, or every version of a name."""
        return self._json("DELETE", f"/v1/models/{_segment(reference)}")

    def set_alias(self, name: str, alias: str, version: int) -> Json:
        """Let ``name@alias`` mean ``version``."""
        path = f"/v1/models/{_segment(name)}/aliases/{_segment(alias)}"
        return self._json("PUT", path, json={"version": version})

    def rollout(self, name: str, alias: str) -> Json:
        """How the rollout of an alias stands, or how its last one ended."""
        return self._json("GET", _rollout(name, alias))

    def set_rollout(self, name: str, alias: str, body: Json) -> Json:
        """Begin a rollout of an alias or change it: ``canary`` with ``weight``, ``shadow``, ``rule``."""
        return self._json("PUT", _rollout(name, alias), json=body)

    def promote(self, name: str, alias: str) -> Json:
        """Let an alias mean its canary."""
        return self._json("POST", _rollout(name, alias) + "/promote")

    def roll_back(self, name: str, alias: str) -> Json:
        """End the rollout of an alias."""
        return self._json("DELETE", _rollout(name, alias))

    def predict(self, reference: str, inputs: Sequence[Any], parameters: Mapping[str, Any] | None = None) -> list[Any]:
        """One answer per input, in order; an input that cannot be used is answered by ``{"error", "code"}``."""
        body = {"inputs": list(inputs), "parameters": dict(parameters or {})}
        answer = self._send("POST", f"/v1/models/{_segment(reference)}/predict", json=body)
        return answer if isinstance(answer, list) else [answer]

    def predict_file(self, reference: str, content: bytes, parameters: Mapping[str, Any] | None = None) -> Any:
        """The answer to one picture or sound: sent as it is, or with options as base64 in JSON."""
        path = f"/v1/models/{_segment(reference)}/predict"
        if not parameters:
            return self._send("POST", path, content=content, headers={"content-type": "application/octet-stream"})
        body = {"inputs": base64.b64encode(content).decode("ascii"), "parameters": dict(parameters)}
        return self._send("POST", path, json=body)

    def subtitles(self, reference: str, path: Path, form: str, options: Mapping[str, Any] | None = None) -> str:
        """What is said in a recording, as ``srt`` or ``vtt``; as long as it takes."""
        fields = {name: str(value) for name, value in (options or {}).items()}
        fields |= {"model": reference, "response_format": form}
        with path.open("rb") as stream, _reachable(self.url):
            files = {"file": (_name(path), stream, "application/octet-stream")}
            response = self._http.post("/v1/audio/transcriptions", data=fields, files=files, timeout=UNHURRIED)
        if not response.is_success:
            raise _error_of(response)
        return response.text

    def upload(self, path: Path, *, purpose: str = "fine-tune") -> Json:
        """Stream a file to the service; returns the file object."""
        with path.open("rb") as stream:
            files = {"file": (_name(path), stream, "application/octet-stream")}
            return self._json("POST", "/v1/files", data={"purpose": purpose}, files=files)

    def file(self, file_id: str) -> Json:
        """The file object of an upload."""
        return self._json("GET", f"/v1/files/{_segment(file_id)}")

    def report(self, file_id: str) -> Json:
        """What was found in an uploaded data file."""
        return self._json("GET", f"/v1/files/{_segment(file_id)}/report")

    def create_job(self, body: Json) -> Json:
        """Queue an adaptation; a repeat after a lost connection creates no second job."""
        return self._json("POST", "/v1/fine_tuning/jobs", json=body, headers=_once())

    def jobs(self, *, limit: int = 20, after: str | None = None) -> Json:
        """One page of adaptation jobs, newest first: ``data`` and ``has_more``."""
        return self._json("GET", "/v1/fine_tuning/jobs", params={"limit": str(limit), "after": after})

    def job(self, job_id: str) -> Json:
        """A job of any kind as it stands now."""
        return self._json("GET", f"/v1/jobs/{_segment(job_id)}")

    def cancel(self, job_id: str) -> Json:
        """Ask a job to end."""
        return self._json("POST", f"/v1/jobs/{_segment(job_id)}/cancel")

    def retry(self, job_id: str) -> Json:
        """Queue a failed or cancelled job once more."""
        return self._json("POST", f"/v1/fine_tuning/jobs/{_segment(job_id)}/retry")

    def _json(self, method: str, path: str, **request: Any) -> Json:
        answer = self._send(method, path, **request)
        if not isinstance(answer, dict):
            raise ServiceError(
                f"{self.url} does not speak the zoo's protocol; check --url", status=502, code="protocol"
            )
        return answer

    def _send(self, method: str, path: str, **request: Any) -> Any:
        if "params" in request:
            request["params"] = {key: value for key, value in request["params"].items() if value is not None}
        if "json" in request:
            request["content"] = _written(request.pop("json"))
            request["headers"] = {"content-type": "application/json"} | request.get("headers", {})
        with _reachable(self.url):
            response = self._http.request(method, path, **request)
        if response.is_success:
            return _decoded(response)
        raise _error_of(response)


@contextmanager
def _reachable(url: str) -> Iterator[None]:
    """Turn faults of the connection into ``NoService``, or ``ServiceError`` where the service is there but slow."""
    try:
        yield
    except UnicodeEncodeError as error:
        raise _no_text() from error
    except httpx.ConnectError as error:
        raise NoService(f"no service at {url}; start one with `zoo serve`") from error
    except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        raise NoService(f"{url} is not an address; give one as http://host:port") from error
    except httpx.TimeoutException as error:
        raise ServiceError(f"{url} did not answer in time; try again", status=504, code="timeout") from error
    except httpx.HTTPError as error:
        raise NoService(f"the connection to {url} broke; see whether `zoo serve` still runs there") from error


def _decoded(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def _error_of(response: httpx.Response) -> ServiceError:
    """Read either form of error body: ``{"error": {"message", "code"}}`` or ``{"error": "text", "code"}``."""
    body = _decoded(response)
    body = body if isinstance(body, dict) else {}
    error = body.get("error")
    fields = error if isinstance(error, dict) else {"message": error, "code": body.get("code")}
    message = fields.get("message") or body.get("detail") or f"the service answered {response.status_code}"
    if response.status_code == 401:
        message = f"{message}. Give the service's key with --api-key or ZOO_API_KEY."
    if response.status_code >= 500 and (request_id := response.headers.get("x-request-id")):
        message = f"{message} (request {request_id})"
    code = str(fields.get("code") or f"http_{response.status_code}")
    return ServiceError(str(message), status=response.status_code, code=code, file_id=body.get("file_id"))


def _data(page: Json) -> list[Json]:
    return [item for item in page.get("data", []) if isinstance(item, dict)]


def _rollout(name: str, alias: str) -> str:
    return f"/v1/models/{_segment(name)}/aliases/{_segment(alias)}/rollout"


def _segment(text: str) -> str:
    try:
        return quote(text, safe="@")
    except UnicodeEncodeError as error:
        raise _no_text() from error


def _written(body: Json) -> bytes:
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except UnicodeEncodeError as error:
        raise _no_text() from error
    except ValueError as error:
        raise InvalidInput("NaN and Infinity are no JSON numbers; give finite ones", code="invalid_number") from error


def _no_text() -> InvalidInput:
    """The error for bytes that came as an argument of a command and are no characters."""
    return InvalidInput("a name or text that was given is not UTF-8; write it in UTF-8", code="invalid_text")


def _name(path: Path) -> str:
    """A file's name as the form of an upload can carry it; a file may be called by bytes that are no characters."""
    return path.name.encode("utf-8", "replace").decode("utf-8")


def _once() -> dict[str, str]:
    return {"idempotency-key": str(uuid.uuid4())}


def reference(model: Json) -> str:
    """The name of exactly the version that a model object describes, e.g. ``tickets@3``; the bare name without one."""
    name, version = str(model.get("id", "")).partition("@")[0], model.get("version")
    return f"{name}@{version}" if version else name


def service_url(settings: Settings) -> str:
    """Where the service is: ``url``, else what a live `zoo serve` noted in its home, else host and port."""
    if settings.url:
        return settings.url
    noted = running_service(settings.home)
    if noted is not None:
        return noted.url
    host = ANY_ADDRESS.get(settings.host, settings.host)
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"
