"""translation: an encoder and a decoder that remembers, in optimum's merged form."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from zoo.catalogue.onnx_file import OnnxFile
from zoo.tasks.ready_made.description import Description
from zoo.tasks.ready_made.text_to_text import text_to_text

TASKS = re.compile(r"translation_([A-Za-z_]{2,20})_to_([A-Za-z_]{2,20})")  # as ``config.json`` of a T5 calls them


def describe(checkpoint: Path, graphs: Mapping[str, OnnxFile]) -> Description:
    """A network that writes a text for a text."""
    return text_to_text(checkpoint, graphs, TASKS)
