"""The catalogue that ships: every file reads, and every task of the zoo has a model."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoo.catalogue.catalogue import load_catalogue
from zoo.errors import InvalidInput

TASKS = {
    "text-classification": "text",
    "zero-shot-classification": "text",
    "token-classification": "text",
    "question-answering": "text",
    "fill-mask": "text",
    "feature-extraction": "text",
    "sentence-similarity": "text",
    "translation": "text",
    "summarization": "text",
    "image-classification": "image",
    "image-feature-extraction": "image",
    "object-detection": "image",
    "image-segmentation": "image",
    "automatic-speech-recognition": "audio",
    "audio-classification": "audio",
}
GOOD = """
name = "tiny"
title = "Tiny"
task = "fill-mask"
modality = "text"
architecture = "bert"
licence = "mit"
size_mb = 1
[[sources]]
kind = "hub"
id = "tiny/bert"
"""


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_a_model_of_its_modality(task: str) -> None:
    entries = [entry for entry in load_catalogue().values() if entry.task == task]
    assert entries
    assert {entry.modality for entry in entries} == {TASKS[task]}


def test_there_is_no_model_of_a_task_that_nobody_knows() -> None:
    assert {entry.task for entry in load_catalogue().values()} == set(TASKS)


@pytest.mark.parametrize(
    "architecture",
    ["bert", "distilbert", "vit", "resnet", "vgg", "detr", "yolos", "segformer"]
    + ["wav2vec2", "hubert", "whisper", "marian"],
)
def test_the_well_known_architectures_are_there(architecture: str) -> None:
    assert architecture in {entry.architecture for entry in load_catalogue().values()}


@pytest.mark.parametrize("name", ["minilm", "effnet-lite0", "whisper-tiny-en"])
def test_the_real_bodies_come_from_the_package_index_with_pinned_weights(name: str) -> None:
    entry = load_catalogue()[name]
    assert entry.sources[0].kind == "package"
    assert entry.pins_for(entry.sources[0])


def test_the_hub_copy_of_minilm_has_to_be_the_same_as_the_packages() -> None:
    entry = load_catalogue()["minilm"]
    assert {source.kind for source in entry.sources} == {"package", "hub"}
    assert all(set(entry.pins_for(source)) == {"model.safetensors", "tokenizer.json"} for source in entry.sources)


def test_no_hub_repository_is_listed_twice() -> None:
    ids = [source.id for entry in load_catalogue().values() for source in entry.sources if source.kind == "hub"]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (GOOD.replace('"fill-mask"', "3"), "task"),
        (GOOD.replace("licence", "license"), "licence"),
        (GOOD + "mirror = 1\n", "mirror"),
        (GOOD.replace('"tiny"', '"other"', 1), "other"),
        (GOOD + '[files]\n"../x" = "' + "0" * 64 + '"\n', "files"),
        ("name = ", "TOML"),
    ],
)
def test_a_broken_file_is_named_with_its_fault(tmp_path: Path, text: str, fault: str) -> None:
    (tmp_path / "tiny.toml").write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInput) as caught:
        load_catalogue(tmp_path)
    assert caught.value.code == "invalid_catalogue"
    assert "tiny.toml" in caught.value.message
    assert fault in caught.value.message
    assert str(tmp_path) not in caught.value.message


def test_an_own_folder_of_entries_is_read(tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(GOOD, encoding="utf-8")
    assert list(load_catalogue(tmp_path)) == ["tiny"]
