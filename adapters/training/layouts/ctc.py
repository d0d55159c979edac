"""Recognisers of transformers that write a letter, or nothing, every 20 ms (CTC): wav2vec2 and HuBERT."""

from __future__ import annotations

from functools import partial
from math import prod
from pathlib import Path
from typing import Any

from transformers import AutoModelForCTC

from adapters.training import checkpoint as checkpoints
from adapters.training.encoder import load_weights
from adapters.training.layouts.parts import unfit
from adapters.training.recipe import Servable
from adapters.training.sounds.body import (
    INPUT,
    WAVEFORMS,
    bare_body,
    example_sounds,
    fold_parametrisations,
    least_samples,
)
from adapters.training.sounds.classifier import SoundClassifier
from adapters.training.sounds.config import read_hearing
from zoo.errors import Unsupported
from zoo.tasks.decoding.recogniser import MOST_SECONDS

_KINDS = ("wav2vec2", "hubert")
_MOST_TOKENS = 100_000


def is_ctc(checkpoint: Path) -> bool:
    """Whether ``config.json`` names a class for CTC."""
    names = checkpoints.read_json(checkpoint / "config.json").get("architectures") or ()
    return any(str(name).endswith("ForCTC") for name in names)


def read_ctc(checkpoint: Path) -> Servable:
    """A network with its letters, from safetensors, ``vocab.json`` and ``preprocessor_config.json``.

    Raises ``Unsupported`` for other networks, ``InvalidInput`` (``invalid_checkpoint``) for files that contradict each
    other.
    """
    config = checkpoints.load_config(checkpoint)
    if config.model_type not in _KINDS:
        message = f"CTC models of the type {str(config.model_type)[:64]} are not imported; {', '.join(_KINDS)} are."
        raise Unsupported(message, code="unsupported_architecture")
    if getattr(config, "add_adapter", False):
        raise Unsupported("The checkpoint has an adapter behind its layers.", code="unsupported_architecture")
    hearing = read_hearing(checkpoint, config)
    letters = read_letters(checkpoint, config.vocab_size)
    model = load_weights(AutoModelForCTC, checkpoint).eval().requires_grad_(False)
    fold_parametrisations(model)
    return Servable(
        module=SoundClassifier(model, bins_first=False).eval(),
        inputs=(INPUT,),
        outputs=("logits",),
        example=lambda rows, size: example_sounds(hearing, rows, size),
        sizes=WAVEFORMS,
        axes={0: "batch", 1: "samples"},
        bounds={"samples": round(hearing.seconds * hearing.rate)},
        least={"samples": least_samples(config)},
        architecture=str(config.model_type),
        limits={"seconds": round(MOST_SECONDS)},
        options={"ctc": {**letters, "step": prod(config.conv_stride)}, "hearing": hearing.as_dict()},
        bare=partial(bare_body, checkpoint),
    )


def read_letters(checkpoint: Path, count: int) -> dict[str, Any]:
    """What each of ``count`` classes is written as, and which of them is none, as the tokenizer's files say it."""
    settings = checkpoints.read_json(checkpoint / "tokenizer_config.json")
    vocabulary = checkpoints.read_json(checkpoint / "vocab.json")
    if not vocabulary:
        raise unfit("has no vocab.json, so nothing says what its classes are written as")
    if any(isinstance(value, dict) for value in vocabulary.values()):
        vocabulary = vocabulary.get(str(settings.get("target_lang"))) or {}
        if not isinstance(vocabulary, dict) or not vocabulary:
            raise unfit("has a vocab.json of several languages, and a tokenizer_config.json that names none of them")
    if not 0 < count <= _MOST_TOKENS or not all(_is_place(place) for place in vocabulary.values()):
        raise unfit("has a vocab.json whose values are no places of classes")
    special = checkpoints.read_json(checkpoint / "special_tokens_map.json")

    def named(name: str, default: str) -> str:
        value = settings.get(name, special.get(name, default))
        return str(value.get("content", default) if isinstance(value, dict) else value)

    unknown, blank = named("unk_token", "<unk>"), named("pad_token", "<pad>")
    written = {int(place): str(letter) for letter, place in vocabulary.items()}
    known = {**_added(checkpoint, settings), **written}
    if blank not in known.values():
        raise unfit(f"names {blank[:40]!r} as its pad_token, which is in no vocabulary")
    return {
        "letters": [known.get(place, unknown) for place in range(count)],
        "blank": blank,
        "delimiter": named("word_delimiter_token", "|"),
        "space": named("replace_word_delimiter_char", " "),
        "lower": bool(settings.get("do_lower_case", False)),
    }


def _added(checkpoint: Path, settings: dict[str, Any]) -> dict[int, str]:
    """Tokens that stand beside the vocabulary, in the form of older and of newer releases."""
    added = checkpoints.read_json(checkpoint / "added_tokens.json")
    found = {place: str(letter) for letter, place in added.items() if _is_place(place)}
    decoder = settings.get("added_tokens_decoder")
    for place, token in (decoder if isinstance(decoder, dict) else {}).items():
        if str(place).isdecimal() and isinstance(token, dict):
            found[int(place)] = str(token.get("content"))
    return found


def _is_place(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2 * _MOST_TOKENS
