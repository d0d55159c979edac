"""The report on entities and answers on the command line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.cli import app
from tests.api.canned_service import FILE, REPORT, CannedService, canned_service

EACH = {"min": 0, "median": 2, "p95": 4, "max": 9}


@pytest.fixture
def service() -> Iterator[CannedService]:
    with canned_service() as running:
        running.says("POST", "/v1/files", FILE)
        yield running


def test_questions_on_one_line_are_told_apart_by_their_rows(service: CannedService, tmp_path: Path) -> None:
    (tmp_path / "squad.json").write_text("{}")
    faults = [
        {"level": "error", "code": "answer_mismatch", "message": "m", "fix": "f", "line": 1, "row": row, "column": "a"}
        for row in (3, 17)
    ]
    service.says("GET", "/v1/files/file-1/report", REPORT | {"format": "squad", "problems": faults})
    result = CliRunner().invoke(app, ["upload", str(tmp_path / "squad.json"), "--url", service.url])
    assert "line 1, row 3, column a" in result.stdout
    assert "line 1, row 17, column a" in result.stdout


def test_a_report_counts_what_is_marked(service: CannedService, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("{}\n")
    marked = {"count": 2345, "per_row": EACH, "characters": EACH, "rows_without": 30}
    service.says("GET", "/v1/files/file-1/report", REPORT | {"spans": marked})
    result = CliRunner().invoke(app, ["upload", str(tmp_path / "rows.jsonl"), "--url", service.url])
    assert "2,345, median 2 a row, most 9; 30 rows without" in result.stdout
