"""Imported picture networks answer as transformers' pipelines do on the same checkpoint, through what serves them."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch.nn import functional
from transformers import AutoImageProcessor, AutoModel, ResNetConfig, ResNetForImageClassification, pipeline

from adapters.training.export import export
from adapters.training.gate import answers_of, prove_shapes
from adapters.training.pictures.body import load_body
from adapters.training.recipe import load_recipe
from tests.imports import Imports
from tests.tiny_pictures import LABELS, picture, write_picture_checkpoint
from zoo.catalogue.entry import ModelEntry
from zoo.catalogue.registry import load_catalogue
from zoo.catalogue.sources import fetch
from zoo.catalogue.store import Store
from zoo.engine.predictor import MODEL_FILE, Predictor
from zoo.errors import InvalidInput, SourceUnavailable, Unsupported
from zoo.tasks.processors.image import open_picture, prepare

CLASSIFY, EXTRACT = "image-classification", "image-feature-extraction"
ONE_LAYER = {"num_hidden_layers": 1}
TWO_STAGES = {"hidden_sizes": [8, 24], "depths": [1, 1]}  # one that halves the picture, and one that does not
SERVED_KINDS: dict[str, dict[str, Any]] = {
    "resnet": TWO_STAGES,
    "vit": ONE_LAYER,
    "deit-distilled": ONE_LAYER,
    "convnext": {**TWO_STAGES, "num_stages": 2},
    "mobilenet_v2": {},
}
PICTURES = [picture(*size, seed=seed) for seed, size in enumerate([(40, 36), (33, 80), (200, 90), (32, 32)])]
DATA = Path(__file__).parents[4].parent / "shared" / "data"


@dataclass(frozen=True)
class Served:
    """A checkpoint and what answers for it."""

    checkpoint: Path
    predictor: Predictor


def serve(home: Path, task: str) -> Served:
    """Import ``home / checkpoint`` for the task, and load it as the server would."""
    servable = load_recipe(task).load(home / "checkpoint")
    export(servable, home / MODEL_FILE)
    prove_shapes(home, answers_of(servable), threads=1)
    entry = ModelEntry(
        name="mine",
        version=1,
        task=task,
        modality="image",
        architecture=servable.architecture,
        licence="mit",
        created=0,
        labels=servable.labels,
        limits=servable.limits,
        options=json.loads(json.dumps(servable.options)),
    )
    return Served(home / "checkpoint", Predictor(entry, home, threads=1))


@pytest.fixture(scope="module", params=SERVED_KINDS)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Served:
    home = tmp_path_factory.mktemp(request.param)
    write_picture_checkpoint(home / "checkpoint", request.param, **SERVED_KINDS[request.param])
    return serve(home, CLASSIFY)


@pytest.fixture(scope="module")
def reference(served: Served) -> Any:
    return pipeline(CLASSIFY, model=str(served.checkpoint), device="cpu")


def check_same(answers: Any, expected: list[list[dict[str, Any]]]) -> None:
    assert [[one["label"] for one in answer] for answer in answers] == [
        [one["label"] for one in row] for row in expected
    ]
    scores = [[one["score"] for one in answer] for answer in answers]
    np.testing.assert_allclose(scores, [[one["score"] for one in row] for row in expected], atol=1e-4)


@pytest.mark.parametrize(
    "parameters",
    [{}, {"top_k": 2}, {"top_k": 100}, {"function_to_apply": "sigmoid"}, {"function_to_apply": "none", "top_k": 7}],
)
def test_labels_scores_and_order_are_those_of_the_pipeline(
    served: Served, reference: Any, parameters: dict[str, Any]
) -> None:
    expected = [reference(Image.open(io.BytesIO(data)), **parameters) for data in PICTURES]
    check_same(served.predictor.predict(PICTURES, parameters).body, expected)
    assert len({round(row[0]["score"], 5) for row in expected}) > 1


def test_a_model_of_several_labels_is_answered_with_sigmoids(tmp_path: Path) -> None:
    folder = write_picture_checkpoint(tmp_path / "it", "vit", problem_type="multi_label_classification")
    assert load_recipe(CLASSIFY).load(folder).options["function_to_apply"] == "sigmoid"


def test_a_regression_model_is_refused(tmp_path: Path) -> None:
    folder = write_picture_checkpoint(tmp_path / "it", "vit", problem_type="regression")
    with pytest.raises(Unsupported, match="regression"):
        load_recipe(CLASSIFY).load(folder)


def test_without_a_head_it_is_no_classifier_but_gives_features(tmp_path: Path) -> None:
    folder = write_picture_checkpoint(tmp_path / "it", "vit", headed=False)
    with pytest.raises(Unsupported, match="image-feature-extraction") as caught:
        load_recipe(CLASSIFY).load(folder)
    assert caught.value.code == "unsupported_task"
    assert load_recipe(EXTRACT).load(folder).limits == {"width": 24}


def test_a_resnet_in_timms_layout_answers_as_transformers_with_the_same_weights(tmp_path: Path) -> None:
    arguments = {"layers": [1, 2, 1, 1], "widths": [8, 12, 16, 24], "stem": "large"}
    folder = write_picture_checkpoint(tmp_path / "checkpoint", "timm-resnet", model_args=arguments)
    config = ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 12, 16, 24], depths=[1, 2, 1, 1], layer_type="basic", num_labels=len(LABELS)
    )
    reference = ResNetForImageClassification(config).eval()
    weights = load_file(folder / "model.safetensors")
    reference.load_state_dict({_in_transformers(name): tensor for name, tensor in weights.items()})
    body = load_body(folder)
    pixels = np.stack([prepare(open_picture(data), body.preprocessing).pixels for data in PICTURES])
    with torch.no_grad():
        expected = reference(torch.from_numpy(pixels)).logits.numpy()
    rows = serve(tmp_path, CLASSIFY).predictor.rows(PICTURES)
    np.testing.assert_allclose(np.asarray(rows, dtype=float), expected, atol=1e-4, rtol=1e-5)
    assert expected.std(axis=0).max() > 0.1


def _in_transformers(name: str) -> str:
    parts = name.split(".")
    kinds = {"conv": "convolution", "bn": "normalization"}
    if parts[0] == "fc":
        return f"classifier.1.{parts[1]}"
    if not parts[0].startswith("layer"):
        return f"resnet.embedder.embedder.{kinds[parts[0][:-1]]}.{parts[1]}"
    block = f"resnet.encoder.stages.{int(parts[0][-1]) - 1}.layers.{parts[1]}"
    if parts[2] == "downsample":
        return f"{block}.shortcut.{('convolution', 'normalization')[int(parts[3])]}.{parts[4]}"
    return f"{block}.layer.{int(parts[2][-1]) - 1}.{kinds[parts[2][:-1]]}.{parts[3]}"


def test_a_vgg_in_timms_layout_answers_as_its_layers_written_out(tmp_path: Path) -> None:
    folder = write_picture_checkpoint(tmp_path / "checkpoint", "timm-vgg", model_args={"plan": [8, "M", 12, "M"]})
    weights, body = load_file(folder / "model.safetensors"), load_body(folder)
    hidden = torch.from_numpy(np.stack([prepare(open_picture(one), body.preprocessing).pixels for one in PICTURES]))
    for place in (0, 3):
        hidden = functional.conv2d(hidden, weights[f"features.{place}.weight"], weights[f"features.{place}.bias"], 1, 1)
        hidden = functional.max_pool2d(functional.relu(hidden), 2)
    expected = functional.linear(hidden.mean(dim=(2, 3)), weights["head.fc.weight"], weights["head.fc.bias"])
    rows = serve(tmp_path, CLASSIFY).predictor.rows(PICTURES)
    np.testing.assert_allclose(np.asarray(rows, dtype=float), expected.numpy(), atol=1e-4)


def test_a_mirrored_classifier_answers_with_the_mean_over_both_sides(tmp_path: Path) -> None:
    arguments = {"layers": [1, 1], "widths": [8, 12]}
    config = write_picture_checkpoint(tmp_path / "checkpoint", "timm-resnet", model_args=arguments) / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"mirrored": True}))
    predictor = serve(tmp_path, CLASSIFY).predictor
    body = load_body(tmp_path / "checkpoint")
    assert body.classifier is not None
    pixels = torch.from_numpy(prepare(open_picture(PICTURES[1]), body.preprocessing).pixels)[None]
    with torch.no_grad():
        logits = (body.classifier(body(pixels)) + body.classifier(body(pixels.flip(3)))) / 2
    answer: Any = predictor.predict(PICTURES[1], {"top_k": len(body.labels)}).body
    expected = dict(zip(body.labels, logits.softmax(1)[0].tolist(), strict=True))
    assert {one["label"]: one["score"] for one in answer} == pytest.approx(expected, abs=1e-5)


def test_features_are_the_pooled_output_of_transformers(tmp_path: Path) -> None:
    folder = write_picture_checkpoint(tmp_path / "checkpoint", "convnext", **SERVED_KINDS["convnext"])
    processor, model = AutoImageProcessor.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        inputs = [processor(Image.open(io.BytesIO(data)), return_tensors="pt") for data in PICTURES]
        expected = [model(**each).pooler_output[0].numpy() for each in inputs]
    served = serve(tmp_path, EXTRACT)
    answers: Any = served.predictor.predict(PICTURES).body
    np.testing.assert_allclose(answers, expected, atol=1e-4)
    assert served.predictor.entry.limits == {"width": 24}


def test_the_weights_of_a_known_variant_are_asked_for_by_its_name(tmp_path: Path) -> None:
    folder = write_picture_checkpoint(tmp_path / "it", "timm-vgg")
    config = json.loads((folder / "config.json").read_text()) | {"architecture": "vgg11_bn", "model_args": {}}
    (folder / "config.json").write_text(json.dumps(config))
    save_file({"head.fc.bias": torch.zeros(7)}, folder / "model.safetensors")
    with pytest.raises(InvalidInput, match=r"features\.0\.bias"):
        load_recipe(CLASSIFY).load(folder)


@pytest.mark.real
@pytest.mark.skipif(not DATA.is_dir(), reason="the real data sets are not on this machine")
def test_the_real_effnet_knows_ants_and_bees(tmp_path: Path) -> None:
    try:
        fetch(load_catalogue()["effnet-lite0"], tmp_path / "checkpoint")
    except SourceUnavailable as error:
        pytest.skip(error.message)
    served = serve(tmp_path, CLASSIFY)
    hits = {"ants": 0, "bees": 0}
    with zipfile.ZipFile(DATA / "hymenoptera" / "test.zip") as archive:
        for name in archive.namelist():
            folder = name.split("/")[0]
            if name.endswith(".jpg") and folder in hits:
                answer: Any = served.predictor.predict(archive.read(name), {"top_k": 1}).body
                hits[folder] += answer[0]["label"] in ("ant, emmet, pismire", "bee")
    assert hits == {"ants": pytest.approx(49, abs=2), "bees": pytest.approx(61, abs=2)}


@pytest.mark.parametrize(
    ("kind", "task", "found", "answers"),
    [("timm-vgg", None, CLASSIFY, 5), ("timm-resnet", EXTRACT, EXTRACT, 24)],
)
def test_an_import_publishes_a_picture_model_that_answers(
    imports: Imports, tmp_path: Path, kind: str, task: str | None, found: str, answers: int
) -> None:
    imports.bring(tmp_path, "mine", write_picture_checkpoint(tmp_path / "checkpoint", kind), task=task)
    store = Store(tmp_path)
    entry = store.entry("mine", 1)
    assert (entry.task, entry.modality, entry.parity["argmax_agreement"]) == (found, "image", 1.0)
    body: Any = Predictor(entry, store.folder("mine", 1), threads=1).predict(PICTURES[0]).body
    assert len(body) == answers
