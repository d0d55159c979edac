"""Whisper as it is served: an encoder and a decoder graph, and the sizes that they are tried with."""

from __future__ import annotations

from pathlib import Path

import torch

from adapters.training.architectures.stacks import cache_names
from adapters.training.architectures.whisper_graphs import WhisperDecoder, WhisperEncoder
from adapters.training.layouts.whisper import WhisperCheckpoint
from adapters.training.recipe import Batch, Servable, Size


def whisper_servable(whisper: WhisperCheckpoint, *, options: dict[str, object], files: dict[str, Path]) -> Servable:
    """The main graph, and the decoder beside it."""
    config = whisper.model.config
    places = config.max_source_positions

    def example(rows: int, size: Size) -> Batch:
        """``size``: positions that are heard, and all."""
        heard, positions = size
        order = torch.arange(positions).expand(rows, -1)
        return {
            "features": torch.randn(rows, config.num_mel_bins, 2 * heard, generator=_drawn(rows)),
            "sources": order.clamp(max=heard - 1),
            "places": order,
            "weights": torch.zeros(rows, positions),
        }

    return Servable(
        module=WhisperEncoder(whisper.model.model).eval(),
        inputs=("features", "sources", "places", "weights"),
        outputs=tuple(f"cross_{name}" for name in cache_names(config.decoder_layers)),
        example=example,
        # The gate asks for the fourth with one row: attention over a whole window takes 9 MB a head, several times.
        sizes=((places // 4, places // 3), (places // 2, places // 2), (places // 6, places // 5), (places, places)),
        axes={0: "batch", 1: "positions"},
        axes_of={"features": {0: "batch", 2: "frames"}},
        bounds={"positions": places, "frames": 2 * places},
        architecture="whisper",
        limits={"positions": places, "tokens": config.max_target_positions},
        options=options,
        files=files,
        further={"decoder": _decoder(whisper)},
    )


def _decoder(whisper: WhisperCheckpoint) -> Servable:
    """Some tokens more of every hypothesis of every clip."""
    config = whisper.model.config
    names, heads = cache_names(config.decoder_layers), config.decoder_attention_heads
    width, most = config.d_model // heads, config.max_target_positions

    def example(rows: int, size: Size) -> Batch:
        """``size``: hypotheses, new tokens, those in the cache, positions of the encoder."""
        group, new, past, positions = size
        drawn = _drawn(rows)
        made: Batch = {
            "tokens": torch.randint(config.vocab_size, (rows, group, new), generator=drawn),
            "at": torch.tensor([new - 1, 0]) if new > 1 else torch.tensor([0]),
            "weights": torch.zeros(rows, positions),
        }
        for name in names:
            made[f"past_{name}"] = torch.randn(rows, group, heads, past, width, generator=drawn)
        for name in names:
            shape = (width, positions) if name.startswith("key") else (positions, width)
            made[f"cross_{name}"] = torch.randn(rows, heads, *shape, generator=drawn)
        return made

    axes_of = {
        "tokens": {0: "batch", 1: "group", 2: "new"},
        "at": {0: "wanted"},
        "weights": {0: "batch", 1: "positions"},
        **{f"past_{name}": {0: "batch", 1: "group", 3: "past"} for name in names},
        **{f"cross_{name}": {0: "batch", 3 if name.startswith("key") else 2: "positions"} for name in names},
    }
    places = config.max_source_positions
    return Servable(
        module=WhisperDecoder(whisper.model.model, whisper.model.proj_out, whisper.alignment_heads).eval(),
        inputs=tuple(axes_of),
        outputs=("logits", "alignment", *(f"new_{name}" for name in names)),
        example=example,
        # The third comes with five rows, and caches for them are kept until the graph is compared: of half the places
        # and tokens they would be as large as Whisper-base itself.
        sizes=((4, 5, 6, places // 3), (1, 4, 0, places), (5, 1, most // 8, places // 8), (1, 1, most - 1, places)),
        axes={},
        axes_of=axes_of,
        bounds={"new": most, "past": most, "positions": places},
        architecture="whisper",
    )


def _drawn(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
