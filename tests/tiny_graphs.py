"""Folders as optimum and transformers.js leave them: ready-made graphs beside settings, of the weights of ``mini``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from transformers import BertForMaskedLM, BertForQuestionAnswering, BertForTokenClassification, BertModel

from tests.conftest import TinyZoo

TAGS = ("O", "B-PER", "I-PER")
SETTINGS = ("config.json", "tokenizer.json", "tokenizer_config.json", "modules.json", "1_Pooling")
_IR = 10
_OPSET = 20


def write_encoder(folder: Path, zoo: TinyZoo) -> Path:
    """The encoder ``mini`` with optimum's name of its output, in the folder ``onnx``."""
    return _write(folder, zoo.checkpoints / "mini", hidden_graph(zoo))


def write_classifier(folder: Path, zoo: TinyZoo) -> Path:
    """The classifier ``mood``, whose graph has optimum's names already."""
    return _write(folder, zoo.checkpoints / "mood", onnx.load(zoo.store.folder("mood", 1) / "model.onnx"))


def write_tagger(folder: Path, zoo: TinyZoo) -> Path:
    """``mini`` under a head that tags words; transformers' checkpoint lies beside the graph."""
    named = {"id2label": dict(enumerate(TAGS)), "label2id": {tag: place for place, tag in enumerate(TAGS)}}
    model = _headed(BertForTokenClassification, zoo, folder, num_labels=len(TAGS), **named)
    return _write(folder, folder, with_heads(hidden_graph(zoo), {"logits": model.classifier}))


def write_reader(folder: Path, zoo: TinyZoo) -> Path:
    """``mini`` under a head that marks answers; its two outputs are (batch, tokens)."""
    model = _headed(BertForQuestionAnswering, zoo, folder)
    graph = with_heads(hidden_graph(zoo), {"both": model.qa_outputs})
    split = helper.make_node("Split", ["both"], ["start", "end"], axis=2, num_outputs=2)
    last = numpy_helper.from_array(np.array([2]), "last")
    ends = [helper.make_node("Squeeze", [end, "last"], [f"{end}_logits"]) for end in ("start", "end")]
    graph.graph.node.extend([split, *ends])
    graph.graph.initializer.append(last)
    _answer(graph, "start_logits", "end_logits")
    return _write(folder, folder, graph)


def write_filler(folder: Path, zoo: TinyZoo) -> Path:
    """``mini`` under a head that guesses masked words, everywhere in the text."""
    model = _headed(BertForMaskedLM, zoo, folder)
    head = model.cls.predictions
    graph = with_heads(hidden_graph(zoo), {"changed": head.transform.dense})
    norm = {"scale": head.transform.LayerNorm.weight, "shift": head.transform.LayerNorm.bias}
    last = {"words": head.decoder.weight.T, "bias": head.decoder.bias}
    for name, weight in {**norm, **last}.items():
        graph.graph.initializer.append(numpy_helper.from_array(weight.detach().numpy().copy(), name))
    graph.graph.node.extend([
        helper.make_node("Gelu", ["changed"], ["active"]),
        helper.make_node("LayerNormalization", ["active", *norm], ["normal"], epsilon=1e-12),
        helper.make_node("MatMul", ["normal", "words"], ["unbiased"]),
        helper.make_node("Add", ["unbiased", "bias"], ["logits"]),
    ])  # fmt: skip
    _answer(graph, "logits")
    return _write(folder, folder, graph)


def hidden_graph(zoo: TinyZoo) -> onnx.ModelProto:
    """Of ``mini``: ids, mask and types to ``last_hidden_state``."""
    graph = onnx.load(zoo.store.folder("mini", 1) / "model.onnx")
    (given,) = (value.name for value in graph.graph.output)
    for node in graph.graph.node:
        node.output[:] = ["last_hidden_state" if name == given else name for name in node.output]
    graph.graph.output[0].name = "last_hidden_state"
    return graph


def with_heads(graph: onnx.ModelProto, heads: Mapping[str, nn.Linear]) -> onnx.ModelProto:
    """Linear layers on each token's vector, by the names of the outputs that take its place."""
    for name, head in heads.items():
        graph.graph.initializer.append(numpy_helper.from_array(head.weight.detach().numpy().T.copy(), f"{name}.weight"))
        graph.graph.initializer.append(numpy_helper.from_array(head.bias.detach().numpy(), f"{name}.bias"))
        graph.graph.node.append(
            helper.make_node("MatMul", ["last_hidden_state", f"{name}.weight"], [f"{name}.product"])
        )
        graph.graph.node.append(helper.make_node("Add", [f"{name}.product", f"{name}.bias"], [name]))
    _answer(graph, *heads)
    return graph


def one_node(kind: str = "Identity", *, domain: str = "", **attributes: Any) -> onnx.ModelProto:
    """A graph from ``input_ids`` to ``logits`` through a single operator."""
    node = helper.make_node(kind, ["input_ids"], ["logits"], domain=domain, **attributes)
    texts = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "tokens"])
    answer = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])
    graph = helper.make_graph([node], "one", [texts], [answer])
    opsets = [helper.make_opsetid("", _OPSET), *([helper.make_opsetid(domain, 1)] if domain else [])]
    return helper.make_model(graph, opset_imports=opsets, ir_version=_IR)


def _answer(graph: onnx.ModelProto, *names: str) -> None:
    del graph.graph.output[:]
    graph.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)


def _headed(kind: Any, zoo: TinyZoo, folder: Path, **settings: Any) -> Any:
    """transformers' network over the weights of ``mini``, saved with its tokenizer."""
    body = BertModel.from_pretrained(zoo.checkpoints / "mini")
    config = type(body.config).from_dict({**body.config.to_dict(), **settings})
    torch.manual_seed(3)
    model = kind(config).eval()
    model.bert.load_state_dict(body.state_dict(), strict=False)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if not name.startswith("bert."):
                weight.copy_(torch.randn_like(weight))
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(zoo.checkpoints / "mini" / name, folder / name)
    return model


def _write(folder: Path, checkpoint: Path, graph: onnx.ModelProto) -> Path:
    (folder / "onnx").mkdir(parents=True, exist_ok=True)
    onnx.save(graph, folder / "onnx" / "model.onnx")
    for name in SETTINGS if checkpoint != folder else ():
        source = checkpoint / name
        if source.is_dir():
            shutil.copytree(source, folder / name)
        elif source.is_file():
            shutil.copyfile(source, folder / name)
    return folder


def settings_of(folder: Path, **changes: Any) -> Path:
    """Change some of ``config.json``."""
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return folder
