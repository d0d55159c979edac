"""A decoder graph in optimum's merged form, and what it remembers: one branch for the first run, one for all others.

Optimum and transformers.js export such graphs as ``decoder_model_merged.onnx``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zoo.tasks.decoding.cached_decoder import Floats, Ids
from zoo.tasks.task import Array, Run

BRANCH = "use_cache_branch"
LOGITS = "logits"


class MergedDecoder:
    """As ``CachedDecoder``: one batch being decoded; for one thread. All hypotheses of a batch are equally long.

    The graph takes ``input_ids`` (rows, new), what the encoder answers as ``encoder_hidden_states`` (rows, positions,
    channels) with its mask, ``past_key_values.<layer>.<side>.<kind>`` (rows, heads, past, width), and whether there is
    a past; rows are all hypotheses of all texts. It answers ``logits`` (rows, new, vocabulary) and
    ``present.…``. What it makes of the encoder's answer it says at the first run alone. ``head`` is (heads, width).
    """

    def __init__(self, run: Run, hidden: Array, mask: Ids, *, layers: int, head: tuple[int, int]) -> None:
        self._run = run
        self._layers = layers
        self._head = head
        self._heard: dict[str, Array] = {"encoder_hidden_states": hidden, "encoder_attention_mask": mask}
        self._own: list[Array] = []
        self._spread: dict[str, Array] = {}  # what was heard, once for each hypothesis

    def step(self, tokens: Ids, at: Sequence[int] = (-1,)) -> Floats:
        """Logits (batch, hypotheses, len(at), vocabulary) at places of ``tokens`` (batch, hypotheses, new)."""
        batch, group, new = tokens.shape
        first = not self._own
        own = past_names(self._layers, "decoder")
        cross = past_names(self._layers, "encoder")
        if not self._spread:
            self._spread = {name: np.repeat(values, group, axis=0) for name, values in self._heard.items()}
        feeds = {"input_ids": tokens.reshape(batch * group, new), BRANCH: np.array([not first]), **self._spread}
        if first:
            nothing = np.zeros((batch * group, self._head[0], 0, self._head[1]), dtype=np.float32)
            feeds |= dict.fromkeys((*own, *cross), nothing)
        else:
            feeds |= {name: past.reshape(-1, *past.shape[2:]) for name, past in zip(own, self._own, strict=True)}
        wanted = present_names(self._layers, "decoder") + (present_names(self._layers, "encoder") if first else ())
        logits, *present = self._run(feeds, (LOGITS, *wanted))
        self._own = [values.reshape(batch, group, *values.shape[1:]) for values in present[: len(own)]]
        if first:
            self._heard |= {name: values[::group] for name, values in zip(cross, present[len(own) :], strict=True)}
            self._spread = {}
        answer = np.asarray(logits, dtype=np.float32).reshape(batch, group, new, -1)
        return answer[:, :, list(at)]

    def choose(self, hypotheses: Ids) -> None:
        """Go on with those hypotheses (batch, wanted) of each row; one may be chosen several times."""
        rows = np.arange(len(hypotheses))[:, None]
        group = self._own[0].shape[1] if self._own else 0
        if hypotheses.shape[1] != group:
            self._spread = {}
        elif (hypotheses == np.arange(group)).all():
            return
        self._own = [values[rows, hypotheses] for values in self._own]

    def keep(self, rows: Ids) -> None:
        """Go on with those rows of the batch alone."""
        self._own = [values[rows] for values in self._own]
        self._heard = {name: values[rows] for name, values in self._heard.items()}
        self._spread = {}


def past_names(layers: int, *sides: str) -> tuple[str, ...]:
    """Of inputs, layer by layer; of both sides, the decoder's own first, unless one is named."""
    return _names("past_key_values", layers, sides)


def present_names(layers: int, *sides: str) -> tuple[str, ...]:
    """Of the outputs that go with them."""
    return _names("present", layers, sides)


def _names(prefix: str, layers: int, sides: Sequence[str]) -> tuple[str, ...]:
    return tuple(
        f"{prefix}.{layer}.{side}.{kind}"
        for side in sides or ("decoder", "encoder")
        for layer in range(layers)
        for kind in ("key", "value")
    )
