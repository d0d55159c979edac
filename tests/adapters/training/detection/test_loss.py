"""Which positions answer for which object, and that the loss leads to the right boxes."""

from __future__ import annotations

import pytest
import torch

from adapters.training.architectures.fcos import FcosHead, grid
from adapters.training.detection.loss import Objects, assign, detection_loss, overlap

POINTS = grid((64, 64), (8, 16, 32))  # 64 + 16 + 4 positions


def objects(*rows: tuple[float, float, float, float, int]) -> Objects:
    table = torch.tensor(rows, dtype=torch.float32).reshape(-1, 5)
    return Objects(table[:, :4], table[:, 4].long())


def perfect(found: Objects, classes: int) -> torch.Tensor:
    """Outputs (1, positions, classes + 4) that name every object where it is to be named, and nothing elsewhere."""
    rows = torch.full((1, len(POINTS), classes + 4), -20.0)
    rows[..., -4:] = torch.cat([POINTS[:, :2] - 1, POINTS[:, :2] + 1], dim=1)
    for position, owner in enumerate(assign(POINTS, found).tolist()):
        if owner >= 0:
            rows[0, position, int(found.classes[owner])] = 20.0
            rows[0, position, -4:] = found.boxes[owner]
    return rows


def test_positions_run_through_the_levels_from_fine_to_coarse() -> None:
    assert len(POINTS) == 64 + 16 + 4
    assert POINTS[0].tolist() == [4, 4, 8]
    assert POINTS[1].tolist() == [12, 4, 8]
    assert POINTS[64].tolist() == [8, 8, 16]
    assert POINTS[-1].tolist() == [48, 48, 32]


def test_a_picture_without_objects_leaves_all_positions_to_the_background() -> None:
    assert assign(POINTS, objects()).tolist() == [-1] * 84


def test_the_positions_near_the_centre_answer_for_an_object() -> None:
    owners = assign(POINTS, objects((8, 8, 40, 40, 0)))
    chosen = POINTS[owners == 0]
    assert len(chosen) > 0
    assert chosen[:, 2].tolist() == [8.0] * len(chosen)
    assert ((chosen[:, :2] - 24).abs() < 12).all()


def test_a_large_object_is_left_to_a_coarser_level() -> None:
    points = grid((256, 256), (8, 16, 32))

    def strides(side: float) -> list[float]:
        box = (128 - side / 2, 128 - side / 2, 128 + side / 2, 128 + side / 2)
        return sorted(set(points[assign(points, objects((*box, 0))) == 0][:, 2].tolist()))

    assert [strides(side) for side in (32, 90, 240)] == [[8], [16], [32]]


@pytest.mark.parametrize("box", [(31.0, 31.0, 33.0, 33.0), (0.5, 0.5, 1.5, 1.5), (60.0, 2.0, 63.0, 4.0)])
def test_the_smallest_object_is_answered_for_by_the_nearest_position(box: tuple[float, float, float, float]) -> None:
    owners = assign(POINTS, objects((*box, 0)))
    (place,) = torch.nonzero(owners == 0).flatten().tolist()
    centre = torch.tensor([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2])
    assert POINTS[place, 2] == 8
    assert ((POINTS[place, :2] - centre).abs() <= 4).all()


def test_of_two_objects_at_one_position_the_smaller_wins() -> None:
    owners = assign(POINTS, objects((0, 0, 48, 48, 0), (16, 16, 32, 32, 1)))
    inner = (POINTS[:, :2] - 24).abs().amax(dim=1) < 8
    assert owners[inner & (POINTS[:, 2] == 8)].tolist() == [1] * 4


def test_overlap_of_halves_and_of_boxes_apart() -> None:
    box = torch.tensor([0.0, 0.0, 10.0, 10.0])
    half, apart = torch.tensor([0.0, 0.0, 10.0, 5.0]), torch.tensor([20.0, 0.0, 30.0, 10.0])
    assert [round(float(value), 4) for value in overlap(box, half)] == [0.5, 0.5]
    # 300 around both, 200 of it covered: 0 - 1/3.
    assert [round(float(value), 4) for value in overlap(box, apart)] == [0.0, -0.3333]


def test_perfect_outputs_cost_nothing_and_others_something() -> None:
    found = objects((8, 8, 40, 40, 0), (44, 44, 60, 60, 1))
    rows = perfect(found, 2)
    assert float(detection_loss(rows, [found], POINTS)) < 1e-3
    assert float(detection_loss(rows.roll(1, dims=1), [found], POINTS)) > 0.5
    assert float(detection_loss(rows[..., [1, 0, 2, 3, 4, 5]], [found], POINTS)) > 0.5


def test_pictures_without_objects_cost_what_is_named_in_them() -> None:
    rows = perfect(objects(), 2)
    assert float(detection_loss(rows, [objects()], POINTS)) < 1e-3
    loud = rows.clone()
    loud[0, 3, 0] = 20.0
    assert float(detection_loss(loud, [objects()], POINTS)) > 1.0


def test_an_untrained_head_scores_low_everywhere_and_has_boxes_with_area() -> None:
    torch.manual_seed(0)
    head = FcosHead((4, 6, 8), (8, 16, 32), 3, channels=16, depth=1)
    maps = [torch.randn(2, width, side, side) for width, side in ((4, 8), (6, 4), (8, 2))]
    rows = head(maps)
    assert rows.shape == (2, 84, 7)
    assert rows[..., :3].sigmoid().max() < 0.1
    assert (rows[..., 5:] > rows[..., 3:5]).all()
    centres = (rows[..., 3:5] + rows[..., 5:]) / 2
    assert ((centres - POINTS[:, :2]).abs() < POINTS[:, 2:]).all()
