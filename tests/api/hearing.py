"""A service with a Whisper of a few thousand weights, imported as users import theirs, and sounds for it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np

from api.app import build
from tests.api.live import serving
from tests.imports import Imports
from tests.tiny_whisper import write_ears
from tests.zoo.tasks.processors.sound_files import sound_of
from tests.zoo.tasks.sound_model import predictor
from zoo.catalogue.store import Store
from zoo.engine.loader import Loader
from zoo.settings import Settings

WINDOW = 0.6  # seconds of the tiny Whisper's window


@dataclass(frozen=True)
class Hearing:
    """A running service.

    It has ``ears``, a recogniser of English that was never trained; ``tongues``, the same for English and German; and
    the classifier ``bins``, which tells deep sounds from shrill ones.
    """

    url: str
    home: Path
    loader: Loader

    def client(self) -> httpx.Client:
        """A client without retries and without a proxy."""
        return httpx.Client(base_url=self.url, trust_env=False, timeout=60)


@contextmanager
def hearing(imports: Imports, settings: Settings, checkpoint: Path) -> Iterator[Hearing]:
    """Import ``ears`` from a checkpoint that is written to the folder given, and serve it."""
    imports.bring(settings.home, "ears", write_ears(checkpoint), task="automatic-speech-recognition")
    _publish_linguist(settings)
    _publish_classifier(settings)
    app = build(settings)
    with serving(app, settings) as (_, port):
        yield Hearing(f"http://127.0.0.1:{port}", settings.home, app.state.serving.loader)


def noise(seconds: float = 0.5, *, kind: str = "WAV", rate: int = 16_000) -> bytes:
    """A file of noise, the same each time."""
    return sound_of(np.random.default_rng(1).normal(0, 0.1, int(rate * seconds)).astype(np.float32), kind, rate=rate)


def _publish_linguist(settings: Settings) -> None:
    store = Store(settings.home)
    entry, folder = store.entry("ears", 1), store.folder("ears", 1)
    tokens = entry.options["whisper"] | {"multilingual": True, "languages": {"en": 258, "de": 263}}
    with store.staging() as staged:
        for file in entry.files:
            (staged / file.path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(folder / file.path, staged / file.path)
        store.publish(
            staged, entry.model_copy(update={"name": "tongues", "options": {"whisper": tokens}, "lineage": {}})
        )


def _publish_classifier(settings: Settings) -> None:
    store = Store(settings.home)
    with store.staging() as staged:
        entry = predictor(staged, [[1, 0, 0, 0], [0, 0, 0, 1]], labels=("deep", "shrill")).entry
        store.publish(staged, entry)
