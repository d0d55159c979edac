"""image-classification: imports picture classifiers as they are, whatever layout they come in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor, nn

from adapters.datasets import Example
from adapters.jobs import Hyperparameters
from adapters.training.pictures.body import INPUT, PictureBody, example_pictures, load_body
from adapters.training.pictures.classification import PictureAdaptation
from adapters.training.recipe import Servable
from zoo.catalogue.entry import ModelEntry
from zoo.errors import Unsupported


class PictureClassifier(nn.Module):
    """A body and a linear head on its pooled vector, or on the mean of that and the mirror image's."""

    def __init__(self, body: PictureBody, head: nn.Linear) -> None:
        super().__init__()
        self.body = body
        self.head = head

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Logits (batch, labels), before any softmax."""
        pooled = self.body(pixel_values)
        if self.body.mirrored:
            pooled = (pooled + self.body(pixel_values.flip(3))) / 2
        logits: Tensor = self.head(pooled)
        return logits


def load(checkpoint: Path) -> Servable:
    """A checkpoint with its own classification head; raises ``Unsupported`` for one without."""
    body = load_body(checkpoint)
    if body.classifier is None:
        raise Unsupported(
            "The checkpoint has no classification head: import it as image-feature-extraction and adapt it.",
            code="unsupported_task",
            param="task",
        )
    if body.function_to_apply == "none":
        raise Unsupported(
            "The checkpoint is a regression model, which this release cannot serve.",
            code="unsupported_task",
            param="task",
        )
    return Servable(
        module=PictureClassifier(body, body.classifier).eval(),
        inputs=(INPUT,),
        outputs=("logits",),
        example=example_pictures,
        sizes=(body.size,),
        axes={0: "batch"},
        architecture=body.architecture,
        labels=body.labels,
        limits={"height": body.size[0], "width": body.size[1]},
        options={"preprocessing": body.preprocessing.as_dict(), "function_to_apply": body.function_to_apply},
        body=body,
    )


def adapt(
    checkpoint: Path, base: ModelEntry, examples: Sequence[Example], *, labels: tuple[str, ...], asked: Hyperparameters
) -> PictureAdaptation:
    """Any imported picture body under a new head."""
    return PictureAdaptation(checkpoint, base, labels)
