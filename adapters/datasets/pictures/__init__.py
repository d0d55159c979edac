"""Data sets of pictures in a zip: what the folders and lists in it mean, what is wrong with it, and how it looks."""

from __future__ import annotations

from adapters.datasets.pictures.inspection import Asked, Inspected, inspect_pictures, read_pictures
from adapters.datasets.pictures.kept import SHEET_FILE, SURVEY_FILE, keep
from adapters.datasets.pictures.masks import IGNORED_VALUE, open_mask
from adapters.datasets.pictures.survey import Progress, Survey, TooMuch

__all__ = [
    "Asked",
    "IGNORED_VALUE",
    "Inspected",
    "Progress",
    "SHEET_FILE",
    "SURVEY_FILE",
    "Survey",
    "TooMuch",
    "inspect_pictures",
    "keep",
    "open_mask",
    "read_pictures",
]
