"""A text-to-text model as it is served: an encoder and a decoder graph, and the sizes that they are tried with."""

from __future__ import annotations

from adapters.training.architectures.decoder_graph import DecoderGraph
from adapters.training.architectures.encoder_graph import EncoderGraph
from adapters.training.architectures.text_stacks import STACKS, Projection
from adapters.training.decoder_servable import DecoderShape, decoder_servable
from adapters.training.encoder import example_batch
from adapters.training.layouts.text_to_text import TextToTextCheckpoint
from adapters.training.recipe import Servable


def text_servable(checkpoint: TextToTextCheckpoint) -> Servable:
    """The main graph, and the decoder beside it."""
    model, settings, most = checkpoint.model, checkpoint.settings, checkpoint.most
    kind = str(model.config.model_type)
    encoder, decoder = STACKS[kind](model.get_encoder()), STACKS[kind](model.get_decoder())
    inputs = ("input_ids", "attention_mask")
    shape = DecoderShape(
        settings.vocabulary, settings.layers, settings.heads, settings.width, settings.most_tokens, most
    )
    # The third size comes with five rows and is kept until the graph is compared; the last of both sides with one row.
    written = settings.most_tokens
    sizes = ((4, 5, 6, most // 3), (1, 4, 0, most // 2), (5, 1, written // 16, most // 16), (1, 1, written - 1, most))
    return Servable(
        module=EncoderGraph(encoder, decoder).eval(),
        inputs=inputs,
        outputs=tuple(f"cross_{name}" for name in shape.names),
        example=lambda rows, size: example_batch(settings.vocabulary, inputs, rows, size),
        sizes=tuple((min(length, most),) for length in (17, 1, 5, most)),
        axes={0: "batch", 1: "length"},
        bounds={"length": most},
        architecture=kind,
        limits={"max_tokens": most},
        options={"text_to_text": settings.model_dump(mode="json")},
        files=checkpoint.files,
        further={
            "decoder": decoder_servable(DecoderGraph(decoder, Projection(model)), shape, sizes=sizes, architecture=kind)
        },
    )
