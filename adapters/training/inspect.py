"""The inspect job: read what an upload request has no time for, and write its report.

Rows of a Parquet file are put beside it as JSONL; the pictures of a large zip are decoded.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from adapters.datasets import FileStore, fatal_report
from adapters.jobs import JobContext
from adapters.training.parquet import Bounds, convert
from zoo.errors import InvalidInput
from zoo.settings import Settings


def run(context: JobContext, settings: Settings) -> dict[str, Any]:
    """The file's id, its status and its number of rows. A file that cannot be trained on is a result, not a failure.

    Raises ``NotFound`` if the file was deleted, ``InvalidInput`` for a job without a file or an unknown column.
    """
    spec = context.job.spec
    if spec.training_file is None:
        raise InvalidInput("The job names no file to inspect.", param="training_file")
    store = FileStore(settings.home, settings)
    record = store.get(spec.training_file)
    context.tick("read", 0, 2)
    if record.needs_worker and record.format == "parquet":
        rows = context.attempt_folder / "data.jsonl"
        limits = Bounds(rows=settings.max_rows, row_bytes=settings.max_row_bytes, total_bytes=settings.max_upload_bytes)
        problem = convert(store.content_path(record.id), rows, limits)
        context.confirm()
        if problem is not None:
            store.settle(record.id, fatal_report(problem, task=spec.task, file=record.id, format="parquet"))
            rows.unlink(missing_ok=True)
            return {"file": record.id, "status": "error", "rows": 0}
        store.attach_rows(record.id, rows)
    context.tick("inspect", 1, 2)
    progress = partial(context.tick, "decode")
    report = store.inspect(record.id, task=spec.task, columns=spec.columns or None, progress=progress)
    context.tick("inspect", 2, 2)
    return {"file": record.id, "status": store.get(record.id).status, "rows": report.rows}
