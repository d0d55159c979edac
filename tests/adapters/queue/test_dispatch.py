"""A queue entry that somebody wrote to Redis by hand runs nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import rq
from rq.serializers import JSONSerializer

from adapters.jobs import JobKind, JobSpec, JobStatus
from adapters.queue.connection import connect
from tests.adapters.queue.machine import Machine, eventually


def forge(machine: Machine, call: object, entry: str = "forged") -> None:
    """Write an rq job as an attacker with access to Redis would."""
    client = connect(machine.url, text=False)
    client.hset(f"rq:job:{entry}", mapping={"data": json.dumps(call), "origin": "train", "status": "queued"})
    client.rpush("rq:queue:train", entry)
    client.close()


@pytest.mark.parametrize(
    "call",
    [
        ["os.system", None, ["touch {victim}"], {}],
        ["adapters.worker.run_job", None, ["touch {victim}"], {}],
        ["adapters.worker.run_job", None, [], {"job_id": "ftjob-000000000000000000000000"}],
        ["adapters.worker.run_job", ["x"], ["ftjob-000000000000000000000000"], {}],
        ["adapters.worker.main", None, [{}], {}],
        "not a call",
    ],
)
def test_an_entry_that_is_not_a_call_of_run_job_with_a_job_id_is_refused(
    machine: Machine, tmp_path: Path, call: object
) -> None:
    victim = tmp_path / "victim"
    forge(machine, json.loads(json.dumps(call).replace("{victim}", str(victim))))
    machine.worker()
    eventually(lambda: machine.queue.refused() == 1)
    assert not victim.exists()
    assert machine.redis.exists("rq:job:forged") == 0


def test_after_a_flood_of_forged_entries_a_good_job_still_runs(machine: Machine) -> None:
    for number in range(20):
        forge(machine, ["os.system", None, ["true"], {}], f"forged-{number}")
    client = connect(machine.url, text=False)
    client.hset("rq:job:broken", mapping={"data": b"\x80\x04pickle", "status": "no such status"})
    client.rpush("rq:queue:train", "broken")
    client.close()
    job, _ = machine.queue.submit(JobSpec(kind=JobKind.ADAPT, model="m"))
    machine.worker()
    eventually(lambda: machine.queue.get(job.id).status is JobStatus.SUCCEEDED)
    assert machine.queue.refused() == 21


def test_entries_carry_the_job_id_as_json_and_nothing_else(machine: Machine) -> None:
    job, _ = machine.queue.submit(JobSpec(kind=JobKind.ADAPT, model="m"))
    client = connect(machine.url, text=False)
    entry = rq.job.Job.fetch(job.id, connection=client, serializer=JSONSerializer)
    client.close()
    assert (entry.func_name, entry.args, entry.kwargs) == ("adapters.worker.run_job", [job.id], {})
