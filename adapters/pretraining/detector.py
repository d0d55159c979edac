"""Writing a trained detector as a starter."""

from __future__ import annotations

from pathlib import Path

import torch

from adapters.training.architectures.fcos import FcosHead
from adapters.training.detection.dense_detector import DenseDetector, DetectorConfig, write_detector
from adapters.training.learning import Learnt


def write(learnt: Learnt, folder: Path) -> None:
    """``config.json`` and ``model.safetensors`` in float16."""
    detector = learnt.adaptation.network
    assert isinstance(detector, DenseDetector) and isinstance(detector.head, FcosHead)
    config = DetectorConfig(label_names=list(learnt.adaptation.labels))
    write_detector(detector, config, folder, dtype=torch.float16)
