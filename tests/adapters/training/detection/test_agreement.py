"""Whether a served answer says what the outputs say: true answers agree, every kind of wrong one does not."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from adapters.training.detection.agreement import Sight, agrees

LABELS = ("cat", "dog")
SIGHT = Sight(size=(200, 400), inner=(50, 100))  # a prepared pixel is four of the picture's
# Logits of cat and dog, then the box in prepared pixels.
OUTPUT = torch.tensor(
    [
        [2.0, -9.0, 10.0, 5.0, 50.0, 45.0],
        [1.0, -9.0, 11.0, 5.0, 51.0, 45.0],  # the same cat once more
        [-9.0, 1.5, 60.25, 10.0, 90.0, 30.0],
        [-0.5, -9.0, 70.0, 40.0, 80.0, 48.0],  # below the threshold
    ]
)


def one(label: str, score: float, *sides: int) -> dict[str, Any]:
    return {"label": label, "score": score, "box": dict(zip(("xmin", "ymin", "xmax", "ymax"), sides, strict=True))}


SERVED = [one("cat", 0.880797, 40, 20, 200, 180), one("dog", 0.817574, 241, 40, 360, 120)]


def changed(place: int, **values: Any) -> list[dict[str, Any]]:
    body = copy.deepcopy(SERVED)
    box = {side: values.pop(side) for side in list(values) if side in body[place]["box"]}
    body[place].update(values)
    body[place]["box"].update(box)
    return body


def test_the_right_answer_agrees() -> None:
    assert agrees(OUTPUT, SERVED, LABELS, SIGHT)


def test_nothing_served_agrees_with_nothing_found() -> None:
    assert agrees(OUTPUT[3:], [], LABELS, SIGHT)


@pytest.mark.parametrize(
    "body",
    [
        SERVED[:1],
        SERVED[1:],
        [],
        SERVED[::-1],
        [*SERVED[:1], one("cat", 0.731059, 44, 20, 204, 180)],
        [SERVED[0], one("cat", 0.731059, 44, 20, 204, 180), SERVED[1]],
        [SERVED[0], *SERVED],
        [*SERVED, one("cat", 0.377541, 280, 160, 320, 192)],
        changed(0, label="dog"),
        changed(0, label="cow"),
        changed(0, score=0.885),
        changed(1, xmin=244),
        changed(1, xmax=90),
        changed(0, ymax=45),
        {"error": "busy"},
        [{"error": "busy", "code": "unavailable"}],
    ],
)
def test_a_wrong_answer_does_not_agree(body: object) -> None:
    assert not agrees(OUTPUT, body, LABELS, SIGHT)


def test_what_lies_at_the_threshold_may_be_served_or_not() -> None:
    output = torch.cat([OUTPUT, torch.tensor([[0.001, -9.0, 0.0, 0.0, 8.0, 8.0]])])
    edge = one("cat", 0.50025, 0, 0, 32, 32)
    assert agrees(output, SERVED, LABELS, SIGHT)
    assert agrees(output, [*SERVED, edge], LABELS, SIGHT)


def test_a_difference_of_a_pixel_by_rounding_agrees() -> None:
    assert agrees(OUTPUT, changed(1, xmin=240), LABELS, SIGHT)
