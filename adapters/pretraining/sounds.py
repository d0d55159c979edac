"""Writing a trained sound classifier as a starter."""

from __future__ import annotations

from pathlib import Path

from adapters.training.layouts.adapted import write_adapted
from adapters.training.learning import Learnt

BASE = "whisper-tiny-en"


def write(learnt: Learnt, folder: Path) -> None:
    """Adapter, head and ``config.json``; the body is fetched with them when the starter is pulled."""
    write_adapted(
        folder,
        learnt.wrapped,
        learnt.adaptation.head,
        labels=learnt.adaptation.labels,
        architecture="whisper",
        task="audio-classification",
    )
