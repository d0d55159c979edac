"""Fine-tuning jobs: what is accepted, what is refused and why, once however often, and what a job tells."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from adapters.jobs import JobKind, JobSpec
from adapters.queue import EmbeddedRedis, JobQueue
from tests.api.fakes import publish
from tests.api.live import Live, running
from tests.api.test_files import CSV, upload
from zoo.settings import Settings

JOBS = "/v1/fine_tuning/jobs"


@pytest.fixture(scope="session")
def training_file(client: httpx.Client) -> str:
    """A good file on the shared server."""
    return str(upload(client).json()["id"])


@pytest.fixture
def own(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A server whose queue has room for two jobs."""
    embedded = EmbeddedRedis(tmp_path_factory.mktemp("redis"))
    small = settings.model_copy(update={"max_queued_jobs": 2})
    with running(small, JobQueue(embedded.start(), small)) as server:
        yield server
    embedded.stop()


def create(client: httpx.Client, training_file: str, /, **fields: Any) -> httpx.Response:
    headers = fields.pop("headers", None)
    return client.post(JOBS, json={"model": "minilm", "training_file": training_file, **fields}, headers=headers)


def test_a_job_is_accepted_with_everything_auto(client: httpx.Client, training_file: str) -> None:
    answer = create(client, training_file)
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert job["object"] == "fine_tuning.job"
    assert job["model"] == "minilm@1"
    assert job["status"] == "queued"
    assert job["task"] == "text-classification"
    assert job["training_file"] == training_file
    assert 0 <= job["seed"] <= 2147483647
    assert set(job["hyperparameters"].values()) == {"auto"}
    assert (job["finished_at"], job["fine_tuned_model"], job["error"], job["result_files"]) == (None, None, None, [])
    assert client.get(f"{JOBS}/{job['id']}").json() == job


def test_hyperparameters_are_taken_from_three_places_and_method_wins(client: httpx.Client, training_file: str) -> None:
    method = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 3}}}
    given = create(
        client,
        training_file,
        method=method,
        hyperparameters={"n_epochs": 2, "batch_size": 8},
        n_epochs=1,
        batch_size=4,
        lora_rank=16,
        learning_rate=0.0005,
        target_modules=["query", "layer.0.value"],
    ).json()["hyperparameters"]
    assert (given["n_epochs"], given["batch_size"], given["lora_rank"]) == (3, 8, 16)
    assert given["learning_rate"] == 0.0005
    assert given["target_modules"] == ["query", "layer.0.value"]


def test_null_hyperparameters_count_as_absent(client: httpx.Client, training_file: str) -> None:
    method = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": None}}}
    given = create(client, training_file, method=method, hyperparameters={"n_epochs": 2, "batch_size": None})
    assert (given.json()["hyperparameters"]["n_epochs"], given.json()["hyperparameters"]["batch_size"]) == (2, "auto")


def test_a_seed_is_kept(client: httpx.Client, training_file: str) -> None:
    assert create(client, training_file, seed=11).json()["seed"] == 11


SUPERVISED = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 0}}}
REFUSED: list[tuple[str, dict[str, Any], int, str, str | None]] = [
    ("row-47-rank-0", {"lora_rank": 0}, 422, "invalid_hyperparameter", "hyperparameters.lora_rank"),
    ("row-47-rank-10^9", {"lora_rank": 10**9}, 422, "invalid_hyperparameter", "hyperparameters.lora_rank"),
    ("row-47-rank-10^400", {"lora_rank": 10**400}, 422, "invalid_hyperparameter", "hyperparameters.lora_rank"),
    ("row-47-alpha-10^400", {"lora_alpha": 10**400}, 422, "invalid_hyperparameter", "hyperparameters.lora_alpha"),
    ("row-47-rate-10^9", {"learning_rate": 1e9}, 422, "invalid_hyperparameter", "hyperparameters.learning_rate"),
    ("row-47-epochs-10^6", {"n_epochs": 10**6}, 422, "invalid_hyperparameter", "hyperparameters.n_epochs"),
    (
        "row-47-module-regex",
        {"target_modules": ["(a+)+$"]},
        422,
        "invalid_hyperparameter",
        "hyperparameters.target_modules",
    ),
    (
        "row-47-module-text",
        {"target_modules": "all-linear"},
        422,
        "invalid_hyperparameter",
        "hyperparameters.target_modules",
    ),
    ("row-47-no-modules", {"target_modules": []}, 422, "invalid_hyperparameter", "hyperparameters.target_modules"),
    ("row-47-true-epochs", {"n_epochs": True}, 422, "invalid_hyperparameter", "hyperparameters.n_epochs"),
    ("row-47-in-method", {"method": SUPERVISED}, 422, "invalid_hyperparameter", "hyperparameters.n_epochs"),
    ("unknown-hyperparameter", {"hyperparameters": {"layers": 1}}, 422, "unknown_field", "hyperparameters.layers"),
    ("method-dpo", {"method": {"type": "dpo", "dpo": {}}}, 400, "unsupported_method", "method.type"),
    ("integrations", {"integrations": [{"type": "wandb"}]}, 422, "invalid_request", "integrations"),
    ("suffix-with-spaces", {"suffix": "My Model!"}, 422, "invalid_request", "suffix"),
    ("suffix-of-the-catalogue", {"suffix": "bert-base"}, 422, "invalid_request", "suffix"),
    ("suffix-path", {"suffix": "../x"}, 422, "invalid_request", "suffix"),
    ("seed-negative", {"seed": -1}, 422, "invalid_request", "seed"),
    ("seed-2^31", {"seed": 2**31}, 422, "invalid_request", "seed"),
    ("metadata-17", {"metadata": {str(key): "v" for key in range(17)}}, 422, "invalid_request", "metadata"),
    ("metadata-number", {"metadata": {"key": 1}}, 422, "invalid_request", "metadata.key"),
    ("unknown-model", {"model": "minilmm"}, 404, "model_not_found", "model"),
    ("not-pulled", {"model": "bert-base"}, 404, "model_not_found", "model"),
    ("adapted-model", {"model": "tickets"}, 422, "not_adaptable", "model"),
    ("row-25-model-path", {"model": "../x"}, 422, "invalid_id", "model"),
    ("unknown-file", {"training_file": "file-none"}, 404, "file_not_found", "training_file"),
    ("file-path", {"training_file": "../../etc/passwd"}, 404, "file_not_found", "training_file"),
    ("unknown-validation-file", {"validation_file": "file-none"}, 404, "file_not_found", "validation_file"),
    ("precision-of-4-bits", {"precision": "int4"}, 422, "invalid_request", "precision"),
    ("row-10-owner", {"owner": "me"}, 422, "unknown_field", "owner"),
]


@pytest.mark.parametrize(
    ("fields", "status", "code", "param"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_a_job_that_cannot_work_is_refused(
    live: Live, client: httpx.Client, training_file: str, fields: dict[str, Any], status: int, code: str, param: str
) -> None:
    answer = create(
        client, fields.get("training_file", training_file), **{k: v for k, v in fields.items() if k != "training_file"}
    )
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (status, code, param), answer.text
    live.assert_alive()


def test_eight_bits_are_refused_for_a_task_that_cannot_have_them(client: httpx.Client) -> None:
    pairs = "".join(f"parcel {number} is late,where is parcel {number}\n" for number in range(40))
    file_id = upload(client, f"sentence1,sentence2\n{pairs}".encode()).json()["id"]
    error = create(client, file_id, precision="int8").json()["error"]
    assert error["param"] == "precision" and "sentence-similarity" in error["message"]


def test_a_bad_suffix_is_answered_with_a_good_one(client: httpx.Client, training_file: str) -> None:
    message = create(client, training_file, suffix="My Tickets!").json()["error"]["message"]
    assert "my-tickets" in message


def test_a_column_that_the_file_lacks_is_refused(client: httpx.Client, training_file: str) -> None:
    answer = create(client, training_file, columns={"text": "body"})
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] in ("unknown_column", "invalid_dataset")


def test_a_file_that_needs_columns_named_can_be_used_with_them(client: httpx.Client) -> None:
    refused = upload(client, CSV.replace(b"text,label", b"alpha,beta"))
    file_id = refused.json()["file_id"] if refused.status_code == 422 else refused.json()["id"]
    assert create(client, file_id, columns={"text": "alpha", "label": "beta"}).status_code == 202


@pytest.mark.parametrize(
    ("header", "columns", "read"),
    [
        ("en,de", None, {}),
        ("de,en", None, {"source": "en", "target": "de"}),
        ("de,en", {"source": "en", "target": "de"}, {"source": "en", "target": "de"}),
        ("de,fr", None, {}),
    ],
)
def test_a_translator_is_adapted_in_its_own_direction_where_columns_are_named_so(
    own: Live, header: str, columns: dict[str, str] | None, read: dict[str, str]
) -> None:
    with own.client() as client:
        file_id = pairs(own, client, header)
        answer = create(client, file_id, model="deutsch", columns=columns)
        assert answer.status_code == 202, answer.text
    assert own.queue is not None
    assert own.queue.get(answer.json()["id"]).spec.columns == read


def test_a_translator_is_not_adapted_in_the_other_direction(own: Live) -> None:
    with own.client() as client:
        file_id = pairs(own, client, "en,de")
        answer = create(client, file_id, model="deutsch", columns={"source": "de", "target": "en"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "wrong_direction")
    assert "deutsch translates en to de" in answer.json()["error"]["message"]


def pairs(own: Live, client: httpx.Client, header: str) -> str:
    """A file of pairs, and a model that translates English to German."""
    if "deutsch" not in own.store.names():
        publish(own.store, "deutsch", translates=("en", "de"))
    lines = [f"the parcel number {place} is late,das Paket Nummer {place} ist spät" for place in range(20)]
    uploaded = upload(client, "\n".join([header, *lines]).encode())
    return str(uploaded.json()["id"])


def test_row_44_a_file_that_cannot_be_trained_on_is_refused(client: httpx.Client) -> None:
    file_id = upload(client, b"text,label\nonly,one\nclass,one\n").json()["file_id"]
    error = create(client, file_id).json()["error"]
    assert (error["code"], error["param"]) == ("invalid_dataset", "training_file")


def test_jobs_are_listed_in_pages_and_by_metadata(own: Live) -> None:
    with own.client() as client:
        file_id = upload(client).json()["id"]
        ids = [create(client, file_id, metadata=data).json()["id"] for data in ({"team": "a"}, None)]
        first = client.get(JOBS, params={"limit": 1}).json()
        assert ([job["id"] for job in first["data"]], first["has_more"]) == ([ids[1]], True)
        second = client.get(JOBS, params={"limit": 1, "after": ids[1]}).json()
        assert ([job["id"] for job in second["data"]], second["has_more"]) == ([ids[0]], False)
        by_team = client.get(JOBS, params={"metadata[team]": "a"}).json()["data"]
        assert [job["id"] for job in by_team] == [ids[0]]
        without = client.get(JOBS, params={"metadata": "null"}).json()["data"]
        assert [job["id"] for job in without] == [ids[1]]
        assert client.get(JOBS, params={"after": "ftjob-none"}).status_code == 400


def test_row_51_a_repeat_with_the_same_key_is_the_same_job(client: httpx.Client, training_file: str) -> None:
    first = create(client, training_file, headers={"idempotency-key": '"key-1"'})
    again = create(client, training_file, headers={"idempotency-key": "key-1"})
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["id"] == again.json()["id"]
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"


def test_row_51_the_order_of_keys_does_not_matter(client: httpx.Client, training_file: str) -> None:
    headers = {"idempotency-key": "key-2", "content-type": "application/json"}
    one = json.dumps({"model": "minilm", "training_file": training_file})
    other = json.dumps({"training_file": training_file, "model": "minilm"}, indent=2)
    ids = {client.post(JOBS, content=body, headers=headers).json()["id"] for body in (one, other)}
    assert len(ids) == 1


def test_row_51_the_same_key_with_another_body_is_refused(client: httpx.Client, training_file: str) -> None:
    headers = {"idempotency-key": "key-3"}
    assert create(client, training_file, headers=headers).status_code == 202
    answer = create(client, training_file, seed=5, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_mismatch")


@pytest.mark.parametrize("key", ["k" * 300, '""'])
def test_row_51_a_key_that_is_too_long_or_empty_is_refused(client: httpx.Client, training_file: str, key: str) -> None:
    answer = create(client, training_file, headers={"idempotency-key": key})
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_invalid")


def test_row_51_fifty_parallel_repeats_make_one_job(live: Live, client: httpx.Client, training_file: str) -> None:
    def once(_number: int) -> httpx.Response:
        return create(client, training_file, headers={"idempotency-key": "key-parallel"})

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(once, range(50)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
    live.assert_alive()


def test_row_52_a_waiting_job_is_cancelled_twice_alike(client: httpx.Client, training_file: str) -> None:
    job_id = create(client, training_file).json()["id"]
    for _ in range(2):
        answer = client.post(f"{JOBS}/{job_id}/cancel")
        assert (answer.status_code, answer.json()["status"]) == (202, "cancelled")
    assert isinstance(client.get(f"{JOBS}/{job_id}").json()["finished_at"], int)


def test_row_52_an_unknown_job_is_not_found(client: httpx.Client) -> None:
    for path in ("ftjob-none", "..%2fx", "a%00b"):
        assert client.post(f"{JOBS}/{path}/cancel").status_code == 404
        assert client.get(f"{JOBS}/{path}").status_code == 404


def test_row_53_a_full_queue_says_when_to_come_again(own: Live) -> None:
    with own.client() as client:
        file_id = upload(client).json()["id"]
        assert [create(client, file_id).status_code for _ in range(2)] == [202, 202]
        answer = create(client, file_id)
        assert (answer.status_code, answer.json()["code"]) == (503, "queue_full")
        assert int(answer.headers["retry-after"]) >= 1
        own.assert_alive()


def test_row_53_a_caller_over_its_quota_is_told_so(settings: Settings, redis_url: str) -> None:
    small = settings.model_copy(update={"max_jobs_per_caller": 1, "api_key": "quota-key"})
    authorised = {"authorization": "Bearer quota-key"}
    with running(small, JobQueue(redis_url, small)) as server, server.client(headers=authorised) as client:
        file_id = upload(client).json()["id"]
        assert create(client, file_id).status_code == 202
        answer = create(client, file_id)
        assert (answer.status_code, answer.json()["code"]) == (429, "quota_exceeded")
        assert answer.json()["error"]["type"] == "rate_limit_error"
        assert int(answer.headers["retry-after"]) >= 1


def test_a_cancelled_job_is_retried_as_a_new_one(client: httpx.Client, training_file: str) -> None:
    job_id = create(client, training_file).json()["id"]
    client.post(f"{JOBS}/{job_id}/cancel")
    answer = client.post(f"{JOBS}/{job_id}/retry")
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    assert answer.json()["id"] != job_id


def test_a_conflict_tells_the_client_not_to_repeat(client: httpx.Client, training_file: str) -> None:
    job_id = create(client, training_file).json()["id"]
    answer = client.post(f"{JOBS}/{job_id}/retry")
    assert (answer.status_code, answer.headers["x-should-retry"]) == (409, "false")


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_pausing_is_refused_clearly(client: httpx.Client, training_file: str, verb: str) -> None:
    job_id = create(client, training_file).json()["id"]
    answer = client.post(f"{JOBS}/{job_id}/{verb}")
    assert (answer.status_code, answer.json()["code"]) == (400, "unsupported_method")


def test_events_and_checkpoints_are_lists(client: httpx.Client, training_file: str) -> None:
    job_id = create(client, training_file).json()["id"]
    events = client.get(f"{JOBS}/{job_id}/events").json()
    assert events["object"] == "list"
    assert all(event["object"] == "fine_tuning.job.event" for event in events["data"])
    checkpoints = client.get(f"{JOBS}/{job_id}/checkpoints").json()
    assert (checkpoints["data"], checkpoints["has_more"]) == ([], False)
    assert client.get(f"{JOBS}/{job_id}/events", params={"after": "nonsense"}).status_code == 400


@pytest.mark.parametrize(
    ("query", "headers"), [({"stream": "true"}, {}), ({}, {"accept": "text/event-stream"})], ids=["query", "accept"]
)
def test_events_are_streamed_until_the_job_ends(
    client: httpx.Client, training_file: str, query: dict[str, str], headers: dict[str, str]
) -> None:
    job_id = create(client, training_file).json()["id"]
    threading.Timer(0.2, client.post, [f"{JOBS}/{job_id}/cancel"]).start()
    with client.stream("GET", f"{JOBS}/{job_id}/events", params=query, headers=headers) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert stream.headers["cache-control"] == "no-cache"
        text = stream.read().decode()
    assert text.endswith("\n\ndata: [DONE]\n\n")
    frames = [frame for frame in text.split("\n\n") if frame.startswith("event: ")]
    assert frames
    assert all(json.loads(frame.split("\ndata: ")[1])["object"] == "fine_tuning.job.event" for frame in frames)


def test_a_stream_ends_when_the_server_drains(settings: Settings, redis_url: str) -> None:
    queue = JobQueue(redis_url, settings)
    job, _ = queue.submit(JobSpec(kind=JobKind.IMPORT, model="minilm", owner="drain"))
    with running(settings, queue) as server, server.client() as client:
        with client.stream("GET", f"/v1/jobs/{job.id}/events", params={"stream": "true"}) as stream:
            lines = stream.iter_lines()
            assert next(lines) == ": open"
            server.server.handle_exit(15, None)
            assert "data: [DONE]" not in list(lines)
