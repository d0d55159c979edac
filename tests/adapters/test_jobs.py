"""Jobs as data: states, moves, and a record that survives its way through JSON."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from adapters.jobs import LEGAL_MOVES, Hyperparameters, Job, JobKind, JobPreempted, JobSpec, JobStatus, JobStopped


def test_terminal_states_have_no_move_and_every_other_state_has_one() -> None:
    assert set(LEGAL_MOVES) == set(JobStatus)
    for status, moves in LEGAL_MOVES.items():
        assert status.terminal == (not moves)


def test_a_running_job_may_go_back_to_the_queue() -> None:
    assert JobStatus.QUEUED in LEGAL_MOVES[JobStatus.RUNNING]
    assert JobStatus.RUNNING not in LEGAL_MOVES[JobStatus.VALIDATING]


def test_a_job_comes_back_from_json_as_it_was() -> None:
    wish = Hyperparameters(n_epochs=3, learning_rate="auto", target_modules=("query", "value"))
    job = Job(id="ftjob-1", spec=JobSpec(kind=JobKind.ADAPT, hyperparameters=wish), created_at=1.5, result={"a": [1]})
    assert Job.model_validate_json(job.model_dump_json()) == job


@pytest.mark.parametrize("name", list(Hyperparameters.model_fields))
def test_auto_may_be_said_for_every_hyperparameter(name: str) -> None:
    assert Hyperparameters.model_validate({name: "auto"}) == Hyperparameters()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_epochs", 0),
        ("n_epochs", 10**6),
        ("batch_size", 257),
        ("learning_rate", 1e9),
        ("learning_rate", 0),
        ("lora_rank", 0),
        ("lora_rank", 10**9),
        ("lora_alpha", float("nan")),
        ("lora_alpha", float("inf")),
        ("lora_dropout", 1.0),
        ("max_tokens", 7),
        ("n_epochs", "many"),
        ("unheard_of", 1),
    ],
)
def test_a_hyperparameter_that_cannot_train_is_refused(name: str, value: object) -> None:
    with pytest.raises(ValidationError):
        Hyperparameters.model_validate({name: value})


def test_a_spec_takes_no_unknown_field() -> None:
    with pytest.raises(ValidationError):
        JobSpec.model_validate({"kind": "adapt", "status": "succeeded"})


def test_being_stopped_is_not_swallowed_by_a_library_that_catches_exceptions() -> None:
    assert issubclass(JobPreempted, JobStopped)
    assert not issubclass(JobStopped, Exception)
