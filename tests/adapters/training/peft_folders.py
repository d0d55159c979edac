"""Adapters as peft saves them of a fine-tuned model of transformers, what peft answers with them, and their import."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer
from torch import Tensor
from transformers import (
    AutoModel,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)

from adapters import importing
from adapters.jobs import JobKind, JobSpec
from tests.adapters.training.quiet_context import QuietContext, context_for
from tests.conftest import TinyZoo
from zoo.catalogue.entry import ModelEntry
from zoo.errors import ZooError

NAMES = ("red", "green", "blue")
KINDS: Mapping[str, Any] = {
    "SEQ_CLS": AutoModelForSequenceClassification,
    "TOKEN_CLS": AutoModelForTokenClassification,
    "QUESTION_ANS": AutoModelForQuestionAnswering,
    "FEATURE_EXTRACTION": AutoModel,
}


@dataclass(frozen=True)
class Saved:
    """The folder, and the model that it was saved of."""

    folder: Path
    model: Any
    tokenizer: Tokenizer

    def answer(self, text: str, pair: str | None = None) -> Any:
        """What peft's model answers to a text, or to two that are read together."""
        encoded = self.tokenizer.encode(text, pair)
        feeds = {"input_ids": encoded.ids, "attention_mask": encoded.attention_mask, "token_type_ids": encoded.type_ids}
        taken = inspect.signature(self.model.get_base_model().forward).parameters
        with torch.no_grad():
            return self.model(**{name: torch.tensor([feeds[name]]) for name in feeds if name in taken})

    def logits(self, text: str) -> Tensor:
        """Of a text, without the axis for rows."""
        found: Tensor = self.answer(text).logits[0]
        return found


def save(
    checkpoint: Path,
    folder: Path,
    *,
    kind: str,
    labels: int = 3,
    targets: Sequence[str] | str = ("query", "value", "dense"),
    named: Sequence[str] = (),
    safe: bool = True,
    **settings: Any,
) -> Saved:
    """Make an adapter of random numbers on a checkpoint; ``named``: labels in a config.json beside it."""
    options = {"num_labels": labels, "ignore_mismatched_sizes": True} if kind in ("SEQ_CLS", "TOKEN_CLS") else {}
    torch.manual_seed(3)
    model = KINDS[kind].from_pretrained(checkpoint, **options)
    given = {"task_type": kind, "r": 4, "lora_alpha": 8, **settings}
    target_modules = targets if isinstance(targets, str) else list(targets)
    wrapped = get_peft_model(model, LoraConfig(target_modules=target_modules, **given)).eval()
    with torch.no_grad():
        for name, weight in wrapped.named_parameters():
            if "lora_" in name or "modules_to_save" in name:
                weight.copy_(0.3 * torch.randn_like(weight))
    wrapped.save_pretrained(str(folder), safe_serialization=safe)
    if named:
        written = {"model_type": "bert", "id2label": dict(enumerate(named))}
        (folder / "config.json").write_text(json.dumps(written))
    tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    tokenizer.no_padding()
    return Saved(folder, wrapped, tokenizer)


def asked(zoo: TinyZoo, folder: Path, **spec: Any) -> QuietContext:
    source = {"kind": "folder", "path": str(folder)}
    wanted = {"model": "topics", "base": "mini", "source": source, **spec}
    return context_for(zoo.home, JobSpec(kind=JobKind.IMPORT, **wanted))


def imported(zoo: TinyZoo, folder: Path, **spec: Any) -> ModelEntry:
    context = asked(zoo, folder, **spec)
    context.job = context.job.model_copy(update={"id": f"import-{context.job.spec.model}"})
    name, _, version = str(importing.run(context, zoo.settings)["model"]).partition("@")
    return zoo.store.entry(name, int(version))


def refused(zoo: TinyZoo, folder: Path, **spec: Any) -> ZooError:
    with pytest.raises(ZooError) as caught:
        importing.run(asked(zoo, folder, **spec), zoo.settings)
    assert "topics" not in zoo.store.names()
    return caught.value
