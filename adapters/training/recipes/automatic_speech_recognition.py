"""automatic-speech-recognition: imports Whisper, and recognisers with CTC; adapts both to clips with transcripts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from adapters.datasets import Example
from adapters.jobs import Hyperparameters
from adapters.training.checkpoint import ensure_tokenizer
from adapters.training.layouts.ctc import is_ctc, read_ctc
from adapters.training.layouts.whisper import read_whisper, special_tokens
from adapters.training.recipe import Servable
from adapters.training.sounds.body import bare_body
from adapters.training.speech.ctc import CtcAdaptation
from adapters.training.speech.recognition import SpeechRecognition
from adapters.training.speech.whisper import WhisperAdaptation
from adapters.training.speech.whisper_servable import whisper_servable
from zoo.catalogue.entry import ModelEntry
from zoo.errors import Unsupported


def load(checkpoint: Path) -> Servable:
    """Raises ``InvalidInput`` for a checkpoint that contradicts itself, ``Unsupported`` for other architectures."""
    if is_ctc(checkpoint):
        return read_ctc(checkpoint)
    whisper = read_whisper(checkpoint)
    ensure_tokenizer(checkpoint)
    config = whisper.model.config
    options = {
        **special_tokens(checkpoint, config.vocab_size),
        "bins": config.num_mel_bins,
        "places": config.max_source_positions,
        "layers": config.decoder_layers,
        "heads": config.decoder_attention_heads,
        "width": config.d_model // config.decoder_attention_heads,
        "most_tokens": config.max_target_positions,
        "suppressed": list(whisper.suppressed),
        "suppressed_first": list(whisper.suppressed_first),
    }
    files = {"tokenizer.json": checkpoint / "tokenizer.json"}
    servable = whisper_servable(whisper, options={"whisper": options}, files=files)
    return replace(servable, bare=partial(bare_body, checkpoint))


def adapt(
    checkpoint: Path, base: ModelEntry, examples: Sequence[Example], *, labels: tuple[str, ...], asked: Hyperparameters
) -> SpeechRecognition:
    """Any imported recogniser, with its own words or letters; ``Unsupported`` (``not_adaptable``) for other models."""
    if base.task != "automatic-speech-recognition":
        message = f"{base.name} does {base.task}: start from a recogniser, such as whisper-tiny-en."
        raise Unsupported(message, code="not_adaptable", param="model")
    return CtcAdaptation(checkpoint, base) if is_ctc(checkpoint) else WhisperAdaptation(checkpoint, base, examples)
