"""Both graphs of a tiny Whisper in torch, called as sessions are: no export, and transformers' weights at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from transformers import GenerationConfig, WhisperForConditionalGeneration

from adapters.training.architectures.whisper_graphs import WhisperDecoder, WhisperEncoder
from tests.tiny_whisper import ALIGNMENT, SPEAKING, SUPPRESSED, SUPPRESSED_FIRST, tiny_whisper
from zoo.tasks.decoding.cached_decoder import cache_names
from zoo.tasks.decoding.whisper_tokens import WhisperTokens
from zoo.tasks.task import Array, Run

END, START, ENGLISH, TRANSLATE, TRANSCRIBE, PREVIOUS, NO_SPEECH, GERMAN, NO_TIMES = range(256, 265)
FIRST = [*SUPPRESSED_FIRST, END]  # never the first token
PLACES = 30


class TorchGraphs:
    """As ``Runs``: the encoder when it is called, the decoder by its name."""

    def __init__(self, model: WhisperForConditionalGeneration) -> None:
        self._encoder = WhisperEncoder(model.model)
        heads = tuple((layer, head) for layer, head in ALIGNMENT)
        self._decoder = WhisperDecoder(model.model, model.proj_out, heads)

    def __call__(self, feeds: Mapping[str, Array], outputs: Sequence[str] | None = None) -> list[Array]:
        return [values.numpy() for values in self._encoder(**_tensors(feeds))]

    def __getitem__(self, graph: str) -> Run:
        assert graph == "decoder"
        return self._decode

    def _decode(self, feeds: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        logits, alignment, *cache = (values.numpy() for values in self._decoder(**_tensors(feeds)))
        new = {f"new_{name}": values for name, values in zip(cache_names(2), cache, strict=True)}
        answers = {"logits": logits, "alignment": alignment, **new}
        return [answers[name] for name in outputs]

    def heard(self, features: torch.Tensor) -> dict[str, Array]:
        """What the decoder is given of whole windows (rows, bins, frames)."""
        rows = len(features)
        order, weights = np.tile(np.arange(PLACES), (rows, 1)), np.zeros((rows, PLACES), np.float32)
        cross = self({"features": features.numpy(), "sources": order, "places": order, "weights": weights})
        return {"weights": weights, **{f"cross_{name}": part for name, part in zip(cache_names(2), cross, strict=True)}}


def torch_whisper(seed: int, *, sure: float) -> WhisperForConditionalGeneration:
    """The larger ``sure``, the sooner one text is far likelier than the others; most come to an end."""
    model = tiny_whisper(seed=seed, vocabulary=SPEAKING)
    norm = model.model.decoder.layer_norm
    norm.weight.mul_(sure)
    model.model.decoder.embed_tokens.weight[END] += 0.9 * sure * norm.bias / norm.bias.square().sum()
    return model


def never(times: bool) -> list[int]:
    """The tokens that are not written."""
    return [*SUPPRESSED, *range(START, NO_TIMES + 1 if times else SPEAKING)]


def rules_for_transformers(*, times: bool, multilingual: bool = False) -> GenerationConfig:
    """The same rules as transformers reads them."""
    languages = {
        "lang_to_id": {"<|en|>": ENGLISH, "<|de|>": GERMAN},
        "task_to_id": {"transcribe": TRANSCRIBE, "translate": TRANSLATE},
    }
    return GenerationConfig(
        eos_token_id=END,
        pad_token_id=END,
        bos_token_id=END,
        decoder_start_token_id=START,
        no_timestamps_token_id=NO_TIMES,
        prev_sot_token_id=PREVIOUS,
        suppress_tokens=never(times),
        begin_suppress_tokens=FIRST,
        max_initial_timestamp_index=50,
        alignment_heads=ALIGNMENT,
        is_multilingual=multilingual,
        **(languages if multilingual else {}),
    )


def tokens_for_us(*, multilingual: bool = False) -> WhisperTokens:
    """The same rules as a manifest has them."""
    return WhisperTokens(
        bins=8,
        places=PLACES,
        layers=2,
        heads=2,
        width=8,
        most_tokens=20,
        start=START,
        end=END,
        no_times=NO_TIMES,
        no_speech=NO_SPEECH,
        previous=PREVIOUS,
        transcribe=TRANSCRIBE,
        translate=TRANSLATE,
        languages={"en": ENGLISH, "de": GERMAN},
        multilingual=multilingual,
        suppressed=tuple(SUPPRESSED),
        suppressed_first=tuple(FIRST),
    )


def _tensors(feeds: Mapping[str, Array]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(np.asarray(values)) for name, values in feeds.items()}
