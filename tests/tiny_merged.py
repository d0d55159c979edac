"""A text-to-text network as optimum leaves it: an encoder, and a decoder of two branches that share their outputs."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, compose, helper, numpy_helper
from torch import Tensor, nn
from transformers import AutoModelForSeq2SeqLM

from adapters.training.architectures.encoder_graph import EncoderGraph
from adapters.training.architectures.stacks import FORBIDDEN, Attention, attend
from adapters.training.architectures.text_stacks import STACKS, Projection

OPSET = 17
Axes = Mapping[str, tuple[str, ...]]
"""Input -> names of its axes."""


class Hidden(nn.Module):
    """The encoder's own answer."""

    def __init__(self, graph: EncoderGraph) -> None:
        super().__init__()
        self.graph = graph

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.graph.hidden(input_ids, attention_mask)


class Run(nn.Module):
    """Some tokens more: with what is remembered, or from what the encoder answered."""

    def __init__(self, stack: Any, projection: nn.Module, *, first: bool) -> None:
        super().__init__()
        self.side, self.projection = stack.side, projection
        self._stack, self._first = stack, first

    def forward(self, input_ids: Tensor, encoder_attention_mask: Tensor, **given: Tensor) -> tuple[Tensor, ...]:
        stack, new = self._stack, input_ids.shape[1]
        past = 0 if self._first else given["past_key_values.0.decoder.key"].shape[2]
        hidden = stack.embed(input_ids, past)
        places = torch.arange(past + new)
        later = torch.zeros(new, past + new).masked_fill(places[None, :] > places[past:, None], FORBIDDEN)
        distances = stack.relative(new, past + new)
        later = later if distances is None else later + distances
        apart = torch.where(encoder_attention_mask > 0, 0.0, FORBIDDEN)[:, None, None, :]
        own: list[Tensor] = []
        cross: list[Tensor] = []
        for place, layer in enumerate(stack.layers):
            attention, norm = stack.looks(layer)
            before = [given.get(f"past_key_values.{place}.decoder.{kind}") for kind in ("key", "value")]
            looked = _Look(attention, [] if self._first else before, later)
            hidden = stack.around(hidden, norm, looked)
            own += looked.used
            attention, norm = stack.listens(layer)
            if self._first:
                sides = [side(given["encoder_hidden_states"]) for side in (attention.key, attention.value)]
            else:
                sides = [given[f"past_key_values.{place}.encoder.{kind}"] for kind in ("key", "value")]
            cross += sides
            hidden = stack.around(hidden, norm, partial(_attended, attention, sides, apart))
            think, norm = stack.thinks(layer)
            hidden = stack.around(hidden, norm, think)
        return self.projection(stack.close(hidden)), *own, *(cross if self._first else ())


class _Look:
    """Attention to what was written so far; ``used`` are its keys and values with the new places."""

    def __init__(self, attention: Attention, before: Sequence[Any], bias: Tensor) -> None:
        self._attention, self._before, self._bias = attention, before, bias
        self.used: list[Tensor] = []

    def __call__(self, hidden: Tensor) -> Tensor:
        self.used = [self._attention.key(hidden), self._attention.value(hidden)]
        if self._before:
            self.used = [torch.cat(pair, dim=2) for pair in zip(self._before, self.used, strict=True)]
        return _attended(self._attention, self.used, self._bias, hidden)


def _attended(attention: Attention, sides: Sequence[Tensor], bias: Tensor, hidden: Tensor) -> Tensor:
    key, value = sides
    return attention.out(attend(attention.query(hidden), key.transpose(2, 3), value, bias)[0])


def write_merged(folder: Path) -> Path:
    """``onnx/encoder_model.onnx`` and ``onnx/decoder_model_merged.onnx`` beside the weights in a folder."""
    model: Any = AutoModelForSeq2SeqLM.from_pretrained(folder).eval().requires_grad_(False)
    stacks, config = STACKS[model.config.model_type], model.config
    encoder, decoder = stacks(model.get_encoder()), stacks(model.get_decoder())
    layers, heads = len(decoder.layers), getattr(config, "decoder_attention_heads", None) or config.num_heads
    width = getattr(config, "d_kv", None) or config.d_model // heads
    sizes = {"heads": heads, "width": width, "channels": config.d_model}
    (folder / "onnx").mkdir()
    texts: Axes = {"input_ids": ("rows", "new")}
    heard: Axes = {**texts, "encoder_attention_mask": ("rows", "heard")}
    first: Axes = {**heard, "encoder_hidden_states": ("rows", "heard", "channels")}
    past: dict[str, tuple[str, ...]] = {}
    for side, axis in (("decoder", "past"), ("encoder", "heard")):
        past |= dict.fromkeys(
            (f"past_key_values.{name}" for name in _names(layers, side)), ("rows", "heads", axis, "width")
        )
    encoded = _export(Hidden(EncoderGraph(encoder, decoder)), {**texts, "attention_mask": ("rows", "new")}, sizes)
    encoded.graph.output[0].name, given = "last_hidden_state", encoded.graph.output[0].name
    for node in encoded.graph.node:
        node.output[:] = ["last_hidden_state" if name == given else name for name in node.output]
    onnx.save(encoded, folder / "onnx" / "encoder_model.onnx")
    beginning = _export(Run(decoder, Projection(model), first=True), first, sizes)
    going_on = _export(Run(decoder, Projection(model), first=False), {**heard, **past}, sizes)
    merged = _merged(beginning, going_on, layers, {**first, **past}, sizes)
    onnx.save(merged, folder / "onnx" / "decoder_model_merged.onnx")
    return folder


def _names(layers: int, side: str) -> list[str]:
    return [f"{layer}.{side}.{kind}" for layer in range(layers) for kind in ("key", "value")]


def _export(module: nn.Module, axes: Axes, sizes: dict[str, int]) -> onnx.ModelProto:
    """By torch's exporter that traces, as optimum's does: 0.4 s in the place of 6."""
    known = {"rows": 2, "new": 3, "heard": 6, "past": 5, **sizes}
    batch = {name: _example(name, [known[axis] for axis in shape]) for name, shape in axes.items()}
    free = {name: {at: axis for at, axis in enumerate(shape) if axis not in sizes} for name, shape in axes.items()}
    written: Any = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _Named(module.eval(), tuple(axes)),
            tuple(batch.values()),
            written,
            dynamo=False,
            opset_version=OPSET,
            input_names=list(axes),
            dynamic_axes=free,
        )
    return onnx.load_from_string(written.getvalue())


class _Named(nn.Module):
    """Hands positional inputs on by name."""

    def __init__(self, module: nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.module, self._names = module, names

    def forward(self, *inputs: Tensor) -> Any:
        return self.module(**dict(zip(self._names, inputs, strict=True)))


def _example(name: str, shape: list[int]) -> Tensor:
    if name == "input_ids":
        return torch.randint(4, 40, shape)
    return torch.ones(shape, dtype=torch.long) if name.endswith("mask") else torch.randn(shape)


def _merged(
    first: onnx.ModelProto,
    later: onnx.ModelProto,
    layers: int,
    axes: Axes,
    sizes: dict[str, int],
) -> onnx.ModelProto:
    """One node that runs either graph; the later one says nothing new of the encoder."""
    whole = ("input_ids", "encoder_attention_mask")
    inputs = [
        helper.make_tensor_value_info(
            name, TensorProto.INT64 if name in whole else TensorProto.FLOAT, [sizes.get(axis, axis) for axis in shape]
        )
        for name, shape in axes.items()
    ]
    inputs.append(helper.make_tensor_value_info("use_cache_branch", TensorProto.BOOL, [1]))
    names = ["logits", *(f"present.{name}" for side in ("decoder", "encoder") for name in _names(layers, side))]
    branches = [_branch(model, prefix) for model, prefix in ((later, "later/"), (first, "first/"))]
    nothing = numpy_helper.from_array(np.zeros((0, sizes["heads"], 1, sizes["width"]), dtype=np.float32))
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
