"""Whether quarter turns are worth training on, from what a probe makes of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from adapters.training.pictures.orientation import turning_teaches

TARGETS = [place % 3 for place in range(120)]


def looks(places: Sequence[int], turns: int, *, shifted: int) -> Tensor:
    """Noisy features that show the class, or with ``shifted`` another one; turned pictures have noise of their own."""
    noise = torch.randn(len(TARGETS), 8, generator=torch.Generator().manual_seed(turns))
    classes = torch.tensor([(TARGETS[place] + shifted) % 3 for place in places])
    return torch.nn.functional.one_hot(classes, 8).float() + noise[list(places)]


def test_pictures_that_show_the_same_on_their_side_are_turned() -> None:
    assert turning_teaches(lambda places, turns: looks(places, turns, shifted=0), TARGETS)


def test_pictures_that_look_like_another_class_on_their_side_are_not() -> None:
    assert not turning_teaches(lambda places, turns: looks(places, turns, shifted=turns), TARGETS)


def test_pictures_whose_turned_copies_say_nothing_new_are_not() -> None:
    assert not turning_teaches(lambda places, turns: looks(places, 0, shifted=0), TARGETS)


def test_a_handful_of_pictures_is_enough_to_decide() -> None:
    assert not turning_teaches(lambda places, turns: looks(places, 0, shifted=0), TARGETS[:3])
