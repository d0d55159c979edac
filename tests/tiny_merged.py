"""A text-to-text network as optimum leaves it: an encoder, and a decoder of two branches that share their outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, compose, helper, numpy_helper
from torch import Tensor, nn
from transformers import AutoModelForSeq2SeqLM

from adapters.training.architectures.decoder_graph import DecoderGraph
from adapters.training.architectures.encoder_graph import EncoderGraph
from adapters.training.architectures.text_stacks import STACKS, Projection
from adapters.training.export import export
from adapters.training.recipe import Batch, Servable, Size

OPSET = 20


class Hidden(nn.Module):
    """The encoder's own answer."""

    def __init__(self, graph: EncoderGraph) -> None:
        super().__init__()
        self.graph = graph

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.graph.hidden(input_ids, attention_mask)


class FirstRun(nn.Module):
    """Without a past: keys and values of the encoder's positions are made here."""

    def __init__(self, graph: DecoderGraph, stack: Any) -> None:
        super().__init__()
        self.graph = graph
        self._listening = [stack.listens(layer)[0] for layer in stack.layers]
        attention = self._listening[0]
        self._head = attention.heads, attention.module.k_proj.out_features // attention.heads

    def forward(self, input_ids: Tensor, encoder_hidden_states: Tensor, encoder_attention_mask: Tensor) -> Any:
        (heads, width), rows = self._head, input_ids.shape[0]
        held: dict[str, Tensor] = {}
        cross: list[Tensor] = []
        for place, attention in enumerate(self._listening):
            key, value = attention.key(encoder_hidden_states), attention.value(encoder_hidden_states)
            cross += [key, value]
            held |= {f"cross_key_{place}": key.transpose(2, 3), f"cross_value_{place}": value}
            nothing = torch.zeros(rows, 1, heads, 0, width)
            held |= {f"past_key_{place}": nothing, f"past_value_{place}": nothing}
        return *_decoded(self.graph, input_ids, encoder_attention_mask, held), *cross


class LaterRun(nn.Module):
    """With what was remembered."""

    def __init__(self, graph: DecoderGraph, layers: int) -> None:
        super().__init__()
        self.graph = graph
        self._layers = layers

    def forward(self, input_ids: Tensor, encoder_attention_mask: Tensor, **past: Tensor) -> Any:
        held: dict[str, Tensor] = {}
        for layer in range(self._layers):
            for kind in ("key", "value"):
                own, cross = (past[f"past_key_values.{layer}.{side}.{kind}"] for side in ("decoder", "encoder"))
                held[f"past_{kind}_{layer}"] = own.unsqueeze(1)
                held[f"cross_{kind}_{layer}"] = cross.transpose(2, 3) if kind == "key" else cross
        return _decoded(self.graph, input_ids, encoder_attention_mask, held)


def _decoded(graph: DecoderGraph, input_ids: Tensor, mask: Tensor, held: dict[str, Tensor]) -> tuple[Tensor, ...]:
    """Logits (rows, new, vocabulary) and the cache, without an axis for hypotheses."""
    weights = torch.where(mask > 0, 0.0, -1e9)
    logits, *cache = graph(input_ids.unsqueeze(1), torch.arange(input_ids.shape[1]), weights, **held)
    return logits.squeeze(1), *(one.squeeze(1) for one in cache)


def write_merged(folder: Path) -> Path:
    """``onnx/encoder_model.onnx`` and ``onnx/decoder_model_merged.onnx`` beside the weights in a folder."""
    model: Any = AutoModelForSeq2SeqLM.from_pretrained(folder).eval().requires_grad_(False)
    stacks, config = STACKS[model.config.model_type], model.config
    encoder, decoder = stacks(model.get_encoder()), stacks(model.get_decoder())
    graph, layers, heads = DecoderGraph(decoder, Projection(model)), config.decoder_layers, config.num_attention_heads
    head = (heads, config.d_model // heads)
    (folder / "onnx").mkdir()
    texts = {"input_ids": {0: "rows", 1: "new"}}
    heard = {"encoder_hidden_states": {0: "rows", 1: "heard"}, "encoder_attention_mask": {0: "rows", 1: "heard"}}
    masks = {"attention_mask": {0: "rows", 1: "new"}}
    _export(
        Hidden(EncoderGraph(encoder, decoder)), {**texts, **masks}, config, head, folder / "onnx/encoder_model.onnx"
    )
    own, cross = ([f"past_key_values.{name}" for name in _names(layers, side)] for side in ("decoder", "encoder"))
    past = {**dict.fromkeys(own, {0: "rows", 2: "past"}), **dict.fromkeys(cross, {0: "rows", 2: "heard"})}
    first, later = (folder / "onnx" / f"{name}.onnx" for name in ("first", "later"))
    _export(FirstRun(graph, decoder), {**texts, **heard}, config, head, first)
    mask = {"encoder_attention_mask": heard["encoder_attention_mask"]}
    _export(LaterRun(graph, layers), {**texts, **mask, **past}, config, head, later)
    merged = _merged(onnx.load(first), onnx.load(later), layers, {**texts, **heard, **past}, config.d_model, head)
    onnx.save(merged, folder / "onnx" / "decoder_model_merged.onnx")
    first.unlink()
    later.unlink()
    return folder


def _names(layers: int, side: str) -> list[str]:
    return [f"{layer}.{side}.{kind}" for layer in range(layers) for kind in ("key", "value")]


def _export(module: nn.Module, axes: dict[str, dict[int, str]], config: Any, head: tuple[int, int], file: Path) -> None:
    def example(rows: int, size: Size) -> Batch:
        sizes = {"rows": rows, "new": 4, "heard": 6, "past": 5}
        made: Batch = {}
        for name, free in axes.items():
            shape = [sizes[axis] for axis in free.values()]
            if name == "input_ids":
                made[name] = torch.randint(4, config.vocab_size, shape)
            elif name.endswith("mask"):
                made[name] = torch.ones(shape, dtype=torch.long)
            elif name == "encoder_hidden_states":
                made[name] = torch.randn(*shape, config.d_model)
            else:
                made[name] = torch.randn(shape[0], head[0], shape[1], head[1])
        return made

    answers = module(**example(2, ()))
    count = len(answers) if isinstance(answers, tuple) else 1
    outputs = ("last_hidden_state",) if count == 1 else tuple(f"answer_{place}" for place in range(count))
    export(Servable(module.eval(), tuple(axes), outputs, example, ((),), {}, "", axes_of=axes), file)


def _merged(
    first: onnx.ModelProto,
    later: onnx.ModelProto,
    layers: int,
    axes: dict[str, dict[int, str]],
    width: int,
    head: tuple[int, int],
) -> onnx.ModelProto:
    """One node that runs either graph; the later one says nothing new of the encoder."""
    inputs = []
    for name, free in axes.items():
        kind = TensorProto.INT64 if name in ("input_ids", "encoder_attention_mask") else TensorProto.FLOAT
        shape: list[Any] = list(free.values())
        if name == "encoder_hidden_states":
            shape.append(width)
        elif name.startswith("past"):
            shape = [shape[0], head[0], shape[1], head[1]]
        inputs.append(helper.make_tensor_value_info(name, kind, shape))
    inputs.append(helper.make_tensor_value_info("use_cache_branch", TensorProto.BOOL, [1]))
    names = ["logits", *(f"present.{name}" for side in ("decoder", "encoder") for name in _names(layers, side))]
    branches = [_branch(model, prefix) for model, prefix in ((later, "later/"), (first, "first/"))]
    nothing = numpy_helper.from_array(np.zeros((0, head[0], 1, head[1]), dtype=np.float32))
    while len(branches[0].output) < len(branches[1].output):
        name = f"later/nothing_{len(branches[0].output)}"
        branches[0].node.append(helper.make_node("Constant", [], [name], value=nothing))
        branches[0].output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    node = helper.make_node("If", ["use_cache_branch"], names, then_branch=branches[0], else_branch=branches[1])
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names]
    graph = helper.make_graph([node], "merged", inputs, outputs)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)


def _branch(model: onnx.ModelProto, prefix: str) -> onnx.GraphProto:
    """A graph without inputs of its own: it reads those of the whole by their names."""
    graph = compose.add_prefix(model, prefix, rename_inputs=False).graph
    del graph.input[:]
    for output in graph.output:
        output.type.tensor_type.ClearField("shape")
    return graph
