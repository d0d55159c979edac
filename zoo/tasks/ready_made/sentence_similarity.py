"""sentence-similarity: what feature-extraction reads."""

from __future__ import annotations

from zoo.tasks.ready_made.feature_extraction import describe

__all__ = ["describe"]
