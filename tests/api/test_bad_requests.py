"""Wrong requests, row by row: each gets its status and code, in the form of its path, and the server lives on."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field

import httpx
import pytest

from tests.api.live import Live, running
from zoo.settings import Settings

PREDICT = "/v1/models/tickets/predict"


@dataclass(frozen=True)
class Row:
    """A body for the predict route (or another), and the answer that it has to get."""

    id: str
    status: int
    code: str
    body: bytes = b'{"inputs": "hello"}'
    path: str = PREDICT
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "application/json"})


def nested(levels: int) -> bytes:
    """An inputs value such that the whole body has ``levels`` levels."""
    return b'{"inputs": ' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


def of_type(content_type: str) -> dict[str, str]:
    return {"content-type": content_type}


EMBED = "/v1/embeddings"
FINE_TUNE = "/v1/fine_tuning/jobs"
ROWS = [
    Row("row-01-empty-body", 422, "invalid_request", b""),
    Row("row-01-null", 422, "invalid_request", b"null"),
    Row("row-01-list", 422, "invalid_request", b"[]"),
    Row("row-01-spaces", 422, "invalid_request", b"  \n"),
    Row("row-02-truncated", 400, "malformed_json", b'{"inputs": "hel'),
    Row("row-02-trailing-garbage", 400, "malformed_json", b'{"inputs": "hello"} x'),
    Row("row-03-100000-deep", 400, "json_too_deep", nested(100_000)),
    Row("row-03-101-deep", 400, "json_too_deep", nested(101)),
    Row("row-03-unclosed-100000-deep", 400, "json_too_deep", b"[" * 100_000),
    Row("row-03-objects-500-deep", 400, "json_too_deep", b'{"inputs":' * 500 + b"1" + b"}" * 500),
    Row("row-04-nan", 422, "invalid_number", b'{"inputs": NaN}'),
    Row("row-04-infinity", 422, "invalid_number", b'{"inputs": "x", "parameters": {"top_k": -Infinity}}'),
    Row("row-04-1e999", 422, "invalid_number", b'{"inputs": "x", "parameters": {"top_k": 1e999}}'),
    Row("row-04-1e999-learning-rate", 422, "invalid_number", b'{"learning_rate": 1e999}', FINE_TUNE),
    Row("row-05-5000-digits", 400, "malformed_json", b'{"inputs": ' + b"7" * 5_000 + b"}"),
    Row("row-05-million-digits", 400, "malformed_json", b'{"inputs": ' + b"7" * 1_000_000 + b"}"),
    Row("row-06-bytes-ff-fe", 400, "malformed_json", b'{"inputs": "\xff\xfe"}'),
    Row("row-06-utf-16", 400, "malformed_json", '{"inputs": "hello"}'.encode("utf-16")),
    Row("row-06-byte-order-mark", 400, "malformed_json", b'\xef\xbb\xbf{"inputs": "hello"}'),
    Row("row-07-lone-surrogate", 422, "invalid_text", rb'{"inputs": "\ud800"}'),
    Row("row-07-lone-surrogate-in-key", 422, "invalid_text", rb'{"inputs": {"\udfff": 1}}'),
    Row("row-07-lone-surrogate-embeddings", 422, "invalid_text", rb'{"model": "minilm", "input": "\ud800"}', EMBED),
    Row("row-07-lone-surrogate-fine-tune", 422, "invalid_text", rb'{"model": "\ud800"}', FINE_TUNE),
    Row("row-08-nul", 422, "invalid_text", rb'{"inputs": "a\u0000b"}'),
    Row("row-08-nul-embeddings", 422, "invalid_text", rb'{"model": "minilm", "input": ["a\u0000b"]}', EMBED),
    Row("row-08-nul-fine-tune", 422, "invalid_text", rb'{"model": "minilm", "suffix": "a\u0000b"}', FINE_TUNE),
    Row("row-09-duplicate-keys", 400, "duplicate_key", b'{"inputs": "a", "inputs": "b"}'),
    Row("row-09-duplicate-keys-inside", 400, "duplicate_key", b'{"inputs": "a", "parameters": {"k": 1, "k": 2}}'),
    Row("row-10-unknown-property", 422, "unknown_field", b'{"inputs": "a", "owner": "me"}'),
    Row(
        "row-10-status", 422, "unknown_field", b'{"model":"minilm","training_file":"f","status":"succeeded"}', FINE_TUNE
    ),
    Row("row-10-owner", 422, "unknown_field", b'{"model":"minilm","training_file":"f","owner":"me"}', FINE_TUNE),
    Row("row-11-900-kb-for-an-integer", 422, "invalid_request", b'{"seed": "%s"}' % (b"9" * 900_000), FINE_TUNE),
    Row("row-12-plain-text", 415, "unsupported_media_type", b"hello", headers=of_type("text/plain")),
    Row("row-12-xml", 415, "unsupported_media_type", b"<a/>", headers=of_type("application/xml")),
    Row("row-12-form", 415, "unsupported_media_type", b"a=b", headers=of_type("application/x-www-form-urlencoded")),
    Row("row-12-json-upload", 415, "unsupported_media_type", b"{}", "/v1/files"),
    Row(
        "row-13-gzip",
        415,
        "unsupported_encoding",
        gzip.compress(b'{"inputs": "a"}'),
        headers={"content-encoding": "gzip", "content-type": "application/json"},
    ),
    Row("row-25-parent-folder", 422, "invalid_id", path="/v1/models/..%2fx/predict"),
    Row("row-25-encoded-dots", 422, "invalid_id", path="/v1/models/%2e%2e%2f%2e%2e%2fetc%2fpasswd/predict"),
    Row("row-25-nul", 422, "invalid_id", path="/v1/models/a%00b/predict"),
    Row("row-25-65-characters", 422, "invalid_id", path=f"/v1/models/{'a' * 65}/predict"),
    Row("row-25-full-width-dots", 422, "invalid_id", path="/v1/models/%EF%BC%8E%EF%BC%8E/predict"),
    Row("row-25-proc-self-root", 422, "invalid_id", path="/v1/models/%2f%2fproc%2fself%2froot/predict"),
    Row("row-25-backslashes", 422, "invalid_id", path="/v1/models/%5C%5Chost%5Cs/predict"),
    Row("row-25-con", 404, "model_not_found", path="/v1/models/con/predict"),
    Row("row-25-bad-utf-8", 422, "invalid_id", path="/v1/models/%ff%fe/predict"),
    Row("row-26-unknown-model", 404, "model_not_found", path="/v1/models/tickts/predict"),
    Row("row-26-unknown-version", 404, "model_not_found", path="/v1/models/tickets@9/predict"),
    Row("row-26-unknown-alias", 404, "model_not_found", path="/v1/models/tickets@best/predict"),
    Row("row-26-not-pulled", 404, "model_not_found", path="/v1/models/bert-base/predict"),
    Row("row-26-unknown-model-embeddings", 404, "model_not_found", b'{"model": "none", "input": "a"}', EMBED),
    Row("row-30-long-text", 413, "input_too_long", b'{"inputs": "%s"}' % (b"a" * 500_000)),
    Row("row-31-101-items", 422, "batch_size", json.dumps({"inputs": ["a"] * 101}).encode()),
    Row("row-31-no-items", 422, "batch_size", b'{"inputs": []}'),
    Row(
        "row-31-101-embeddings",
        422,
        "batch_size",
        json.dumps({"model": "minilm", "input": ["a"] * 101}).encode(),
        EMBED,
    ),
    Row("row-31-no-embeddings", 400, "batch_size", b'{"model": "minilm", "input": []}', EMBED),
    Row("missing-field", 422, "invalid_request", b'{"parameters": {}}'),
    Row("unknown-parameter", 422, "unknown_field", b'{"inputs": "a", "parameters": {"topk": 1}}'),
    Row("token-ids", 400, "invalid_request", b'{"model": "minilm", "input": [1, 2, 3]}', EMBED),
    Row("token-id-lists", 400, "invalid_request", b'{"model": "minilm", "input": [[1], [2]]}', EMBED),
    Row("other-dimensions", 400, "invalid_request", b'{"model": "minilm", "input": "a", "dimensions": 2}', EMBED),
    Row("unknown-encoding", 422, "invalid_request", b'{"model":"minilm","input":"a","encoding_format":"hex"}', EMBED),
    Row("unknown-address", 404, "unknown_url", path="/v1/nothing"),
    Row("unknown-address-without-v1", 404, "unknown_url", path="/nothing"),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_a_wrong_request_gets_its_status_and_code(live: Live, client: httpx.Client, row: Row) -> None:
    answer = client.post(row.path, content=row.body, headers=row.headers)
    assert (answer.status_code, answer.json()["code"]) == (row.status, row.code), answer.text
    assert_error_form(answer)
    live.assert_alive()


def test_row_11_a_5_mb_string_for_an_integer_is_not_echoed(settings: Settings) -> None:
    with running(settings.model_copy(update={"max_body_bytes": 16 << 20}), None) as wide, wide.client() as client:
        answer = client.post(EMBED, content=b'{"model":"m","input":"a","dimensions":"%s"}' % (b"x" * 5_000_000))
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
        assert len(answer.content) <= 2048
        assert "xxx" not in answer.text
        wide.assert_alive()


@pytest.mark.parametrize("row", [row for row in ROWS if row.path == PREDICT], ids=lambda row: row.id)
def test_the_hugging_face_address_names_the_error_as_a_string(client: httpx.Client, row: Row) -> None:
    answer = client.post("/models/tickets", content=row.body, headers=row.headers)
    assert (answer.status_code, answer.json()["code"]) == (row.status, row.code)
    assert isinstance(answer.json()["error"], str)


def test_a_hundred_levels_are_read(client: httpx.Client) -> None:
    assert client.post(PREDICT, content=nested(100)).status_code == 200


def test_an_unknown_field_is_named(client: httpx.Client) -> None:
    error = client.post(PREDICT, json={"inputs": "a", "colour": "red"}).json()["error"]
    assert error["param"] == "colour"
    assert "colour" in error["message"]


def test_an_unprintable_field_name_is_not_repeated(client: httpx.Client) -> None:
    answer = client.post(PREDICT, json={"inputs": "a", "\x1b[31m" + "k" * 5000: "red"})
    assert answer.json()["error"]["param"] == "?"
    assert "kkk" not in answer.text


def test_without_content_type_a_body_is_read_as_json(client: httpx.Client) -> None:
    request = client.build_request("POST", PREDICT, content=b'{"inputs": "hello"}')
    assert "content-type" not in request.headers
    assert client.send(request).status_code == 200


def test_an_unknown_model_is_answered_with_the_nearest(client: httpx.Client) -> None:
    body = client.post("/v1/models/tickts/predict", json={"inputs": "a"}).json()
    assert body["suggestions"] == ["tickets"]
    assert "tickets" in body["error"]["message"]


def test_problem_json_is_sent_to_who_asks_for_it(client: httpx.Client) -> None:
    answer = client.post(PREDICT, content=b"", headers={"accept": "application/problem+json"})
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == 422
    assert answer.json()["type"] == "about:blank"


def test_a_method_that_an_address_does_not_take_is_answered_with_those_that_it_does(client: httpx.Client) -> None:
    answer = client.put("/v1/files")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, POST"


def assert_error_form(answer: httpx.Response) -> None:
    body = answer.json()
    assert len(answer.content) <= 2048
    assert answer.headers["content-type"] == "application/json"
    assert body["status"] == answer.status_code
    assert body["request_id"] == answer.headers["x-request-id"]
    assert body["detail"]
    if answer.request.url.path.startswith("/v1"):
        assert set(body["error"]) == {"message", "type", "param", "code"}
        assert body["error"]["message"] == body["detail"]
    else:
        assert body["error"] == body["detail"]
