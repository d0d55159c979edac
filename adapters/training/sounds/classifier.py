"""Sound classifiers of transformers as they are: one input with time first, logits."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from torch import Tensor, nn
from transformers import AutoModelForAudioClassification

from adapters.training import checkpoint as checkpoints
from adapters.training.encoder import load_weights
from adapters.training.layouts.parts import named_labels
from adapters.training.recipe import Servable
from adapters.training.sounds.body import (
    INPUT,
    WAVEFORMS,
    bare_body,
    example_sounds,
    fold_parametrisations,
    least_samples,
)
from adapters.training.sounds.config import read_hearing
from zoo.errors import Unsupported


class SoundClassifier(nn.Module):
    """A transformers classifier under one name for its input: (batch, samples) or (batch, frames, bins)."""

    def __init__(self, model: nn.Module, *, bins_first: bool) -> None:
        super().__init__()
        self.model = model
        self._bins_first = bins_first

    def forward(self, sound: Tensor) -> Tensor:
        """Logits (batch, labels), before any softmax."""
        logits: Tensor = self.model(sound.transpose(1, 2) if self._bins_first else sound).logits
        return logits


def read_classifier(checkpoint: Path) -> Servable:
    """wav2vec2, HuBERT, AST or Whisper's encoder with its own classification head; raises ``Unsupported`` for others.

    ``InvalidInput`` (``invalid_checkpoint``) for weights, labels or settings that do not fit each other.
    """
    config = checkpoints.load_config(checkpoint)
    hearing = read_hearing(checkpoint, config)
    _, names = checkpoints.architectures(checkpoint)
    if not any(name.endswith(("ForSequenceClassification", "ForAudioClassification")) for name in names):
        raise Unsupported("The checkpoint has no classification head.", code="unsupported_task", param="task")
    if getattr(config, "problem_type", None) == "regression" or config.num_labels < 2:
        message = "The checkpoint is a regression model, which this release cannot serve."
        raise Unsupported(message, code="unsupported_task", param="task")
    model = load_weights(AutoModelForAudioClassification, checkpoint).eval().requires_grad_(False)
    fold_parametrisations(model)
    multi_label = getattr(config, "problem_type", None) == "multi_label_classification"
    waveform = hearing.kind == "waveform"
    return Servable(
        module=SoundClassifier(model, bins_first=hearing.kind == "log_mel").eval(),
        inputs=(INPUT,),
        outputs=("logits",),
        example=lambda rows, size: example_sounds(hearing, rows, size),
        sizes=WAVEFORMS if waveform else ((hearing.frames,),),
        axes={0: "batch", 1: "samples"} if waveform else {0: "batch"},
        bounds={"samples": round(hearing.seconds * hearing.rate)} if waveform else {},
        least={"samples": least_samples(config)} if waveform else {},
        architecture=str(config.model_type),
        labels=named_labels(config.id2label, config.num_labels, field="id2label"),
        limits={"seconds": int(hearing.seconds)},
        options={"hearing": hearing.as_dict(), "function_to_apply": "sigmoid" if multi_label else "softmax"},
        bare=partial(bare_body, checkpoint),
    )
