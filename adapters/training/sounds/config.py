"""How a checkpoint prepares sounds, from transformers' ``preprocessor_config.json``; nothing of it is run."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from adapters.training.checkpoint import read_json
from adapters.training.layouts.parts import unfit
from zoo.errors import Unsupported
from zoo.tasks.processors.hearing import Hearing

RATE = 16_000
WAVEFORM_SECONDS = 60  # attention over 3,000 vectors; transformers has no bound


def read_hearing(checkpoint: Path, config: Any) -> Hearing:
    """What a model of the types ``whisper``, ``wav2vec2``, ``hubert`` or ``audio-spectrogram-transformer`` hears.

    ``config`` is transformers' configuration. Raises ``InvalidInput`` (``invalid_checkpoint``) for values that make no
    sense or contradict it, ``Unsupported`` for other types and for preparations that this release does not have.
    """
    reader = _READERS.get(str(config.model_type))
    if reader is None:
        message = f"Sound models of the type {str(config.model_type)[:64]} are not imported."
        raise Unsupported(message, code="unsupported_architecture")
    written = read_json(checkpoint / "preprocessor_config.json")
    if not written:  # a processor of several parts is written as one
        written = read_json(checkpoint / "processor_config.json").get("feature_extractor") or {}
    if not isinstance(written, dict) or not written:
        raise unfit("lacks a preprocessor_config.json, which says how sounds are prepared")
    if _whole(written, "sampling_rate", RATE) != RATE:
        message = f"The checkpoint hears {written['sampling_rate']} samples a second; {RATE} are supported."
        raise Unsupported(message, code="unsupported_preprocessing")
    return reader(written, config)


def whisper_hearing(bins: int, positions: int, *, padded: bool) -> Hearing:
    """What a Whisper encoder hears: ``padded`` to its whole window, or up to that at the clip's own length."""
    frames = 2 * positions
    return Hearing("log_mel", seconds=frames / 100, bins=bins, frames=frames if padded else 0)


def _whisper(written: dict[str, Any], config: Any) -> Hearing:
    if (_whole(written, "n_fft", 400), _whole(written, "hop_length", 160)) != (400, 160):
        message = "The checkpoint's spectra have other windows than 400 samples each 160."
        raise Unsupported(message, code="unsupported_preprocessing")
    frames = _whole(written, "chunk_length", 30) * RATE // 160
    bins = _whole(written, "feature_size", 80)
    if (frames, bins) != (2 * config.max_source_positions, config.num_mel_bins):
        raise unfit(f"prepares spectra of {bins} x {frames}, which its own network does not take")
    return whisper_hearing(bins, config.max_source_positions, padded=True)


def _filter_bank(written: dict[str, Any], config: Any) -> Hearing:
    bins, frames = _whole(written, "num_mel_bins", 128), _whole(written, "max_length", 1024)
    if (frames, bins) != (config.max_length, config.num_mel_bins):
        raise unfit(f"prepares spectra of {frames} x {bins}, which its own network does not take")
    mean, std = 0.0, 0.5
    if written.get("do_normalize", True):
        mean, std = _number(written, "mean", -4.2677393), _number(written, "std", 4.5689974)
        if std <= 0:
            raise unfit("has a std in preprocessor_config.json that nothing can be divided by")
    seconds = (400 + (frames - 1) * 160) / RATE
    return Hearing("filter_bank", seconds=seconds, bins=bins, frames=frames, mean=mean, std=std)


def _waveform(written: dict[str, Any], config: Any) -> Hearing:
    standardise = written.get("do_normalize", True)
    if not isinstance(standardise, bool):
        raise unfit("has a do_normalize in preprocessor_config.json that is neither true nor false")
    return Hearing("waveform", seconds=WAVEFORM_SECONDS, standardise=standardise)


def _whole(written: dict[str, Any], key: str, default: int) -> int:
    value = written.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= 1_000_000:
        raise unfit(f"has a {key} in preprocessor_config.json that makes no sense")
    return value


def _number(written: dict[str, Any], key: str, default: float) -> float:
    value = written.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise unfit(f"has a {key} in preprocessor_config.json that makes no sense")
    return float(value)


_READERS = {
    "whisper": _whisper,
    "wav2vec2": _waveform,
    "hubert": _waveform,
    "audio-spectrogram-transformer": _filter_bank,
}
