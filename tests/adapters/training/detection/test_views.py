"""Views of a picture and its boxes: moved alike, cut alike, and always the same."""

from __future__ import annotations

import numpy as np
import pytest

from adapters.training.detection.views import augmented


def scene() -> tuple[np.ndarray, np.ndarray]:
    """A grey picture of 120 x 160 with a red and a blue rectangle, and their boxes."""
    picture = np.full((120, 160, 3), 128, dtype=np.uint8)
    picture[20:60, 30:70] = (255, 0, 0)
    picture[60:100, 90:150] = (0, 0, 255)
    return picture, np.asarray([[30, 20, 70, 60], [90, 60, 150, 100]], dtype=np.float32)


def is_of(picture: np.ndarray, place: int) -> np.ndarray:
    """Where the colour of object ``place`` is, whatever the light."""
    shades = picture.astype(np.int32)
    strong, weak = (0, 2) if place == 0 else (2, 0)
    return (shades[..., strong] - shades[..., weak]) > 60


@pytest.mark.parametrize("seed", range(40))
def test_boxes_enclose_what_they_enclosed(seed: int) -> None:
    picture, boxes = scene()
    seen, moved, kept = augmented(picture, boxes, np.random.default_rng(seed))
    for place, box in zip(kept.tolist(), moved, strict=True):
        rows, columns = np.nonzero(is_of(seen, place))
        around = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert np.abs(np.asarray(around) - box).max() <= 1


@pytest.mark.parametrize("seed", range(40))
def test_boxes_are_cut_at_the_view_and_dropped_when_less_than_half_is_left(seed: int) -> None:
    picture, boxes = scene()
    seen, moved, kept = augmented(picture, boxes, np.random.default_rng(seed))
    height, width = seen.shape[:2]
    assert (moved >= 0).all() and (moved[:, [0, 2]] <= width).all() and (moved[:, [1, 3]] <= height).all()
    for place, whole in enumerate((1600, 2400)):
        left = int(is_of(seen, place).sum())
        assert (place in kept) == (left > whole / 2)


def test_views_differ_and_are_the_same_for_the_same_seed() -> None:
    picture, boxes = scene()
    first, again, other = (augmented(picture, boxes, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first[0], again[0]) and np.array_equal(first[1], again[1])
    assert first[0].shape != other[0].shape or not np.array_equal(first[0], other[0])


def test_a_picture_without_boxes_has_views_too() -> None:
    picture, _ = scene()
    _, moved, kept = augmented(picture, np.zeros((0, 4), dtype=np.float32), np.random.default_rng(0))
    assert moved.shape == (0, 4) and len(kept) == 0
