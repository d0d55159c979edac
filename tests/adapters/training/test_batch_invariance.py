"""A promise: what a row is answered does not depend on the rows that it is run with, in any precision served."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from adapters.training.quantised import quantise
from tests.conftest import TinyZoo
from zoo.engine.predictor import MODEL_FILE, Predictor
from zoo.engine.steps import Row

BATCHES = 1000
WORDS = "parcel refund card late again password locked please help was it my the".split()
# Texts unlike all others: the longest there can be, one word many times, signs that become unknown tokens.
OUTLIERS = ("late " * 46, "parcel " * 30, "§ ¶ † ‡ ∆ Ω ≈ ç √ ∫", "a", "refund! " * 20)


def predictor_of(zoo: TinyZoo, folder: Path, precision: str) -> Predictor:
    shutil.copytree(zoo.store.folder("mood", 1), folder)
    if precision == "int8":
        quantise(folder / MODEL_FILE)
    return Predictor(zoo.store.entry("mood", 1), folder, threads=1)


@pytest.mark.parametrize(("precision", "apart"), [("fp32", 1e-5), ("int8", 1e-5)])
def test_a_row_is_answered_alike_in_a_thousand_batches(
    tiny_zoo: TinyZoo, tmp_path: Path, precision: str, apart: float
) -> None:
    predictor, draw = predictor_of(tiny_zoo, tmp_path / "version", precision), random.Random(0)
    task = predictor.task
    options = task.parameters({})
    texts = [" ".join(draw.choices(WORDS, k=draw.randint(1, 40))) for _ in range(40)] + list(OUTLIERS)
    rows = [Row(task, encoded, encoded.cost) for encoded in (task.preprocess(text, options) for text in texts)]
    alone = [np.asarray(predictor.run([row])[0], dtype=np.float64) for row in rows]
    worst = 0.0
    for _ in range(BATCHES):
        places = draw.sample(range(len(rows)), k=draw.randint(2, 8))
        for place, answer in zip(places, predictor.run([rows[place] for place in places]), strict=True):
            worst = max(worst, float(np.abs(answer - alone[place]).max()))
    assert worst <= apart
