"""What is kept beside a zip: what is known of each picture, and the contact sheet."""

from __future__ import annotations

from pathlib import Path

from adapters.datasets.pictures.inspection import Inspected
from adapters.datasets.pictures.sheet import draw_sheet

SURVEY_FILE, SHEET_FILE = "survey.jsonl", "sheet.jpg"


def keep(folder: Path, found: Inspected) -> list[Path]:
    """Write both into ``folder``; no sheet where no picture can be used."""
    found.survey.write(folder / SURVEY_FILE)
    if not found.examples:
        return [folder / SURVEY_FILE]
    (folder / SHEET_FILE).write_bytes(draw_sheet(found.examples, found.report.labels))
    return [folder / SURVEY_FILE, folder / SHEET_FILE]
