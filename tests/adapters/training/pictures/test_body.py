"""One body for every layout: what the checkpoint's own classifier sees, and a clear word for what does not fit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModel, AutoModelForImageClassification

from adapters.training.architectures.efficientnet_lite import WEIGHTS_FILE
from adapters.training.layer_cut import LayerCut
from adapters.training.pictures.body import example_pictures, load_body
from tests.tiny_pictures import HUB_KINDS, KINDS, LABELS, TIMM_KINDS, write_picture_checkpoint
from zoo.errors import InvalidInput, Unsupported, ZooError

WEIGHTS = "model.safetensors"
# A weight of each layout that is needed, and where it stands.
NEEDED = {"resnet": "resnet.encoder.stages.1.layers.0.layer.0.convolution.weight", "timm-vgg": "features.3.weight"}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("checkpoints")
    for kind in KINDS:
        write_picture_checkpoint(home / kind, kind)
    return home


def pixels_for(folder: Path, rows: int = 3) -> Tensor:
    return example_pictures(rows, load_body(folder).size)["pixel_values"]


def change_config(folder: Path, **fields: Any) -> Path:
    config = json.loads((folder / "config.json").read_text()) | fields
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def change_weights(folder: Path, **changes: Any) -> Path:
    weights = load_file(folder / WEIGHTS)
    for name, change in changes.items():
        if change is None:
            del weights[name]
        else:
            weights[name] = change(weights.get(name))
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    return folder


@pytest.mark.parametrize("kind", HUB_KINDS)
def test_its_classifier_on_its_vector_is_the_whole_model_of_transformers(checkpoints: Path, kind: str) -> None:
    body, pixels = load_body(checkpoints / kind), pixels_for(checkpoints / kind)
    assert body.classifier is not None
    with torch.no_grad():
        expected = AutoModelForImageClassification.from_pretrained(checkpoints / kind).eval()(pixels).logits
    torch.testing.assert_close(body.classifier(body(pixels)), expected, atol=1e-5, rtol=1e-5)
    assert expected.std(dim=0).max() > 0.1


@pytest.mark.parametrize("kind", ["resnet", "convnext", "mobilenet_v2"])
def test_the_vector_of_a_convolutional_network_is_its_pooled_output(checkpoints: Path, kind: str) -> None:
    body, pixels = load_body(checkpoints / kind), pixels_for(checkpoints / kind)
    with torch.no_grad():
        expected = AutoModel.from_pretrained(checkpoints / kind).eval()(pixels).pooler_output.flatten(1)
    torch.testing.assert_close(body(pixels), expected)


@pytest.mark.parametrize("kind", ["vit", "deit"])
def test_the_vector_of_a_transformer_is_its_class_token_after_the_norm(checkpoints: Path, kind: str) -> None:
    body, pixels = load_body(checkpoints / kind), pixels_for(checkpoints / kind)
    with torch.no_grad():
        expected = AutoModel.from_pretrained(checkpoints / kind).eval()(pixels).last_hidden_state[:, 0]
    torch.testing.assert_close(body(pixels), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_it_says_what_it_is(checkpoints: Path, kind: str) -> None:
    body = load_body(checkpoints / kind)
    assert body.labels == LABELS
    assert body.size == ((33, 33) if kind == "mobilenet_v2" else (32, 32))
    assert body(torch.zeros(2, 3, *body.size)).shape == (2, body.width)
    assert body.architecture == kind.removeprefix("timm-").split("-")[0]


@pytest.mark.parametrize("kind", KINDS)
def test_its_steps_run_one_after_the_other_on_one_tensor(checkpoints: Path, kind: str) -> None:
    body, pixels = load_body(checkpoints / kind), pixels_for(checkpoints / kind)
    cut = len(body.steps()) // 2
    assert cut >= 1
    parts = LayerCut(body.steps, cut)
    kept = parts.lower(lambda: body(pixels))
    upper = parts.upper(kept, lambda: body(torch.zeros(3, 3, 32, 32)))
    torch.testing.assert_close(upper, body(pixels))


@pytest.mark.parametrize("kind", KINDS)
def test_the_classifier_is_no_part_of_it_and_nothing_is_trained(checkpoints: Path, kind: str) -> None:
    body = load_body(checkpoints / kind)
    assert body.classifier is not None
    inside = {id(weight) for weight in body.parameters()}
    assert not inside & {id(weight) for weight in body.classifier.parameters()}
    assert not any(weight.requires_grad for weight in (*body.parameters(), *body.classifier.parameters()))
    assert not any(module.training for module in body.modules())


@pytest.mark.parametrize("kind", ["timm-resnet", "timm-vgg"])
def test_weights_of_half_precision_are_read_as_float32(tmp_path: Path, kind: str) -> None:
    folder = write_picture_checkpoint(tmp_path / "it", kind)
    expected = load_body(folder)(pixels_for(folder))
    save_file({name: one.half() for name, one in load_file(folder / WEIGHTS).items()}, folder / WEIGHTS)
    body = load_body(folder)
    assert {weight.dtype for weight in body.parameters()} == {torch.float32}
    torch.testing.assert_close(body(pixels_for(folder)), expected, atol=0.02, rtol=0.02)


def test_batch_norms_counters_may_be_missing(tmp_path: Path) -> None:
    folder = write_picture_checkpoint(tmp_path / "it", "timm-resnet")
    expected = load_body(folder)(pixels_for(folder))
    weights = {name: one for name, one in load_file(folder / WEIGHTS).items() if not name.endswith("tracked")}
    save_file(weights, folder / WEIGHTS)
    torch.testing.assert_close(load_body(folder)(pixels_for(folder)), expected)


@pytest.mark.parametrize("kind", NEEDED)
@pytest.mark.parametrize("fault", ["missing", "misshapen", "extra"])
def test_a_weight_that_does_not_fit_is_named(tmp_path: Path, kind: str, fault: str) -> None:
    folder = write_picture_checkpoint(tmp_path / "it", kind)
    name = "stray.weight" if fault == "extra" else NEEDED[kind]
    change_weights(folder, **{name: None if fault == "missing" else lambda _: torch.zeros(3, 5)})
    with pytest.raises(InvalidInput) as caught:
        load_body(folder)
    assert caught.value.code == "invalid_checkpoint"
    assert name in caught.value.message


@pytest.mark.parametrize("kind", ["resnet", "timm-vgg"])
@pytest.mark.parametrize("content", [None, b"", b"\x80\x04pickle"])
def test_weights_that_are_none_are_refused(tmp_path: Path, kind: str, content: bytes | None) -> None:
    folder = write_picture_checkpoint(tmp_path / "it", kind)
    (folder / WEIGHTS).unlink()
    if content is not None:
        (folder / WEIGHTS).write_bytes(content)
    with pytest.raises(InvalidInput, match="model.safetensors") as caught:
        load_body(folder)
    assert caught.value.code == "invalid_checkpoint"


@pytest.mark.parametrize(
    ("kind", "fields", "known"),
    [
        ("resnet", {"model_type": "swin"}, "resnet, vit, deit, convnext, mobilenet_v2"),
        ("timm-resnet", {"architecture": "efficientnet_b0"}, "resnet18, resnet34, resnet50"),
    ],
)
def test_another_architecture_is_refused_with_those_that_are_known(
    tmp_path: Path, kind: str, fields: dict[str, str], known: str
) -> None:
    folder = change_config(write_picture_checkpoint(tmp_path / "it", kind), **fields)
    with pytest.raises(Unsupported, match=known) as caught:
        load_body(folder)
    assert caught.value.code == "unsupported_architecture"


@pytest.mark.parametrize(
    ("kind", "fields", "named"),
    [
        ("timm-resnet", {"model_args": {"block": "basic"}}, "model_args.layers"),
        ("timm-resnet", {"model_args": {"block": "basic", "layers": [1], "widths": [8, 8]}}, "model_args.widths"),
        ("timm-resnet", {"model_args": {"block": "basic", "layers": [10**9]}}, "model_args.layers"),
        ("timm-resnet", {"model_args": {"block": "basic", "layers": [1], "code": "x"}}, "model_args.code"),
        ("timm-vgg", {"model_args": {"plan": []}}, "model_args.plan"),
        ("timm-vgg", {"model_args": {"plan": [8, "N"]}}, "model_args.plan"),
        ("timm-vgg", {"num_classes": -1}, "num_classes"),
        ("timm-vgg", {"architecture": ["vgg16"]}, "architecture"),
        ("timm-vgg", {"label_names": ["one"]}, "label_names"),
        ("timm-vgg", {"label_names": {"0": "one"}}, "label_names"),
        ("timm-vgg", {"pretrained_cfg": {"crop_pct": 7}}, "crop_pct"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(
    tmp_path: Path, kind: str, fields: dict[str, object], named: str
) -> None:
    folder = change_config(write_picture_checkpoint(tmp_path / "it", kind), **fields)
    with pytest.raises(InvalidInput, match=named) as caught:
        load_body(folder)
    assert caught.value.code == "invalid_checkpoint"


@pytest.mark.parametrize("fields", [{"hidden_size": "wide"}, {"num_attention_heads": 5}, {"patch_size": 0}])
def test_a_setting_of_transformers_that_makes_no_sense_is_refused(tmp_path: Path, fields: dict[str, object]) -> None:
    folder = change_config(write_picture_checkpoint(tmp_path / "it", "vit"), **fields)
    with pytest.raises(ZooError) as caught:
        load_body(folder)
    assert caught.value.code in ("invalid_checkpoint", "unsupported_architecture")


def test_pictures_of_another_size_than_the_network_takes_are_refused(tmp_path: Path) -> None:
    folder = write_picture_checkpoint(tmp_path / "it", "vit")
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    settings["size"] = {"height": 48, "width": 48}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    with pytest.raises(InvalidInput, match="48 x 48") as caught:
        load_body(folder)
    assert caught.value.code == "invalid_checkpoint"


def test_without_a_word_on_how_pictures_are_prepared_it_is_refused(tmp_path: Path) -> None:
    folder = write_picture_checkpoint(tmp_path / "it", "resnet")
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(InvalidInput, match=r"preprocessor_config\.json"):
        load_body(folder)


def test_pictures_of_all_sizes_are_refused(tmp_path: Path) -> None:
    folder = write_picture_checkpoint(tmp_path / "it", "mobilenet_v2")
    settings = json.loads((folder / "preprocessor_config.json").read_text()) | {"do_center_crop": False}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    with pytest.raises(InvalidInput, match="different sizes"):
        load_body(folder)


def test_a_checkpoint_without_a_head_is_a_body_without_a_classifier(tmp_path: Path) -> None:
    body = load_body(write_picture_checkpoint(tmp_path / "it", "vit", headed=False))
    assert (body.classifier, body.labels, body.width) == (None, (), 24)


def test_a_users_pickle_is_not_opened_under_the_published_name(tmp_path: Path) -> None:
    torch.save({}, tmp_path / WEIGHTS_FILE)
    with pytest.raises(InvalidInput) as caught:
        load_body(tmp_path)
    assert caught.value.code == "unsafe_weights"


@pytest.mark.parametrize("kind", TIMM_KINDS)
def test_maps_grow_coarser(checkpoints: Path, kind: str) -> None:
    heights = [found.shape[2] for found in load_body(checkpoints / kind).maps(torch.zeros(1, 3, 32, 32))]
    assert len(heights) >= 2
    assert heights == sorted(set(heights), reverse=True)


def test_a_network_without_maps_says_so(checkpoints: Path) -> None:
    with pytest.raises(Unsupported, match="no maps"):
        load_body(checkpoints / "vit").maps(torch.zeros(1, 3, 32, 32))


def test_classes_without_names_are_numbered(tmp_path: Path) -> None:
    folder = change_config(write_picture_checkpoint(tmp_path / "it", "timm-vgg"), label_names=None)
    assert load_body(folder).labels[:2] == ("LABEL_0", "LABEL_1")


def test_names_may_be_given_by_place(tmp_path: Path) -> None:
    names: Mapping[str, str] = {str(place): label for place, label in reversed(list(enumerate(LABELS)))}
    folder = change_config(write_picture_checkpoint(tmp_path / "it", "timm-vgg"), label_names=names)
    assert load_body(folder).labels == LABELS


@pytest.fixture
def imagenet(tmp_path: Path) -> Path:
    """A network of 1,000 classes without names, and lists of words beside it."""
    labels = [f"class {place}" for place in range(1000)]
    folder = change_config(write_picture_checkpoint(tmp_path / "it", "timm-vgg", labels=labels), label_names=None)
    synsets = [f"n{place:08}" for place in range(1000)]
    words = ["crane" if place in (134, 517) else f"word {place}, other {place}" for place in range(1000)]
    lines = [f"{synset}\t{text}" for synset, text in zip(synsets, words, strict=True)]
    (folder / "imagenet_synsets.txt").write_text("\n".join(synsets) + "\n")
    (folder / "imagenet_synset_to_lemma.txt").write_text("\n".join([*reversed(lines), "n99999999\tanother"]) + "\n")
    return folder


def test_a_thousand_classes_take_the_names_that_lie_beside_them(imagenet: Path) -> None:
    labels = load_body(imagenet).labels
    assert (labels[0], labels[999]) == ("word 0, other 0", "word 999, other 999")
    assert (labels[134], labels[517]) == ("crane (n00000134)", "crane (n00000517)")
    assert len(set(labels)) == 1000


def test_lists_of_names_that_do_not_fit_each_other_are_refused(imagenet: Path) -> None:
    (imagenet / "imagenet_synset_to_lemma.txt").write_text("n00000000\tword\n")
    with pytest.raises(InvalidInput, match=r"imagenet_synsets\.txt"):
        load_body(imagenet)
