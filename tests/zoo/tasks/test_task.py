"""What every task has from the contract itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from zoo.catalogue.entry import ModelEntry
from zoo.tasks.decoding.generation import Generation
from zoo.tasks.image_feature_extraction import ImageFeatureExtraction
from zoo.tasks.processors.image import EncodedImage
from zoo.tasks.task import Array, task_class

ENTRY = ModelEntry(
    name="eye",
    version=1,
    task="image-feature-extraction",
    modality="image",
    architecture="none",
    licence="mit",
    created=0,
    options={
        "preprocessing": {
            "resize": {"mode": "exact", "height": 2, "width": 4},
            "mean": [0.5, 0.5, 0.5],
            "std": [0.5, 0.5, 0.5],
        }
    },
)


class Mean:
    """A graph that answers with the mean of each picture, and notes the shapes that it saw."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, ...]] = []

    def __call__(self, feeds: Mapping[str, Array], outputs: Sequence[str] | None = None) -> list[Array]:
        pixels = np.asarray(feeds["pixel_values"], dtype=np.float32)
        self.seen.append(pixels.shape)
        return [pixels.mean(axis=(1, 2, 3))]


def encoded(value: float, width: int) -> EncodedImage:
    return EncodedImage(np.full((3, 2, width), value, dtype=np.float32), (2, width), (2, width))


def test_rows_that_are_alike_share_a_run_and_keep_their_places() -> None:
    graph = Mean()
    task = ImageFeatureExtraction(ENTRY, Path("nowhere"))
    answers = task.run([encoded(1, 4), encoded(2, 5), encoded(3, 4)], graph)  # type: ignore[arg-type]
    assert graph.seen == [(2, 3, 2, 4), (1, 3, 2, 5)]
    assert [float(answer) for answer in answers] == [1.0, 2.0, 3.0]


NUMBERS = [
    ("audio-classification", "top_k"),
    ("automatic-speech-recognition", "num_beams"),
    ("automatic-speech-recognition", "temperature"),
    ("automatic-speech-recognition", "stride_length_s"),
    ("feature-extraction", "dimensions"),
    ("fill-mask", "top_k"),
    ("image-classification", "top_k"),
    ("image-segmentation", "threshold"),
    ("object-detection", "threshold"),
    ("question-answering", "max_answer_len"),
    ("text-classification", "top_k"),
    ("token-classification", "stride"),
]


@pytest.mark.parametrize("value", [True, "1"])
@pytest.mark.parametrize(("task", "option"), NUMBERS)
def test_a_number_of_a_request_is_no_boolean_and_no_string(task: str, option: str, value: object) -> None:
    asked = task_class(task).Parameters
    assert asked.model_validate({option: 1}).model_dump()[option] == 1
    with pytest.raises(ValidationError):
        asked.model_validate({option: value})


@pytest.mark.parametrize("option", ["num_beams", "length_penalty", "max_length", "suppress_tokens"])
def test_a_number_of_the_search_is_no_boolean(option: str) -> None:
    with pytest.raises(ValidationError):
        Generation().but({option: (True,) if option == "suppress_tokens" else True})
