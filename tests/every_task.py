"""A zoo with a tiny model for every task of every modality, and a request that each of them answers."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tests import tiny_detectors, tiny_pictures
from tests.conftest import TinyZoo
from tests.imports import Imports
from tests.tiny_ctc import write_ctc_checkpoint
from tests.tiny_language import write_classifier, write_filler
from tests.tiny_segmenters import write_segformer
from tests.tiny_sounds import write_sound_checkpoint
from tests.tiny_spans import TAGS, write_tokens_checkpoint
from tests.tiny_texts import write_marian
from tests.zoo.tasks.processors.sound_files import sound_of

Write = Callable[[Path], Path]
MODELS: Mapping[str, tuple[Write, str | None]] = {
    "nli": (partial(write_classifier, kind="distilbert"), None),
    "filler": (partial(write_filler, kind="distilbert"), None),
    "names": (partial(write_tokens_checkpoint, kind="distilbert", labels=TAGS), None),
    "manual": (partial(write_tokens_checkpoint, kind="distilbert", answers=True), None),
    "deutsch": (partial(write_marian, layers=1), None),
    "things": (partial(tiny_pictures.write_picture_checkpoint, kind="timm-vgg"), None),
    "pixels": (partial(tiny_pictures.write_picture_checkpoint, kind="vit", headed=False, num_hidden_layers=1), None),
    "boxes": (partial(tiny_detectors.write_detector, kind="yolos"), None),
    "parts": (write_segformer, None),
    "noises": (partial(write_sound_checkpoint, kind="ast", num_hidden_layers=1), None),
    "ears": (partial(write_ctc_checkpoint, kind="wav2vec2"), None),
}
# What a graph is good for beside what it was imported as is said by the manifest alone: name -> (model, what changes).
VIEWS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "topics": ("mood", {"options": {"function_to_apply": "sigmoid"}}),
    "mark": ("mood", {"options": {"function_to_apply": "none"}}),
    "short": ("deutsch", {"task": "summarization"}),
}


@dataclass(frozen=True)
class Asked:
    """A request that a model of the zoo answers, and a name that stands in each item of the answer."""

    model: str
    inputs: Any
    shows: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """As it is sent."""
        return {"inputs": self.inputs, "parameters": dict(self.parameters)}


def _sent(content: bytes) -> str:
    return base64.b64encode(content).decode()


TEXT = "my parcel was late again"
_PICTURE = _sent(tiny_pictures.picture())
_SOUND = _sent(sound_of(np.random.default_rng(1).normal(0, 0.1, 8000).astype(np.float32)))
REQUESTS: Mapping[str, Asked] = {
    "audio-classification": Asked("noises", _SOUND, "label"),
    "automatic-speech-recognition": Asked("ears", _SOUND, "text"),
    "feature-extraction": Asked("mini", TEXT),
    "fill-mask": Asked("filler", "my parcel was [MASK] again", "token_str"),
    "image-classification": Asked("things", _PICTURE, "label"),
    "image-feature-extraction": Asked("pixels", _PICTURE),
    "image-segmentation": Asked("parts", _PICTURE, "mask"),
    "object-detection": Asked("boxes", _PICTURE, "box", {"threshold": 0.0}),
    "question-answering": Asked("manual", {"question": "why late?", "context": TEXT}, "answer"),
    "sentence-similarity": Asked("mini", {"source_sentence": TEXT, "sentences": ["late", "my order"]}),
    "summarization": Asked("short", TEXT, "summary_text"),
    "text-classification": Asked("nli", {"text": TEXT, "text_pair": "why late?"}, "label"),
    "token-classification": Asked("names", TEXT, "word"),
    "translation": Asked("deutsch", "the cat sees a dog", "translation_text"),
    "zero-shot-classification": Asked("nli", TEXT, "label", {"candidate_labels": ["delivery", "payment"]}),
}


def import_every_task(folder: Path, encoders: TinyZoo, imports: Imports) -> TinyZoo:
    """A copy of a zoo that has the encoder ``mini``, with ``MODELS`` and ``VIEWS`` beside it."""
    zoo = TinyZoo(folder / "home", folder / "checkpoints")
    shutil.copytree(encoders.home, zoo.home)
    for name, (write, task) in MODELS.items():
        imports.bring(zoo.home, name, write(zoo.checkpoints / name), task=task)
    for name, (of, changes) in VIEWS.items():
        _publish_view(zoo, name, of, changes)
    return zoo


def _publish_view(zoo: TinyZoo, name: str, of: str, changes: dict[str, Any]) -> None:
    entry, folder = zoo.store.entry(of, 1), zoo.store.folder(of, 1)
    with zoo.store.staging() as staged:
        shutil.copytree(folder, staged, dirs_exist_ok=True, ignore=shutil.ignore_patterns("manifest.json"))
        options = {**entry.options, **changes.get("options", {})}
        zoo.store.publish(staged, entry.model_copy(update={**changes, "name": name, "options": options, "lineage": {}}))
