"""VGG's fully connected layers, which its weights store as convolutions."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from adapters.training.architectures.vgg import WholeMap


@pytest.mark.parametrize("size", [(4, 4), (4, 6), (7, 5)])
@pytest.mark.parametrize("rows", [1, 3])
def test_it_answers_as_a_convolution_on_maps_of_any_size(size: tuple[int, int], rows: int) -> None:
    torch.manual_seed(6)
    layer, plain = WholeMap(5, 8, 4), nn.Conv2d(5, 8, 4)
    plain.load_state_dict(layer.state_dict())
    maps = torch.randn(rows, 5, *size)
    torch.testing.assert_close(layer(maps), plain(maps))
    assert layer(maps).shape == (rows, 8, size[0] - 3, size[1] - 3)
