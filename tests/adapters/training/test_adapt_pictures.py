"""The fine-tune job on pictures, from zip to published version, on tiny bodies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from adapters.datasets import FileStore
from adapters.jobs import Hyperparameters, JobKind, JobPreempted, JobSpec
from adapters.training import adapt, classification, eight_bits
from adapters.training.features import Probe, fit_probe
from adapters.training.pictures.classification import without_margin
from tests.adapters.datasets.zips import pack
from tests.adapters.training.quiet_context import QuietContext, context_for
from tests.conftest import TinyZoo
from tests.imports import Imports
from tests.tiny_pictures import write_picture_checkpoint
from zoo.engine.predictor import Predictor
from zoo.tasks.processors.preprocessing import Crop, Exact, Preprocessing, Shortest

FAST = Hyperparameters(n_epochs=2, batch_size=8, learning_rate=0.003)
LONG = Hyperparameters(n_epochs=8, batch_size=8, learning_rate=0.03)
BODIES: dict[str, dict[str, Any]] = {
    "vit": {"num_hidden_layers": 2},
    "resnet": {"hidden_sizes": [8, 16], "depths": [1, 1]},
    "timm-resnet": {"model_args": {"layers": [1, 1], "widths": [8, 16]}},
}
COLOURS = {"blue": (40, 60, 200), "green": (50, 190, 60), "red": (200, 50, 40)}


Adapted = tuple[TinyZoo, dict[str, Any], QuietContext]


def drawn(colour: tuple[int, int, int], seed: int) -> bytes:
    """A PNG of noise around a colour."""
    noise = np.random.default_rng(seed).normal(0, 40, (36, 40, 3))
    stream = BytesIO()
    Image.fromarray(np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def colours(each: int, *, start: int = 0) -> dict[str, bytes | str]:
    return {
        f"{name}/{place}.png": drawn(colour, start + 1000 * number + place)
        for number, (name, colour) in enumerate(COLOURS.items())
        for place in range(each)
    }


def upload(zoo: TinyZoo, content: bytes) -> str:
    async def chunks() -> AsyncIterator[bytes]:
        yield content

    files = FileStore(zoo.home, zoo.settings)
    return asyncio.run(files.receive(chunks(), filename="colours.zip", purpose="fine-tune")).id


def adapted(imports: Imports, home: Path, kind: str = "resnet", *, stop_at: int | None = None, **spec: Any) -> Adapted:
    """Import a tiny body, if it is not there yet, and adapt it to colours; ``stop_at`` is of the second training."""
    zoo = TinyZoo(home / "home", home / "checkpoints")
    folder = write_picture_checkpoint(zoo.checkpoints / "body", kind, **BODIES[kind])
    if "body" not in zoo.store.names():
        imports.bring(zoo.home, "body", folder)
    asked: dict[str, Any] = {"model": "body", "suffix": "colours", "hyperparameters": FAST}
    training_file = upload(zoo, pack(colours(20)))
    job = JobSpec(kind=JobKind.ADAPT, training_file=training_file, **(asked | spec))
    context = context_for(zoo.home, job, stop_at=stop_at)
    context.stop_in = "refit"
    return zoo, adapt.run(context, zoo.settings), context


@pytest.mark.parametrize("kind", ["vit", "timm-resnet"])
def test_every_kind_of_body_learns_colours_and_is_served(imports: Imports, tmp_path: Path, kind: str) -> None:
    zoo, result, context = adapted(imports, tmp_path, kind, precision="int8")
    entry = zoo.store.entry("colours", 1)
    assert entry.parity["int8"]["rows"] == entry.metrics["heldout"]["rows"]  # tried, whatever came of it
    assert result["fine_tuned_model"] == entry.reference == "colours@1"
    assert (entry.task, entry.modality, entry.labels) == ("image-classification", "image", tuple(COLOURS))
    assert set(result["metrics"]) == {"heldout", "probe"}
    assert entry.parity["argmax_agreement"] == 1.0
    assert {file.path for file in entry.files} >= {"model.onnx", "adapter/adapter_config.json", "README.md"}
    slots = kind == "vit" and entry.precision == "fp32"  # convolutions have none
    assert entry.options["served_by"] == ("body" if slots else "merged")
    predictor = Predictor(entry, zoo.store.folder("colours", 1), threads=1)
    fresh = {name: [drawn(colour, 90_000 + place) for place in range(4)] for name, colour in COLOURS.items()}
    right = [
        predictor.predict(one, {"top_k": 1}).body[0]["label"] == name  # type: ignore[index]
        for name, pictures in fresh.items()
        for one in pictures
    ]
    assert sum(right) >= 0.8 * len(right)  # a guess is right once in three times


def test_convolutions_of_8_bits_are_served_where_they_are_faster(
    imports: Imports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eight_bits, "FASTER", 1e9)  # of these few channels they are not
    monkeypatch.setattr(eight_bits, "MOST_LOSS", 1.0)
    zoo, _, _ = adapted(imports, tmp_path, "timm-resnet", precision="int8")
    entry = zoo.store.entry("colours", 1)
    assert (entry.precision, entry.options["served_by"]) == ("int8", "merged")
    kinds = [node.op_type for node in onnx.load(zoo.store.folder("colours", 1) / "model.onnx").graph.node]
    assert kinds.count("QuantizeLinear") >= kinds.count("Conv") - 1 > 0
    assert entry.parity["int8"]["loss"] <= 0.1


def test_layers_of_pictures_can_be_chosen_by_name(imports: Imports, tmp_path: Path) -> None:
    zoo, result, _ = adapted(
        imports, tmp_path, "timm-resnet", hyperparameters=FAST.model_copy(update={"target_modules": ("conv2",)})
    )
    assert result["hyperparameters"]["target_modules"] == ["conv2"]
    config = (zoo.store.folder("colours", 1) / "adapter" / "adapter_config.json").read_text()
    assert "conv2" in config and "conv1" not in config


@contextmanager
def misled() -> Iterator[None]:
    """The probe learns labels of other pictures, so that there is something left to learn for LoRA."""

    def fit(features: Tensor, targets: Tensor, classes: int, *, views: int) -> Probe:
        return fit_probe(features, (targets + 1) % classes, classes, views=views)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classification, "fit_probe", fit)
        yield


@pytest.fixture(scope="module")
def learnt(imports: Imports, tmp_path_factory: pytest.TempPathFactory) -> Adapted:
    """What had something to learn, and learnt it in one go."""
    with misled():
        return adapted(imports, tmp_path_factory.mktemp("learnt"), hyperparameters=LONG)


def test_few_pictures_are_all_learnt_from_when_the_figures_are_known(learnt: Adapted) -> None:
    zoo, result, context = learnt
    assert result["hyperparameters"]["refit"] is True
    assert "Trained once more on all 60 rows of the training file" in context.messages
    assert any(
        message.startswith(("Of the training 100% is kept", "Of the training 50%")) for message in context.messages
    )
    assert context.stages.index("refit") > context.stages.index("train")
    assert result["metrics"]["heldout"]["rows"] == 9
    assert result["metrics"]["heldout"]["accuracy"] > result["metrics"]["probe"]["accuracy"]
    card = (zoo.store.folder("colours", 1) / "README.md").read_text()
    assert "the same training was done once more" in card


def test_where_lora_is_no_better_than_the_probe_the_probe_learns_from_all_rows(
    imports: Imports, tmp_path: Path
) -> None:
    still = FAST.model_copy(update={"learning_rate": 1e-9})
    zoo, result, context = adapted(imports, tmp_path, hyperparameters=still)
    assert result["metrics"]["heldout"] == {"rows": 9} | result["metrics"]["probe"]
    assert any(message.startswith("Of the training 0% is kept") for message in context.messages)
    assert "refit" not in context.stages
    assert "Trained once more on all 60 rows of the training file" in context.messages
    adapter = load_file(str(zoo.store.folder("colours", 1) / "adapter" / "adapter_model.safetensors"))
    assert not any(weight.any() for name, weight in adapter.items() if "lora_B" in name)


def test_a_validation_file_is_never_learnt_from(imports: Imports, tmp_path: Path) -> None:
    separate = upload(TinyZoo(tmp_path / "home", tmp_path / "checkpoints"), pack(colours(4, start=50_000)))
    _, result, context = adapted(imports, tmp_path, validation_file=separate)
    assert result["metrics"]["heldout"]["rows"] == 12
    assert "Trained once more on all 60 rows of the training file" in context.messages


def test_a_job_cut_off_in_the_second_training_ends_with_the_same_bits(
    learnt: Adapted, imports: Imports, tmp_path: Path
) -> None:
    with misled():
        with pytest.raises(JobPreempted):
            adapted(imports, tmp_path, stop_at=13, hyperparameters=LONG)
        resumed, _, context = adapted(imports, tmp_path, hyperparameters=LONG)
    assert sum(message.startswith("Resumed from step") for message in context.messages) == 2
    files = [zoo.store.folder("colours", 1) / "adapter" / "adapter_model.safetensors" for zoo in (learnt[0], resumed)]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_an_adapted_model_sees_the_whole_shorter_side() -> None:
    square = Preprocessing(resize=Shortest(256), crop=Crop(224, 224))
    assert without_margin(square) == Preprocessing(resize=Shortest(224), crop=Crop(224, 224))
    for other in (Preprocessing(resize=Exact(224, 224)), Preprocessing(resize=Shortest(256), crop=Crop(224, 160))):
        assert without_margin(other) == other
