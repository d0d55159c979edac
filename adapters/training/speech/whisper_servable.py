"""Whisper as it is served: an encoder and a decoder graph, and the sizes that they are tried with."""

from __future__ import annotations

from pathlib import Path

import torch

from adapters.training.architectures.whisper_graphs import WhisperDecoder, WhisperEncoder
from adapters.training.decoder_servable import DecoderShape, decoder_servable
from adapters.training.layouts.whisper import WhisperCheckpoint
from adapters.training.recipe import Batch, Servable, Size
from zoo.tasks.decoding.cached_decoder import cache_names


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
    heads, most, places = config.decoder_attention_heads, config.max_target_positions, config.max_source_positions
    # The third size comes with five rows, whose caches are read back beside the loaded graph: of half the places and
    # tokens they would be as large as Whisper-base itself.
    sizes = ((4, 5, 6, places // 3), (1, 4, 0, places // 4), (5, 1, most // 16, places // 16), (1, 1, most - 1, places))
    shape = DecoderShape(config.vocab_size, config.decoder_layers, heads, config.d_model // heads, most, places)
    graph = WhisperDecoder(whisper.model.model, whisper.model.proj_out, whisper.alignment_heads)
    return decoder_servable(graph, shape, sizes=sizes, architecture="whisper", watched=True)


def _drawn(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
