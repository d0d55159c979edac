"""What learning entities and learning answers share: windows as items, a head on tokens, how both are served."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from onnx import ModelProto
from torch import Tensor, nn

from adapters.datasets import Example, Span
from adapters.training.checkpoint import ensure_tokenizer, load_config
from adapters.training.encoder import encoder_inputs
from adapters.training.features import answers_of
from adapters.training.gate import difference
from adapters.training.graft import add_token_head
from adapters.training.judging import Judged, Tick
from adapters.training.lora import blocks
from adapters.training.recipe import Batch, Item, Outputs, Servable, lessons
from adapters.training.spans.network import TokenNetwork
from adapters.training.spans.servable import token_servable
from zoo.engine.head import Readout
from zoo.engine.predictor import MODEL_FILE
from zoo.errors import InvalidDataset, InvalidInput, TooLarge
from zoo.tasks.processors.text import padded
from zoo.tasks.processors.windows import EncodedWindows, WindowProcessor

Logits = list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]]
"""What the network says to a text: (tokens, numbers) for each of its windows."""


@dataclass(frozen=True, eq=False)
class Lesson:
    """A window's target, ``wanted`` in the form that the loss reads, or what a whole text is judged by: its windows,
    and the spans that are to be found in it."""

    wanted: Tensor
    text: EncodedWindows | None = None
    spans: tuple[Span, ...] = ()


class SpanAdaptation:
    """The part of ``recipe.Adaptation`` that is the same for both; see there."""

    probes = False
    taps = ()
    readout = Readout()

    def __init__(self, checkpoint: Path, network: TokenNetwork, *, max_tokens: int, knows: bool) -> None:
        ensure_tokenizer(checkpoint)
        self._checkpoint = checkpoint
        self.network = network.eval()
        self.body, self.head = network.body, network.head
        self.max_tokens, self.knows = max_tokens, knows
        self._inputs = encoder_inputs(self.body)
        self._windows = WindowProcessor(
            checkpoint / "tokenizer.json",
            max_tokens=max_tokens,
            pad_token_id=int(load_config(checkpoint).pad_token_id or 0),
        )

    def steps(self) -> Sequence[nn.Module]:
        return list(blocks(self.body)[1])

    @contextmanager
    def reading(self, example: Example) -> Iterator[None]:
        """A text that no request could send, such as one of more windows than are read, is told with its row."""
        try:
            yield
        except (TooLarge, InvalidInput) as error:
            message = (
                f"Row {example.row}, line {example.line}: {error.message} Windows are of {self.max_tokens} tokens."
            )
            raise InvalidDataset(message, param="training_file") from error

    def item(self, text: EncodedWindows, wanted: Sequence[Tensor], spans: tuple[Span, ...]) -> Item:
        """A text with the target of each of its windows: one item, in parts if there are several."""
        tensors = [
            {"input_ids": torch.from_numpy(window.ids), "token_type_ids": torch.from_numpy(window.types)}
            for window in text.windows
        ]
        if len(tensors) == 1:
            return Item(text.cost, Lesson(wanted[0], text, spans), tensors[0])
        parts = tuple(
            Item(window.cost, Lesson(target), tensor)
            for window, target, tensor in zip(text.windows, wanted, tensors, strict=True)
        )
        return Item(text.cost, Lesson(torch.empty(0), text, spans), parts=parts)

    def collate(self, items: Sequence[Item], *, entered: bool = False) -> Batch:
        batch = padded([_Row(item) for item in items], self._windows.pad_token_id)
        return {name: torch.from_numpy(batch[name]) for name in self._inputs}

    def features(self, batch: Batch) -> Tensor:
        raise NotImplementedError("a head on tokens has no features of a whole text")

    def judge(self, items: Sequence[Item], outputs: Outputs, *, tick: Tick | None = None) -> Judged:
        """Figures are those of what a client would get; the loss is the mean of all windows'."""
        windows = lessons(items)
        rows = [
            row[: window.length] for row, window in zip(answers_of(windows, outputs, tick=tick), windows, strict=True)
        ]
        losses = [self.loss(row[None], [window.target]) for row, window in zip(rows, windows, strict=True)]
        coming = iter(rows)
        answers = [[next(coming).numpy() for _ in item.parts or (item,)] for item in items]
        largest = max(float(row.abs().max()) for row in rows)
        loss = float(torch.stack(losses).mean())
        return Judged(answers, self.figures(answers, items), loss, counted=len(items), largest=largest)

    def compare(self, answer: Logits, row: Any, body: object, example: Any) -> tuple[float, bool]:
        if len(row) != len(answer):
            return float("inf"), False
        apart = max(difference(np.asarray(one), other) for one, other in zip(row, answer, strict=True))
        return apart, self.agrees(answer, body, example)

    def loss(self, outputs: Tensor, targets: Sequence[Lesson]) -> Tensor:
        raise NotImplementedError

    def figures(self, answers: Sequence[Logits], items: Sequence[Item]) -> dict[str, Any]:
        """``score`` and others, from what the network says to each item."""
        raise NotImplementedError

    def agrees(self, answer: Logits, body: Any, example: Any) -> bool:
        """Whether what a client is told is what torch's answer says."""
        raise NotImplementedError

    def served(self, labels: tuple[str, ...] = (), **options: Any) -> Servable:
        """The network with what its manifest says."""
        return token_servable(
            self.network, self.body, self._checkpoint, max_tokens=self.max_tokens, labels=labels, **options
        )

    def extend(self, graphs: Mapping[str, ModelProto]) -> bool:
        return add_token_head(graphs[MODEL_FILE], self.head, hidden="token_vectors")


class _Row:
    """An item as ``padded`` reads it."""

    def __init__(self, item: Item) -> None:
        self.ids, self.types = (item.tensors[name].numpy() for name in ("input_ids", "token_type_ids"))
        self.cost = item.length
