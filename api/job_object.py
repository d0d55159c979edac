"""Jobs, their events and checkpoints as clients see them: OpenAI's fields first, then ours."""

from __future__ import annotations

import time
from typing import Any

from adapters.jobs import Job, JobCheckpoint, JobEvent, JobKind

_OPENAI_HYPERPARAMETERS = ("n_epochs", "batch_size", "learning_rate_multiplier")


def job_object(job: Job) -> dict[str, Any]:
    """A job; one that adapts a model has all fields of OpenAI's fine-tuning job."""
    result = job.result or {}
    shown = {
        "id": job.id,
        "object": "fine_tuning.job" if job.spec.kind is JobKind.ADAPT else "job",
        "kind": job.spec.kind.value,
        "model": job.spec.model,
        "created_at": int(job.created_at),
        "started_at": _seconds(job.started_at),
        "finished_at": _seconds(job.finished_at),
        "estimated_finish": _estimate(job),
        "status": job.status.value,
        "error": job.error.model_dump() if job.error else None,
        "task": job.spec.task,
        "metadata": job.spec.metadata,
        "progress": job.progress.model_dump(),
        "attempt": job.attempt,
        "cancel_requested": job.cancel_requested,
    }
    if job.spec.kind is not JobKind.ADAPT:
        return shown | {"training_file": job.spec.training_file, "result": job.result}
    return shown | _fine_tuning(job, result)


def _fine_tuning(job: Job, result: dict[str, Any]) -> dict[str, Any]:
    hyperparameters = job.spec.hyperparameters.model_dump(mode="json") | result.get("hyperparameters", {})
    openai_form = {name: hyperparameters.get(name, "auto") for name in _OPENAI_HYPERPARAMETERS}
    return {
        "organization_id": "local",
        "fine_tuned_model": result.get("fine_tuned_model"),
        "training_file": job.spec.training_file,
        "validation_file": job.spec.validation_file,
        "result_files": result.get("result_files", []),
        "trained_tokens": result.get("trained_tokens"),
        "seed": job.spec.seed,
        "hyperparameters": hyperparameters,
        "method": {"type": "supervised", "supervised": {"hyperparameters": openai_form}},
        "integrations": [],
        "user_provided_suffix": job.spec.suffix,
        "columns": job.spec.columns,
        "metrics": result.get("metrics", {}),
    }


def event_object(event: JobEvent) -> dict[str, Any]:
    """One event of a job."""
    return {
        "id": event.id,
        "object": "fine_tuning.job.event",
        "created_at": int(event.created_at),
        "level": event.level,
        "message": event.message,
        "type": event.type,
        "data": event.data,
    }


def checkpoint_object(job: Job, checkpoint: JobCheckpoint) -> dict[str, Any]:
    """One checkpoint of a job; it can be resumed from, not served."""
    name = job.spec.suffix or job.spec.model
    return {
        "id": checkpoint.id,
        "object": "fine_tuning.job.checkpoint",
        "created_at": int(checkpoint.created_at),
        "fine_tuning_job_id": job.id,
        "fine_tuned_model_checkpoint": f"{name}:ckpt-step-{checkpoint.step}",
        "step_number": checkpoint.step,
        "metrics": {"step": checkpoint.step, **checkpoint.metrics},
    }


def page_object(items: list[dict[str, Any]], *, has_more: bool) -> dict[str, Any]:
    """A page of a list as OpenAI's clients iterate over it."""
    ends = {"first_id": items[0]["id"], "last_id": items[-1]["id"]} if items else {"first_id": None, "last_id": None}
    return {"object": "list", "data": items, "has_more": has_more, **ends}


def _seconds(moment: float | None) -> int | None:
    return None if moment is None else int(moment)


def _estimate(job: Job) -> int | None:
    if job.status.terminal or job.progress.eta_seconds is None:
        return None
    return int(time.time() + job.progress.eta_seconds)
