"""A service with a Whisper of a few thousand weights, imported as users import theirs, and sounds for it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import soundfile

from adapters.jobs import JobKind, JobSpec
from adapters.training import importing
from api.app import build
from tests.adapters.training.quiet_context import context_for
from tests.api.live import serving
from tests.tiny_whisper import SPEAKING, tiny_whisper, write_ctranslate2, write_tokenizer
from zoo.engine.loader import Loader
from zoo.settings import Settings

WINDOW = 0.6  # seconds of the tiny Whisper's window


@dataclass(frozen=True)
class Hearing:
    """A running service that has ``ears``, a recogniser of speech that was never trained."""

    url: str
    home: Path
    loader: Loader

    def client(self) -> httpx.Client:
        """A client without retries and without a proxy."""
        return httpx.Client(base_url=self.url, trust_env=False, timeout=60)


@contextmanager
def hearing(settings: Settings, checkpoint: Path) -> Iterator[Hearing]:
    """Import ``ears`` from a checkpoint that is written to the folder given, and serve it."""
    write_tokenizer(checkpoint)
    write_ctranslate2(checkpoint, tiny_whisper(vocabulary=SPEAKING))
    source = {"kind": "folder", "path": str(checkpoint)}
    spec = JobSpec(kind=JobKind.IMPORT, model="ears", source=source, task="automatic-speech-recognition")
    importing.run(context_for(settings.home, spec, job="import-ears"), settings)
    app = build(settings)
    with serving(app, settings) as (_, port):
        yield Hearing(f"http://127.0.0.1:{port}", settings.home, app.state.services.loader)


def sound(seconds: float = 0.5, *, rate: int = 16_000, form: str = "WAV", seed: int = 1) -> bytes:
    """Noise in a file of libsndfile's format ``form``."""
    samples = np.random.default_rng(seed).normal(0, 0.1, int(rate * seconds)).astype(np.float32)
    written = io.BytesIO()
    soundfile.write(written, samples, rate, format=form)
    return written.getvalue()
