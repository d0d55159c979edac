"""Detectors are adapted to drawn pictures, exported, proven and written; what cannot be adapted is refused."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from adapters.datasets import Example
from adapters.datasets.archives import ArchiveFile
from adapters.datasets.example import Box
from adapters.jobs import Hyperparameters
from adapters.training import lora
from adapters.training.activations import Activations
from adapters.training.detection.dense_detector import (
    DenseDetector,
    DetectorConfig,
    fitted,
    new_detector,
    new_head,
    write_detector,
)
from adapters.training.export import export
from adapters.training.gate import Expected, answers_of, prove, prove_shapes
from adapters.training.hyperparameters import resolve
from adapters.training.pictures.body import PictureBody, load_body
from adapters.training.recipe import Servable
from adapters.training.recipes.object_detection import DetectionAdaptation, adapt, load
from tests.tiny_detectors import drawn
from tests.tiny_detectors import write_detector as write_query_detector
from tests.tiny_pictures import write_picture_checkpoint
from zoo.catalogue.entry import ModelEntry
from zoo.engine.predictor import MODEL_FILE, Predictor
from zoo.errors import InvalidInput, ParityFailed, Unsupported

LABELS = ("disc", "square")
SIDE = 96


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ResNet whose maps are at 1/4, 1/8, 1/16 and 1/32."""
    arguments = {"block": "basic", "layers": [1, 1, 1, 1], "widths": [8, 8, 12, 16]}
    return write_picture_checkpoint(tmp_path_factory.mktemp("body"), "timm-resnet-large", model_args=arguments)


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> list[Example]:
    """Four drawn pictures in a zip."""
    archive = tmp_path_factory.mktemp("pictures") / "data.zip"
    found: list[Example] = []
    with zipfile.ZipFile(archive, "w") as file:
        for place in range(4):
            content, objects = drawn(place + 1)
            file.writestr(f"{place}.png", content)
            boxes = tuple(Box(one["label"], *one["bbox"]) for one in objects)
            found.append(
                Example(place + 1, place + 1, files={"image": ArchiveFile(archive, f"{place}.png")}, boxes=boxes)
            )
    return found


def small(checkpoint: Path) -> DetectionAdaptation:
    """An adaptation to pictures of 96 pixels with a slim head."""
    torch.manual_seed(0)
    body = fitted(load_body(checkpoint), SIDE)
    config = DetectorConfig(label_names=list(LABELS), side=SIDE, channels=32, depth=1)
    return DetectionAdaptation(body, new_head(body, config), LABELS)


def whole(adaptation: DetectionAdaptation, examples: Sequence[Example]) -> Tensor:
    with torch.no_grad():
        answer: Tensor = adaptation.network(**adaptation.collate(adaptation.encode(examples)))
    return answer


@pytest.fixture(scope="module")
def trained(checkpoint: Path, examples: list[Example]) -> DetectionAdaptation:
    """An adaptation whose head has learnt the four pictures by heart."""
    adaptation = small(checkpoint)
    items = adaptation.encode(examples)
    batch, targets = adaptation.collate(items), [item.target for item in items]
    optimiser = torch.optim.AdamW(adaptation.head.parameters(), lr=5e-3)
    for _ in range(150):
        optimiser.zero_grad()
        adaptation.loss(adaptation.network(**batch), targets).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return adaptation


def described(servable: Servable) -> ModelEntry:
    return ModelEntry(
        name="finder",
        version=1,
        task="object-detection",
        modality="image",
        architecture=servable.architecture,
        licence="none",
        created=0,
        labels=servable.labels,
        limits=servable.limits,
        options=servable.options,
    )


def test_a_head_learns_four_pictures_by_heart(
    checkpoint: Path, trained: DetectionAdaptation, examples: list[Example]
) -> None:
    targets = [item.target for item in trained.encode(examples)]
    before = small(checkpoint)
    assert before.metrics(whole(before, examples), targets)["map50"] < 0.2
    figures = trained.metrics(whole(trained, examples), targets)
    assert figures["map50"] > 0.95
    assert figures["map"] > 0.6
    assert figures["rows"] == 4


@pytest.fixture(scope="module")
def exported(trained: DetectionAdaptation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The version's folder with the graph of what was learnt."""
    folder = tmp_path_factory.mktemp("exported")
    export(trained.servable(), folder / MODEL_FILE)
    return folder


def expected_of(trained: DetectionAdaptation, examples: Sequence[Example]) -> Expected:
    outputs = whole(trained, examples)
    return Expected(
        [trained.request(example) for example in examples],
        lambda place, row, body: trained.compare(outputs[place], row, body, examples[place]),
        largest=float(outputs.abs().max()),
    )


def test_what_was_learnt_passes_the_gate_and_is_served(
    trained: DetectionAdaptation, exported: Path, examples: list[Example]
) -> None:
    servable, expected = trained.servable(), expected_of(trained, examples)
    prove_shapes(exported, answers_of(servable), threads=1)
    assert prove(exported, described(servable), expected, threads=1).argmax_agreement == 1.0
    served: Any = Predictor(described(servable), exported, threads=1).predict(expected.requests[0]).body
    assert sorted(one["label"] for one in served) == sorted(box.label for box in examples[0].boxes)


def test_a_wrong_order_of_labels_does_not_pass_the_gate(
    trained: DetectionAdaptation, exported: Path, examples: list[Example]
) -> None:
    swapped = described(replace(trained.servable(), labels=LABELS[::-1]))
    with pytest.raises(ParityFailed):
        prove(exported, swapped, expected_of(trained, examples), threads=1)


def test_outputs_from_kept_activations_are_those_of_a_whole_pass(checkpoint: Path, examples: list[Example]) -> None:
    adaptation = small(checkpoint)
    assert len(adaptation.taps) == 2
    adaptation.defaults = replace(adaptation.defaults, rough=False)  # else what is kept has eight bits
    items = adaptation.encode(examples)
    for cut in range(1, len(adaptation.steps())):
        activations = Activations(adaptation, cut)
        activations.gather(items)
        with torch.no_grad():
            assert torch.allclose(activations.outputs(items), whole(adaptation, examples), atol=1e-4)


def test_lora_stands_in_the_body_and_merges_into_it(checkpoint: Path, examples: list[Example]) -> None:
    adaptation = small(checkpoint)
    before = whole(adaptation, examples)
    plan = resolve(Hyperparameters(), adaptation.defaults, rows=4, layers=len(adaptation.steps()), max_tokens=None)
    names = lora.targets(adaptation.body, adaptation.steps(), top=plan.top_layers)
    wrapped = lora.wrap(adaptation.body, names, plan.ranks, base="body@1")
    network: torch.nn.Module = adaptation.network
    network.body = wrapped
    with torch.no_grad():
        for name, weight in wrapped.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.02)
    after = whole(adaptation, examples)
    assert not torch.allclose(after, before, atol=1e-3)
    network.body = lora.merged(wrapped)
    assert torch.allclose(whole(adaptation, examples), after, atol=1e-3)


def test_views_follow_their_example_and_the_first_is_as_served(checkpoint: Path, examples: list[Example]) -> None:
    adaptation = small(checkpoint)
    plain, views = adaptation.encode(examples), adaptation.encode(examples, views=3)
    assert len(views) == 12
    for place, item in enumerate(plain):
        pixels = [one.read()["pixel_values"] for one in views[3 * place : 3 * place + 3]]
        assert torch.equal(pixels[0], item.read()["pixel_values"])
        assert not torch.equal(pixels[0], pixels[1]) and not torch.equal(pixels[1], pixels[2])
        assert torch.equal(views[3 * place + 1].read()["pixel_values"], pixels[1])


def test_objects_are_in_pixels_of_the_prepared_picture(checkpoint: Path, examples: list[Example]) -> None:
    (item,) = small(checkpoint).encode(examples[:1])
    box = examples[0].boxes[0]
    # Drawn pictures are 96 wide, as wide as they are prepared.
    assert item.target.objects.boxes[0].tolist() == [box.x, box.y, box.x + box.width, box.y + box.height]
    assert item.target.objects.classes.tolist() == [LABELS.index(one.label) for one in examples[0].boxes]


def lite(labels: Sequence[str], **settings: Any) -> tuple[DenseDetector, DetectorConfig]:
    """A detector of our own layout, random."""
    torch.manual_seed(1)
    config = DetectorConfig(label_names=list(labels), side=64, channels=16, depth=1, **settings)
    return new_detector(config), config


@pytest.fixture(scope="module")
def starter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    detector, config = lite(("ace", "king"))
    folder = tmp_path_factory.mktemp("starter")
    write_detector(detector, config, folder, dtype=torch.float16)
    return folder


def test_a_detector_written_in_half_precision_is_read_and_served(starter: Path, tmp_path: Path) -> None:
    servable = load(starter)
    assert servable.labels == ("ace", "king")
    assert servable.architecture == "fcos-effnet-lite0"
    assert servable.limits == {"height": 64, "width": 64}
    export(servable, tmp_path / MODEL_FILE)
    prove_shapes(tmp_path, answers_of(servable), threads=1)
    content, _ = drawn(1)
    body: Any = Predictor(described(servable), tmp_path, threads=1).predict(content, {"threshold": 0.0}).body
    assert {one["label"] for one in body} <= {"ace", "king"}
    stored = load_file(starter / "model.safetensors")
    assert {str(tensor.dtype) for tensor in stored.values()} == {"torch.float16"}


def test_adapting_a_detector_keeps_its_head_but_for_the_classes(starter: Path, examples: list[Example]) -> None:
    known = load(starter).module
    adaptation = adapt(starter, described(load(starter)), examples, labels=LABELS, asked=Hyperparameters())
    assert isinstance(known, DenseDetector)
    assert torch.equal(adaptation.head.scales, known.head.scales)
    assert torch.equal(adaptation.head.distances.weight, known.head.distances.weight)
    assert not torch.equal(adaptation.head.class_logits.weight, known.head.class_logits.weight)
    assert whole(adaptation, examples).shape == (4, 84, 6)
    assert all(weight.requires_grad for weight in adaptation.head.parameters())
    assert not any(weight.requires_grad for weight in adaptation.body.parameters())


@pytest.mark.parametrize("fault", ["missing", "extra", "shape", "labels", "side"])
def test_a_detector_that_contradicts_itself_is_refused(starter: Path, tmp_path: Path, fault: str) -> None:
    config, weights = json.loads((starter / "config.json").read_text()), load_file(starter / "model.safetensors")
    if fault == "missing":
        del weights["head.scales"]
    if fault == "extra":
        weights["head.more"] = torch.zeros(1)
    if fault == "shape":
        weights["head.scales"] = torch.zeros(9)
    if fault == "labels":
        config["label_names"] = ["ace", ""]
    if fault == "side":
        config["side"] = 77
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(InvalidInput) as caught:
        load(tmp_path)
    assert caught.value.code == "invalid_checkpoint"


def test_a_detector_of_transformers_is_served_but_not_adapted(tmp_path: Path, examples: list[Example]) -> None:
    folder = write_query_detector(tmp_path / "yolos", "yolos")
    base = described(load(folder))
    with pytest.raises(Unsupported) as caught:
        adapt(folder, base, examples, labels=LABELS, asked=Hyperparameters())
    assert caught.value.code == "not_adaptable"


def test_a_body_without_maps_cannot_be_adapted(tmp_path: Path, examples: list[Example]) -> None:
    folder = write_picture_checkpoint(tmp_path / "vit", "vit")
    base = described(Servable(torch.nn.Identity(), (), (), lambda rows, size: {}, (), {}, "vit"))
    with pytest.raises(Unsupported) as caught:
        adapt(folder, base, examples, labels=LABELS, asked=Hyperparameters())
    assert caught.value.code == "not_adaptable"


def test_a_classifier_cannot_be_imported_as_a_detector(checkpoint: Path) -> None:
    with pytest.raises(Unsupported) as caught:
        load(checkpoint)
    assert caught.value.code == "unsupported_task"


def test_the_body_of_an_adaptation_keeps_its_colours(checkpoint: Path) -> None:
    body: PictureBody = load_body(checkpoint)
    assert fitted(body, SIDE).preprocessing.mean == body.preprocessing.mean
    assert fitted(body, SIDE).size == (SIDE, SIDE)
