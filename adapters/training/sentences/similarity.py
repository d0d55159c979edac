"""Text encoders taught which texts are alike: by pairs that are, or by pairs with a score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from onnx import ModelProto
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

from adapters.datasets import Example
from adapters.datasets.fold import digest, fold
from adapters.training.judging import compare_rows, judge_rows
from adapters.training.lora import blocks
from adapters.training.recipe import Batch, Defaults, Item, Servable
from adapters.training.scores import correlation_scores
from adapters.training.sentences.sentence_encoder import TOKEN_VECTORS, SentenceEncoder, pooled
from zoo.catalogue.entry import ModelEntry
from zoo.engine.head import Readout
from zoo.engine.predictor import MODEL_FILE
from zoo.tasks.processors.prompts import Prompts
from zoo.tasks.processors.text import beginning
from zoo.tasks.sentence_similarity import OTHERS, SOURCE

SHARPNESS = 20.0  # of cosines in both losses; that of sentence-transformers
NEAR = 1e-3  # cosines of torch and of what is served may differ by so much
SIDES = ("text", "text_pair")


class PairNetwork(nn.Module):
    """An encoder and its pooling: rows of tokens, two to a pair, to vectors (pairs, 2, width)."""

    def __init__(self, body: nn.Module, *, pooling: str) -> None:
        super().__init__()
        self.body = body
        self.head = nn.Identity()
        self._pooling = pooling

    def forward(self, **named: Tensor) -> Tensor:
        """Inputs are (2 · pairs, tokens): a pair's texts follow one another."""
        vectors = pooled(self.body(**named).last_hidden_state, named["attention_mask"], self._pooling)
        return vectors.reshape(-1, 2, vectors.shape[-1])


# 1,789 scored pairs of sick (MiniLM, upper half), Spearman's correlation on 400 of its test part: three epochs of 16
# .8423 in 78 s, four of 32 .8430 in 90 s, and .8420 after seven of 64 in twice that. As it is, MiniLM has .826.
SCORED = Defaults(
    updates=300,
    epochs=(2, 10),
    batch_size=(16, 16),
    learning_rate=(5e-4, 5e-4),
    lora_rank=8,
    top=0.5,
    plain_attention=True,
)
# Where the other pairs of a batch are what a pair is told from, more of them are worth their time. Not measured.
ALIKE = replace(SCORED, updates=200, epochs=(1, 10), batch_size=(32, 64))


class SimilarityAdaptation:
    """See ``recipe.Adaptation``. A target is a pair's score, or, of pairs without one, digests of its two texts."""

    labels: tuple[str, ...] = ()
    probes = False
    knows = True
    judge = judge_rows
    compare = compare_rows
    taps = ()
    readout = Readout(linear=False)

    def __init__(self, encoder: SentenceEncoder, base: ModelEntry, *, scored: bool, max_tokens: int) -> None:
        self._encoder = encoder
        self._scored = scored
        self.defaults = SCORED if scored else ALIKE
        self.max_tokens = max_tokens
        self.headline = ("spearman", "pearson") if scored else ("spearman", "recall_at_1")
        self._prompts = Prompts.of(encoder.prompts)
        self._tokenizer = Tokenizer.from_file(str(encoder.tokenizer))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_tokens)
        self.body = encoder.body.requires_grad_(False)
        self.network = PairNetwork(self.body, pooling=encoder.pooling).eval()
        self.head = self.network.head
        self._inputs = encoder.inputs
        self._architecture = base.architecture

    def steps(self) -> Sequence[nn.Module]:
        return list(blocks(self.body)[1])

    def encode(self, examples: Sequence[Example], *, views: int = 1) -> list[Item]:
        """The length of a pair is that of its longer text, to which the other is filled up."""
        texts = [self._prompts.written(self._read(example, side)) for example in examples for side in SIDES]
        encodings = iter(self._tokenizer.encode_batch(texts))
        items = []
        for example in examples:
            tensors: Batch = {}
            for side in SIDES:
                one = next(encodings)
                tensors[f"{side}.input_ids"] = torch.tensor(one.ids)
                tensors[f"{side}.token_type_ids"] = torch.tensor(one.type_ids)
            length = max(len(ids) for ids in tensors.values())
            items.append(Item(length=length, target=self._target(example), tensors=tensors))
        return items

    def _target(self, example: Example) -> float | tuple[int, int]:
        if self._scored:
            return float(example.values["score"])
        one, other = (digest(fold(example.values[side])) for side in SIDES)
        return one, other

    def collate(self, items: Sequence[Item], *, entered: bool = False) -> Batch:
        shape = (2 * len(items), max(item.length for item in items))
        batch = {
            "input_ids": torch.full(shape, self._encoder.pad_token_id),
            "attention_mask": torch.zeros(shape, dtype=torch.long),
            "token_type_ids": torch.zeros(shape, dtype=torch.long),
        }
        for place, item in enumerate(items):
            for row, side in enumerate(SIDES, start=2 * place):
                ids = item.tensors[f"{side}.input_ids"]
                batch["input_ids"][row, : len(ids)] = ids
                batch["attention_mask"][row, : len(ids)] = 1
                batch["token_type_ids"][row, : len(ids)] = item.tensors[f"{side}.token_type_ids"]
        return {name: batch[name] for name in self._inputs}

    def features(self, batch: Batch) -> Tensor:
        """There is no probe."""
        raise NotImplementedError

    def fit_head(self, head: nn.Module, features: Tensor, targets: Sequence[Any], *, views: int) -> None:
        """There is none."""
        raise NotImplementedError

    def loss(self, outputs: Tensor, targets: Sequence[Any]) -> Tensor:
        return order_loss(outputs, targets) if self._scored else contrast_loss(outputs, targets)

    def metrics(self, outputs: Tensor, targets: Sequence[Any]) -> dict[str, Any]:
        return scored_figures(outputs, targets) if self._scored else paired_figures(outputs, targets)

    def agrees(self, output: Tensor, body: Any, example: Example) -> bool:
        (told,) = body
        return abs(float(told) - float(_cosines(output.unsqueeze(0)))) <= NEAR

    def request(self, example: Example) -> object:
        one, other = (self._read(example, side) for side in SIDES)
        return {SOURCE: one, OTHERS: [other]}

    def _read(self, example: Example, side: str) -> str:
        return beginning(example.values[side], max_tokens=self.max_tokens)

    def servable(self) -> Servable:
        return self._encoder.servable(self.network.body, architecture=self._architecture, max_tokens=self.max_tokens)

    def extend(self, graphs: Mapping[str, ModelProto]) -> bool:
        """Nothing is added to a body's own graph; one with a head answers something else."""
        return [value.name for value in graphs[MODEL_FILE].graph.output] == [TOKEN_VECTORS]


def _cosines(vectors: Tensor) -> Tensor:
    """(pairs, 2, width) to (pairs,)."""
    return functional.cosine_similarity(vectors[:, 0], vectors[:, 1], dim=-1)


def contrast_loss(vectors: Tensor, targets: Sequence[tuple[int, int]]) -> Tensor:
    """Of all texts of the batch each should be nearest to its partner, seen from both sides.

    Henderson et al., "Efficient Natural Language Response Suggestion for Smart Reply", 2017. A text that equals the
    partner, or whose partner equals this one, is no wrong answer and left out.
    """
    cosines, wrong = _against_all(vectors, targets)
    logits = (SHARPNESS * cosines).masked_fill(wrong, torch.finfo(cosines.dtype).min)
    own = torch.arange(len(logits))
    return 0.5 * (functional.cross_entropy(logits, own) + functional.cross_entropy(logits.T, own))


def order_loss(vectors: Tensor, targets: Sequence[float]) -> Tensor:
    """Of any two pairs the one with the higher score should have the higher cosine (CoSENT, Su Jianlin, 2022)."""
    cosines, scores = SHARPNESS * _cosines(vectors), torch.as_tensor(targets)
    apart = cosines[None, :] - cosines[:, None]  # [i, j]: how much nearer j is than i
    higher = scores[:, None] > scores[None, :]
    faults = apart.masked_fill(~higher, torch.finfo(apart.dtype).min).flatten()
    return torch.logsumexp(torch.cat([torch.zeros(1), faults]), dim=0)


def scored_figures(vectors: Tensor, targets: Sequence[float]) -> dict[str, Any]:
    """How cosines go with scores."""
    figures = correlation_scores(_cosines(vectors).tolist(), targets)
    return {name: value for name, value in figures.items() if name != "mean_absolute_error"}  # of other units


def paired_figures(vectors: Tensor, targets: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """Of how many texts the partner is the nearest, and how cosines tell partners (1) from strangers (0).

    Each pair's first text is set against the partner of the next pair. ``score`` is the mean of both figures.
    """
    cosines, left_out = _against_all(vectors, targets)
    nearest = cosines.masked_fill(left_out, -2.0).argmax(dim=1)
    own = torch.arange(len(cosines))
    recall = float((nearest == own).float().mean())
    next_one = (own + 1) % len(own)
    strange = ~left_out[own, next_one] & (own != next_one)
    told = [*cosines.diagonal().tolist(), *cosines[own, next_one][strange].tolist()]
    spearman = correlation_scores(told, [1.0] * len(own) + [0.0] * int(strange.sum()))["spearman"]
    return {
        "rows": len(own),
        "spearman": spearman,
        "recall_at_1": round(recall, 6),
        "score": round((spearman + recall) / 2, 6),
    }


def _against_all(vectors: Tensor, targets: Sequence[tuple[int, int]]) -> tuple[Tensor, Tensor]:
    """Cosines (pairs, pairs) of first texts and second ones, and which of them are no wrong answers."""
    unit = functional.normalize(vectors, dim=-1)
    same = _equal([first for first, _ in targets]) | _equal([second for _, second in targets])
    return unit[:, 0] @ unit[:, 1].T, same & ~torch.eye(len(targets), dtype=torch.bool)


def _equal(texts: Sequence[int]) -> Tensor:
    """Which digests are the same, (texts, texts): they are numbered first, as torch has no unsigned 64 bits."""
    known: dict[int, int] = {}
    numbers = torch.tensor([known.setdefault(text, len(known)) for text in texts])
    return numbers[:, None] == numbers[None, :]
