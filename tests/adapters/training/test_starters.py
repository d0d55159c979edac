"""The starters that ship can be imported as they are."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from adapters.training.architectures.efficientnet_lite import MAPS
from adapters.training.architectures.unet import UNetDecoder
from adapters.training.architectures.word_head import WordHead
from adapters.training.checkpoint import infer_task, read_json
from adapters.training.detection.dense_detector import DetectorConfig, new_detector
from adapters.training.layouts.adapted import fill_head, read_head, read_layer
from adapters.training.recipe import load_recipe
from zoo.catalogue.adapter import LoraAdapter
from zoo.catalogue.entry import CatalogueEntry
from zoo.catalogue.registry import load_catalogue
from zoo.catalogue.sources import fetch
from zoo.catalogue.sources.starter import STARTERS
from zoo.errors import SourceUnavailable
from zoo.tasks.processors.hearing import Hearing, padded

DATA = Path(__file__).parents[3].parent / "shared" / "data"
ENTRIES = [entry for entry in load_catalogue().values() if any(one.kind == "starter" for one in entry.sources)]
WHOLE = [entry for entry in ENTRIES if not entry.companions]
SMALL = [entry for entry in ENTRIES if entry.companions]


def _word_head(config: dict[str, Any], adapter: LoraAdapter) -> nn.Module:
    return WordHead(torch.zeros(len(adapter.head["bias"]), adapter.head["dense.weight"].shape[1]))


def _detection_head(config: dict[str, Any], adapter: LoraAdapter) -> nn.Module:
    return new_detector(DetectorConfig.model_validate(config)).head


def _decoder(config: dict[str, Any], adapter: LoraAdapter) -> nn.Module:
    return UNetDecoder(tuple(MAPS.values()), len(config["label_names"]), channels=config["channels"])


# Those of more than one layer; all others are linear.
HEADS = {"fill-mask": _word_head, "object-detection": _detection_head, "image-segmentation": _decoder}


@pytest.mark.parametrize("entry", SMALL, ids=lambda entry: entry.name)
def test_a_starter_without_its_body_is_an_adapter_and_a_head(entry: CatalogueEntry) -> None:
    folder = STARTERS / entry.name
    assert infer_task(folder) == entry.task
    adapter, config = LoraAdapter.read(folder / "adapter"), read_json(folder / "config.json")
    if entry.task in HEADS:
        fill_head(folder, HEADS[entry.task](config, adapter))
    elif config["label_names"]:
        head, labels = read_head(folder, adapter.head["weight"].shape[1])
        assert head.out_features == len(labels) >= 2
    else:  # answers without names
        assert read_layer(folder, adapter.head["weight"].shape[1]).out_features
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 6_000_000


@pytest.mark.real
@pytest.mark.skipif(not DATA.is_dir(), reason="the real data sets are not on this machine")
@pytest.mark.parametrize(
    ("name", "data", "ending"),
    [("spoken-digits", "fsdd", ".flac"), ("spoken-keywords", "speech_commands_small", ".ogg")],
)
def test_a_spoken_starter_knows_its_words(name: str, data: str, ending: str, tmp_path: Path) -> None:
    try:
        fetch(load_catalogue()[name], tmp_path)
    except SourceUnavailable as error:
        pytest.skip(error.message)
    servable = load_recipe("audio-classification").load(tmp_path)
    hearing = Hearing.of(servable.options["hearing"])
    with zipfile.ZipFile(DATA / data / "test.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith(ending)][::10]
        sounds, heard = padded([hearing.encode(archive.read(name)).values for name in names])
    with torch.no_grad():
        logits = servable.module(torch.from_numpy(sounds), torch.from_numpy(heard))
    said = [servable.labels[place] for place in logits.argmax(dim=1).tolist()]
    right = [word == name.split("/")[0] for word, name in zip(said, names, strict=True)]
    assert sum(right) >= len(right) - 1


@pytest.mark.parametrize("entry", WHOLE, ids=lambda entry: entry.name)
def test_a_starter_loads_for_its_task_and_answers_numbers(entry: CatalogueEntry, tmp_path: Path) -> None:
    folder = tmp_path / entry.name  # translators write down their tokens where they lie
    shutil.copytree(STARTERS / entry.name, folder)
    assert infer_task(folder) == entry.task
    servable = load_recipe(entry.task).load(folder)
    with torch.no_grad():
        answers = servable.module(**servable.example(1, servable.sizes[0]))
    for answer in answers if isinstance(answers, tuple) else (answers,):
        assert torch.isfinite(answer).all()
    assert len(servable.labels) >= 2 or entry.task == "translation"
    assert all(servable.labels)
