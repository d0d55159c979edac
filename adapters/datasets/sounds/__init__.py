"""Data sets of audio: what the folders and lists in a zip mean, and what is wrong with it."""

from __future__ import annotations

from adapters.datasets.sounds.medium import MEDIUM

__all__ = ["MEDIUM"]
