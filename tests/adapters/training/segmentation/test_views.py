"""Views move picture and mask alike, keep classes as they are and colours only nearly so."""

from __future__ import annotations

import random

import numpy as np

from adapters.training.segmentation.views import IGNORED, View
from tests.tiny_segmenters import scene


def views(count: int, shape: tuple[int, int]) -> list[View]:
    return [View.drawn(shape, random.Random(seed)) for seed in range(count)]


def test_a_view_has_the_size_of_its_picture_and_no_classes_of_its_own() -> None:
    picture, mask = scene(70, 45)
    for view in views(30, mask.shape):
        assert view.of_picture(picture).shape == (45, 70, 3)
        assert view.of_mask(mask).shape == (45, 70)
        assert set(np.unique(view.of_mask(mask)).tolist()) <= {0, 1, 2, IGNORED}


def test_a_thing_is_still_under_its_mask_after_every_view() -> None:
    picture = np.full((60, 80, 3), 100, dtype=np.uint8)
    picture[20:40, 10:40] = (250, 0, 0)
    mask = (picture[..., 0] == 250).astype(np.uint8)
    found = 0
    for view in views(30, (60, 80)):
        seen, classes = view.of_picture(picture).astype(int), view.of_mask(mask)
        inside, outside = classes == 1, classes == 0
        if inside.any():
            found += 1
            red = seen[..., 0] - seen[..., 2]
            assert (red[inside] > 60).mean() > 0.9
            assert (red[outside] < 60).mean() > 0.95
    assert found > 20


def test_what_a_shrunk_picture_leaves_free_is_ignored() -> None:
    picture, mask = scene(64, 64)
    shrunk = [view for view in views(40, (64, 64)) if max(view.size) < 64]
    assert shrunk
    for view in shrunk:
        share = float((view.of_mask(mask) == IGNORED).mean())
        assert abs(share - (1 - view.size[0] * view.size[1] / 64**2)) < 1e-9
        assert (view.of_picture(picture).shape) == (64, 64, 3)


def test_views_differ_and_are_the_same_for_the_same_seed() -> None:
    made = views(20, (64, 64))
    assert len({(view.size, view.place, view.mirrored) for view in made}) == 20
    assert made == views(20, (64, 64))
    assert {view.mirrored for view in made} == {True, False}
