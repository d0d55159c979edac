"""token-classification: a text to the entities in it, or to a label for each token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
from pydantic import Field, StrictInt

from zoo.catalogue.entry import ModelEntry
from zoo.errors import ArtifactCorrupt
from zoo.tasks import ops
from zoo.tasks.decoding.entities import Entity, Pieces, Strategy, entities, merged
from zoo.tasks.processors.windows import EncodedWindows, Window, WindowProcessor, cut
from zoo.tasks.task import Array, Parameters, Task

OUTSIDE = "O"  # the label of what is no entity


class TokenClassificationParameters(Parameters):
    """How tokens become entities; what is never answered; tokens that windows of a long text share."""

    aggregation_strategy: Strategy | None = None
    ignore_labels: tuple[str, ...] = (OUTSIDE,)
    stride: StrictInt | None = Field(None, ge=0)


class TokenClassification(Task):
    """Input: a string. Output: ``[{"entity_group", "score", "word", "start", "end"}, …]`` in the order of the text.

    Without aggregation each token has ``entity`` and ``index`` in the place of ``entity_group``. ``start`` and ``end``
    are characters of the text. A text longer than the model is read in windows that overlap. The graph answers
    (batch, tokens, labels). What a request gets that names no strategy is the version's ``aggregation_strategy``.
    """

    name = "token-classification"
    modality = "text"
    Parameters = TokenClassificationParameters

    def __init__(self, entry: ModelEntry, folder: Path) -> None:
        self._labels = entry.labels
        self._strategy: Strategy = entry.options.get("aggregation_strategy", "simple")
        if self._strategy not in get_args(Strategy):
            raise ArtifactCorrupt(f"{entry.reference} does not say how its tokens become entities.")
        self._windows = WindowProcessor(
            folder / "tokenizer.json",
            max_tokens=entry.limits["max_tokens"],
            pad_token_id=int(entry.options.get("pad_token_id", 0)),
        )
        self._pieces = Pieces(self._windows.tokenizer)

    def parameters(self, raw: Mapping[str, Any]) -> TokenClassificationParameters:
        """An option sent as null counts as left out."""
        found: TokenClassificationParameters = super().parameters({k: v for k, v in raw.items() if v is not None})
        return found

    def preprocess(self, item: object, parameters: TokenClassificationParameters) -> EncodedWindows:
        return self._windows.of_text(item, stride=parameters.stride)

    def collate(self, batch: Sequence[Window]) -> dict[str, Array]:
        return self._windows.batch(batch)

    def read(self, outputs: Sequence[Array], batch: Sequence[Window]) -> list[Array]:
        return cut(outputs[0], batch)

    def postprocess(
        self, row: Sequence[Array], encoded: EncodedWindows, parameters: TokenClassificationParameters
    ) -> list[dict[str, object]]:
        strategy = parameters.aggregation_strategy or self._strategy
        return read(row, encoded, self._labels, self._pieces, strategy=strategy, ignored=parameters.ignore_labels)


def read(
    row: Sequence[Array],
    encoded: EncodedWindows,
    labels: Sequence[str],
    pieces: Pieces,
    *,
    strategy: Strategy,
    ignored: Sequence[str] = (OUTSIDE,),
) -> list[dict[str, object]]:
    """The answer to a text; ``row`` holds the logits (tokens, labels) of each of its windows."""
    found: list[Entity] = []
    for window, logits in zip(encoded.windows, row, strict=True):
        scores = ops.softmax(np.asarray(logits, dtype=np.float32))
        tokens = pieces.read(window, encoded.text)
        found += [one for one in entities(tokens, scores, labels, strategy, pieces) if one.label not in ignored]
    if len(encoded.windows) > 1:
        found = merged(found)
    return [_described(entity, strategy) for entity in found]


def _described(entity: Entity, strategy: Strategy) -> dict[str, object]:
    place = {"word": entity.text, "start": entity.start, "end": entity.end}
    if strategy == "none":
        return {"entity": entity.label, "score": entity.score, "index": entity.index, **place}
    return {"entity_group": entity.label, "score": entity.score, **place}
