"""fill-mask: the likeliest words for the gaps of a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, StrictInt

from zoo.catalogue.entry import ModelEntry
from zoo.errors import ArtifactCorrupt, InvalidInput, TooLarge
from zoo.tasks import ops
from zoo.tasks.processors.text import EncodedText, TextProcessor
from zoo.tasks.task import LIGHT, Array, Parameters, Task

MASKS = 64  # of a text: each is answered with a number for every word that the model knows
TARGETS = 1000
USUAL, TOP_K = 5, 1000
WORDS = 5000  # of a text's gaps together: for each of them the whole text is written once more
Floats = NDArray[np.float32]


def _listed(targets: object) -> object:
    return [targets] if isinstance(targets, str) else targets


class FillMaskParameters(Parameters):
    """``top_k`` words for each mask (5 unless set); of ``targets`` alone, if there are any."""

    top_k: StrictInt = Field(USUAL, ge=1, le=TOP_K)
    targets: Annotated[
        tuple[Annotated[str, Field(max_length=1000)], ...] | None,
        BeforeValidator(_listed),
        Field(min_length=1, max_length=TARGETS),
    ] = None


@dataclass(frozen=True, eq=False)
class EncodedGaps:
    """A text and the places of its masks among its tokens."""

    text: EncodedText
    masks: NDArray[np.int64]

    @property
    def cost(self) -> int:
        """Tokens."""
        return self.text.cost

    @property
    def truncated(self) -> bool:
        """Whether the text had to be cut."""
        return self.text.truncated


class FillMask(Task):
    """Input: a string with masks. Output: ``[{"score", "token", "token_str", "sequence"}, …]``, highest score first.

    Several masks are answered by a list of such lists, each mask by itself. The graph takes ``masks`` (batch, masks),
    places among the tokens, beside the tokens, and answers (batch, masks, vocabulary).
    """

    name = "fill-mask"
    modality = "text"
    Parameters = FillMaskParameters

    def __init__(self, entry: ModelEntry, folder: Path) -> None:
        if "mask_token" not in entry.options:
            raise ArtifactCorrupt(f"{entry.reference} does not say how its gaps are written.")
        self._mask = str(entry.options["mask_token"])
        self._pad = int(entry.options.get("pad_token_id", 0))
        self._clean = bool(entry.options.get("clean_up_spaces", False))
        self._text = TextProcessor(
            folder / "tokenizer.json",
            max_tokens=entry.limits["max_tokens"],
            pad_token_id=self._pad,
            special_tokens=[str(token) for token in entry.options.get("special_tokens", [])],
        )
        self._mask_id = self._text.token_id(self._mask)
        self.sample = self._mask  # type: ignore[misc]  # each version has a mask of its own

    def parameters(self, raw: Mapping[str, Any]) -> FillMaskParameters:
        """An option sent as null counts as left out."""
        found: FillMaskParameters = super().parameters({k: v for k, v in raw.items() if v is not None})
        return found

    def preprocess(self, item: object, parameters: FillMaskParameters) -> EncodedGaps:
        text = self._text.encode(item)
        masks = np.flatnonzero(text.ids == self._mask_id)
        if not len(masks):
            where = " in the part that the model reads" if text.truncated else ""
            message = f"The text has no gap{where}: write {self._mask} where a word is missing."
            raise InvalidInput(message, code="mask_missing", param="inputs")
        if len(masks) > MASKS:
            message = f"The text has {len(masks)} gaps; at most {MASKS} are filled at once. Split it into parts."
            raise TooLarge(message, code="input_too_long", param="inputs")
        each = min(parameters.top_k, len(parameters.targets or ()) or TOP_K)
        if len(masks) * each > WORDS:
            message = (
                f"{each} words for each of {len(masks)} gaps are too many: a text is answered with at most {WORDS} "
                f"words. Lower top_k to {WORDS // len(masks)}, or split the text into parts."
            )
            raise TooLarge(message, code="input_too_long", param="parameters.top_k")
        return EncodedGaps(text, masks)

    def light(self, inputs: object, parameters: Mapping[str, Any]) -> bool:
        """Every word of every gap is put into the text, and targets are tokenised too."""
        if not isinstance(inputs, str) or not super().light(inputs, parameters):
            return False
        given = parameters.get("top_k")
        top_k = USUAL if given is None else given
        if not isinstance(top_k, int) or parameters.get("targets") is not None:
            return False
        return max(1, inputs.count(self._mask)) * top_k * len(inputs) <= LIGHT

    def collate(self, batch: Sequence[EncodedGaps]) -> dict[str, Array]:
        places = np.zeros((len(batch), max(len(item.masks) for item in batch)), dtype=np.int64)
        for row, item in enumerate(batch):
            places[row, : len(item.masks)] = item.masks
        return {**self._text.batch([item.text for item in batch]), "masks": places}

    def read(self, outputs: Sequence[Array], batch: Sequence[EncodedGaps]) -> list[Array]:
        return [np.array(rows[: len(item.masks)]) for rows, item in zip(outputs[0], batch, strict=True)]

    def postprocess(self, row: Array, encoded: EncodedGaps, parameters: FillMaskParameters) -> list[Any]:
        scores = ops.softmax(np.asarray(row, dtype=np.float32))
        allowed = None if parameters.targets is None else self._targets(parameters.targets)
        single = len(encoded.masks) == 1
        filled = [
            [
                {
                    "score": float(words[token]),
                    "token": token,
                    "token_str": self._decoded([token]),
                    "sequence": self._sequence(encoded.text.ids, int(place), token, single),
                }
                for token in _best(words, parameters.top_k, allowed)
            ]
            for place, words in zip(encoded.masks, scores, strict=True)
        ]
        return filled[0] if single else filled

    def _targets(self, targets: Sequence[str]) -> NDArray[np.int64]:
        """Ids of words: those of the vocabulary as they are, of others the first piece."""
        found = {token for target in targets if (token := self._text.first_piece(target)) is not None}
        if not found:
            message = "None of the targets is a word, or begins with a piece of one, that the model knows."
            raise InvalidInput(message, code="unknown_targets", param="parameters.targets")
        return np.asarray(sorted(found), dtype=np.int64)

    def _sequence(self, ids: NDArray[np.int64], place: int, token: int, single: bool) -> str:
        """The whole text; other masks are shown where there are some, and then all special tokens."""
        tokens = ids.copy()
        tokens[place] = token
        return self._decoded([one for one in tokens.tolist() if one != self._pad], skip_special=single)

    def _decoded(self, tokens: Sequence[int], *, skip_special: bool = False) -> str:
        text = self._text.decode(tokens, skip_special=skip_special)
        if self._clean:
            for written, meant in _SPACED:
                text = text.replace(written, meant)
        return text


def _best(scores: Floats, count: int, allowed: NDArray[np.int64] | None) -> list[int]:
    """The ids of the highest scores, highest first; of equal ones the lowest id."""
    ids = np.arange(len(scores)) if allowed is None else allowed
    count = min(count, len(ids))
    likely = ids[np.argpartition(-scores[ids], count - 1)[:count]]
    least = scores[likely].min()
    likely = ids[scores[ids] >= least]
    return [int(one) for one in likely[np.argsort(-scores[likely], kind="stable")][:count]]


# What transformers' tokenizers do to text when their configuration asks for it.
_SPACED = (
    (" .", "."),
    (" ?", "?"),
    (" !", "!"),
    (" ,", ","),
    (" ' ", "'"),
    (" n't", "n't"),
    (" 'm", "'m"),
    (" 's", "'s"),
    (" 've", "'ve"),
    (" 're", "'re"),
)
