"""What ready-made text-to-text networks have in common: ``encoder_model`` and ``decoder_model_merged`` of optimum."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.catalogue.hub_layout import architectures, max_tokens, read_json, unfit
from zoo.catalogue.onnx_file import OnnxFile
from zoo.errors import Unsupported
from zoo.tasks.decoding.merged_decoder import BRANCH, LOGITS, past_names, present_names
from zoo.tasks.decoding.text_settings import TextSettings
from zoo.tasks.ready_made.description import Description, answers_with, main_graph
from zoo.tasks.ready_made.search_rules import MOST_WITHOUT_PLACES, directions_of, generation_of, one_token
from zoo.tasks.ready_made.vocabulary import vocabulary_of

KINDS = ("marian", "bart", "m2m_100", "t5")
DECODER = "decoder.onnx"
_INPUTS = ("input_ids", "encoder_hidden_states", "encoder_attention_mask", BRANCH)


def text_to_text(checkpoint: Path, graphs: Mapping[str, OnnxFile], tasks: re.Pattern[str]) -> Description:
    """``tasks``: what those of a network that has several are called in its ``config.json``.

    Raises ``InvalidInput`` for files that are missing or contradict each other, ``Unsupported`` for other networks.
    """
    kind, _ = architectures(checkpoint)
    if kind not in KINDS:
        message = f"Text-to-text models of the type {kind[:64]} are not imported; {', '.join(sorted(KINDS))} are."
        raise Unsupported(message, code="unsupported_architecture")
    answers = answers_with(main_graph(graphs, ("input_ids", "attention_mask")), "last_hidden_state")
    config = read_json(checkpoint / "config.json")
    search = read_json(checkpoint / "generation_config.json") or config
    layers = _size(config, "decoder_layers", "num_decoder_layers", "num_layers")
    heads = _size(config, "decoder_attention_heads", "num_heads")
    _check_decoder(graphs, layers)
    places = config.get("max_position_embeddings") or MOST_WITHOUT_PLACES
    vocabulary = vocabulary_of(checkpoint)
    settings = TextSettings(
        layers=layers,
        heads=heads,
        width=config.get("d_kv") or _size(config, "d_model") // heads,
        vocabulary=_size(config, "vocab_size"),
        most_tokens=places,
        start=one_token(_of(search, config, "decoder_start_token_id"), "decoder_start_token_id"),
        end=one_token(_of(search, config, "eos_token_id"), "eos_token_id"),
        pad=one_token(config.get("pad_token_id"), "pad_token_id"),
        directions=directions_of(checkpoint, tasks),
        generation=generation_of(search),
        merged=True,
        **vocabulary.settings(),
    )
    return Description(
        limits={"max_tokens": min(places, max_tokens(checkpoint))},
        options={"text_to_text": settings.model_dump(mode="json")},
        answers=answers,
        files=vocabulary.files,
    )


def _size(config: Mapping[str, Any], *names: str) -> int:
    """The first of these that is there."""
    found = next((config[name] for name in names if config.get(name) is not None), None)
    if not isinstance(found, int) or found < 1:
        raise unfit(f"has a config.json without {names[0]}")
    return found


def _of(search: Mapping[str, Any], config: Mapping[str, Any], name: str) -> Any:
    return config.get(name) if search.get(name) is None else search[name]


def _check_decoder(graphs: Mapping[str, OnnxFile], layers: int) -> None:
    """Raise ``Unsupported`` for a decoder with other inputs or outputs than optimum's merged one."""
    decoder = graphs.get(DECODER)
    if decoder is None:
        raise unfit("has no decoder_model_merged.onnx beside its encoder_model.onnx")
    given, needed = {*_INPUTS, *past_names(layers)}, {"input_ids", BRANCH, *past_names(layers)}
    names = {value.name for value in decoder.inputs}
    if other := sorted(names - given) or sorted(needed - names):
        message = f"The decoder is not in optimum's merged form of {layers} layers: look at its input {other[0][:64]}."
        raise Unsupported(message, code="unsupported_graph")
    answered = {value.name for value in decoder.outputs}
    if lacking := sorted({LOGITS, *present_names(layers)} - answered):
        raise Unsupported(f"The decoder does not answer {lacking[0]}: export it merged.", code="unsupported_graph")
