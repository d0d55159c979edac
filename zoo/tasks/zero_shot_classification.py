"""zero-shot-classification: a text to labels that are named only in the request, by a model of entailment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator, Field, StringConstraints, field_validator

from zoo.catalogue.entry import ModelEntry
from zoo.errors import ArtifactCorrupt, InvalidInput
from zoo.tasks import ops
from zoo.tasks.processors.text import EncodedText, TextProcessor
from zoo.tasks.task import LIGHT, Array, Bundle, Parameters, Task

LABELS = 256  # of a request: each of them is a run of the model for each text
PLACE = "{}"  # where a hypothesis names the label
TEMPLATE = "This example is {}."


def _separated(labels: object) -> object:
    """Labels separated by commas, as transformers' pipeline takes them too."""
    return [part for part in labels.split(",") if part.strip()] if isinstance(labels, str) else labels


Label = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]


class ZeroShotClassificationParameters(Parameters):
    """Labels to choose from; with ``multi_label`` each applies or not by itself, else their scores add up to 1.

    ``hypothesis_template`` is the sentence that the text is tried to entail, with one ``{}`` in the place of the label.
    """

    candidate_labels: Annotated[tuple[Label, ...], BeforeValidator(_separated), Field(min_length=1, max_length=LABELS)]
    multi_label: bool = False
    hypothesis_template: str = Field(TEMPLATE, max_length=1000)

    @field_validator("candidate_labels")
    @classmethod
    def _differ(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(labels)) < len(labels):
            raise ValueError("a label stands there twice")
        return labels

    @field_validator("hypothesis_template")
    @classmethod
    def _has_a_place(cls, template: str) -> str:
        if template.count(PLACE) != 1:
            raise ValueError("the template needs {} once, where the label is to stand")
        return template


class ZeroShotClassification(Task):
    """Input: a string. Output: ``[{"label", "score"}, …]``, highest score first.

    The graph answers (batch, labels) to a text and a hypothesis; one of the version's labels begins with ``entail``.
    Yin et al., "Benchmarking Zero-shot Text Classification", 2019. All hypotheses of all texts share batches.
    """

    name = "zero-shot-classification"
    modality = "text"
    also = ("text-classification",)
    Parameters = ZeroShotClassificationParameters

    def __init__(self, entry: ModelEntry, folder: Path) -> None:
        if not self.fits(entry):
            raise ArtifactCorrupt(f"{entry.reference} has no label that begins with entail.")
        self._entailed = _entailed(entry)
        self._denied = len(entry.labels) - 1 if self._entailed == 0 else 0
        self._text = TextProcessor(
            folder / "tokenizer.json",
            max_tokens=entry.limits["max_tokens"],
            pad_token_id=int(entry.options.get("pad_token_id", 0)),
        )

    @classmethod
    def fits(cls, entry: ModelEntry) -> bool:
        """Whether a classifier tells entailment from something else."""
        return len(entry.labels) > 1 and any(map(_is_entailment, entry.labels))

    @classmethod
    def asked(cls, inputs: object, parameters: Mapping[str, Any]) -> bool:
        """A request that names labels."""
        return "candidate_labels" in parameters

    def parameters(self, raw: Mapping[str, Any]) -> ZeroShotClassificationParameters:
        """An option sent as null counts as left out."""
        sent = {name: value for name, value in raw.items() if value is not None}
        if "candidate_labels" not in sent:
            message = 'Say which labels to choose from, such as {"candidate_labels": ["delivery", "payment"]}.'
            raise InvalidInput(message, code="labels_missing", param="parameters.candidate_labels")
        try:
            found: ZeroShotClassificationParameters = super().parameters(sent)
        except InvalidInput as error:
            if str(error.param).startswith("parameters.candidate_labels"):
                error.code = "invalid_labels"
            raise
        return found

    def warming(self) -> ZeroShotClassificationParameters:
        return self.parameters({"candidate_labels": ["warm"]})

    def light(self, inputs: object, parameters: Mapping[str, Any]) -> bool:
        """The text is tokenised once for each label, beside a hypothesis."""
        if not isinstance(inputs, str) or not super().light(inputs, parameters):
            return False
        labels, template = _separated(parameters.get("candidate_labels")), parameters.get("hypothesis_template")
        if not isinstance(labels, list | tuple) or len(labels) > LABELS:
            return True  # refused before any text is read
        around = len(inputs) + len(template if isinstance(template, str) else TEMPLATE)
        return sum(around + len(label) for label in labels if isinstance(label, str)) <= LIGHT

    def preprocess(self, item: object, parameters: ZeroShotClassificationParameters) -> Bundle:
        hypotheses = (parameters.hypothesis_template.replace(PLACE, label) for label in parameters.candidate_labels)
        named = ("inputs", "parameters.candidate_labels")
        return Bundle(tuple(self._text.encode_pair(item, one, cut="only_first", params=named) for one in hypotheses))

    def collate(self, batch: Sequence[EncodedText]) -> dict[str, Array]:
        return self._text.batch(batch)

    def postprocess(
        self, row: Sequence[Array], encoded: Bundle, parameters: ZeroShotClassificationParameters
    ) -> list[dict[str, object]]:
        logits = np.stack(row).astype(np.float32)
        labels = parameters.candidate_labels
        if parameters.multi_label or len(labels) == 1:
            scores = ops.softmax(logits[:, [self._denied, self._entailed]])[:, 1]
        else:
            scores = ops.softmax(logits[:, self._entailed])
        # of equal scores the last label comes first, as in transformers' pipeline
        order = np.argsort(scores, kind="stable")[::-1]
        return [{"label": labels[place], "score": float(scores[place])} for place in order]


def _is_entailment(label: str) -> bool:
    return label.lower().startswith("entail")


def _entailed(entry: ModelEntry) -> int:
    return next(place for place, label in enumerate(entry.labels) if _is_entailment(label))
