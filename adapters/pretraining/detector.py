"""Writing a trained detector as a starter."""

from __future__ import annotations

from pathlib import Path

from adapters.training.architectures.fcos import FcosHead
from adapters.training.detection.dense_detector import DetectorConfig
from adapters.training.layouts.adapted import write_adapted
from adapters.training.learning import Learnt


def write(learnt: Learnt, folder: Path) -> None:
    """Adapter, head and ``config.json``; the body is fetched with them when the starter is pulled."""
    adaptation = learnt.adaptation
    assert isinstance(adaptation.head, FcosHead)
    config = DetectorConfig(label_names=list(adaptation.labels)).model_dump(mode="json", exclude={"label_names"})
    write_adapted(folder, learnt.wrapped, adaptation.head, labels=adaptation.labels, **config)
