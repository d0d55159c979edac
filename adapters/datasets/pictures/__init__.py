"""Data sets of pictures: what the folders and lists in a zip mean, what is wrong with it, and how it looks."""

from __future__ import annotations

from adapters.datasets.pictures.masks import IGNORED_VALUE, open_mask
from adapters.datasets.pictures.medium import MEDIUM

__all__ = ["IGNORED_VALUE", "MEDIUM", "open_mask"]
