"""Parquet to JSONL rows, in a child process with bounded address space: 1 MB of Parquet can stand for 9.6 GB.

Run as ``python -m adapters.training.parquet SOURCE TARGET LIMITS`` it is that child, and prints a problem as JSON.
"""

from __future__ import annotations

import datetime
import decimal
import json
import math
import os
import resource
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from adapters.datasets import DatasetFault, Problem
from adapters.datasets.limits import MAX_COLUMNS

OUT_OF_MEMORY = 3  # exit status of the child
BATCH_ROWS = 256
_LARGER = "The file is larger than it may be when unpacked. Send fewer rows or columns, or CSV or JSONL."


@dataclass(frozen=True, slots=True)
class Bounds:
    """Most rows, bytes of one row and of all rows as JSON, columns, seconds of reading, bytes of address space."""

    rows: int
    row_bytes: int
    total_bytes: int
    columns: int = MAX_COLUMNS
    seconds: int = 120
    memory: int = 3 * 1024**3


def convert(source: Path, target: Path, bounds: Bounds) -> Problem | None:
    """Write the rows of ``source`` to ``target``, one JSON object a line; a ``Problem`` if that cannot be done.

    The problem's code is archive_too_large, invalid_archive, or that of the row that is over a limit.
    """
    command = [sys.executable, "-m", __name__, str(source), str(target), json.dumps(asdict(bounds))]
    environment = {**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system", "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(command, capture_output=True, timeout=bounds.seconds, env=environment, check=False)
    except subprocess.TimeoutExpired:
        return _problem("archive_too_large", f"Reading took longer than {bounds.seconds} seconds.", _LARGER)
    if done.returncode == 0:
        return Problem.model_validate_json(done.stdout) if done.stdout.strip() else None
    if done.returncode > 0 and done.returncode != OUT_OF_MEMORY:
        raise RuntimeError(f"the Parquet reader ended with status {done.returncode}")
    # a signal: the child was killed at its limits, or aborted inside Arrow when memory ran out
    return _problem("archive_too_large", "Reading it took more memory than a data file may.", _LARGER)


def write_rows(source: Path, target: Path, bounds: Bounds) -> None:
    """The work itself; raises ``DatasetFault``, and ``MemoryError`` where the address space ends."""
    import pyarrow
    from pyarrow import parquet

    pyarrow.set_cpu_count(1)
    pyarrow.set_io_thread_count(1)
    try:
        schema = parquet.read_schema(source)
        # as dictionaries, a value that repeats a million times is held once
        texts = [field.name for field in schema if pyarrow.types.is_string(field.type)]
        reader = parquet.ParquetFile(source, read_dictionary=texts)
        names = [field.name for field in schema if not _is_binary(pyarrow, field.type)]
        _check_metadata(reader.metadata, len(schema.names), bounds)
        batches = reader.iter_batches(batch_size=BATCH_ROWS, columns=names, use_threads=False)
        _write(batches, target, bounds)
    except pyarrow.lib.ArrowMemoryError as error:
        raise MemoryError from error
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        if isinstance(error, DatasetFault) or (isinstance(error, OSError) and error.errno):
            raise
        message = "The file is not a readable Parquet file: it is truncated, damaged or encrypted."
        raise DatasetFault(_problem("invalid_archive", message, "Write the file again and upload it.")) from error


def _check_metadata(metadata: Any, columns: int, bounds: Bounds) -> None:
    if columns > bounds.columns:
        message = f"The file has {columns:,} columns; at most {bounds.columns:,} are read."
        raise DatasetFault(_problem("too_many_columns", message, "Keep only the columns that are needed."))
    if metadata.num_rows > bounds.rows:
        message = f"The file has {metadata.num_rows:,} rows; at most {bounds.rows:,} are read."
        raise DatasetFault(_problem("too_many_rows", message, "Send fewer rows, or a sample of them."))
    unpacked = sum(metadata.row_group(index).total_byte_size for index in range(metadata.num_row_groups))
    if unpacked > 2 * bounds.total_bytes:
        message = f"The file unpacks to {unpacked:,} bytes; at most {2 * bounds.total_bytes:,} are read."
        raise DatasetFault(_problem("archive_too_large", message, _LARGER))


def _write(batches: Any, target: Path, bounds: Bounds) -> None:
    number = total = 0
    with target.open("w", encoding="utf-8") as sink:
        for batch in batches:
            columns = batch.schema.names
            # one row at a time: a batch of long values is never spelled out as a whole
            for index in range(batch.num_rows):
                number += 1
                row = {name: _plain(batch.column(place)[index].as_py()) for place, name in enumerate(columns)}
                line = json.dumps(row, ensure_ascii=False, allow_nan=False)
                size = len(line.encode("utf-8", "surrogatepass"))
                total += size + 1
                if size > bounds.row_bytes:
                    message = f"Row {number}: longer than {bounds.row_bytes:,} bytes."
                    raise DatasetFault(_problem("row_too_long", message, "Shorten or split its text.", row=number))
                if total > bounds.total_bytes:
                    message = f"Row {number}: more than {bounds.total_bytes:,} bytes of data up to here."
                    raise DatasetFault(_problem("archive_too_large", message, _LARGER, row=number))
                sink.write(line + "\n")


def _is_binary(pyarrow: Any, kind: Any) -> bool:
    types = pyarrow.types
    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind))


def _plain(value: Any) -> Any:
    """As JSON knows it: NaN and infinities are missing values in a table, dates and decimals are written out."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (datetime.date, datetime.time, datetime.timedelta, decimal.Decimal)):
        return str(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    return None


def _problem(code: str, message: str, fix: str, *, row: int | None = None) -> Problem:
    return Problem(level="error", code=code, message=message, fix=fix, line=row, row=row)


def main(arguments: list[str]) -> int:
    """The child: 0 if done or a problem was printed, 3 if memory ran out."""
    source, target, limits = arguments
    bounds = Bounds(**json.loads(limits))
    resource.setrlimit(resource.RLIMIT_AS, (bounds.memory, bounds.memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (bounds.seconds, bounds.seconds))
    try:
        write_rows(Path(source), Path(target), bounds)
    except DatasetFault as error:
        print(error.problem.model_dump_json())
    except MemoryError:
        return OUT_OF_MEMORY
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
