from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from api.cli import app
from zoo.catalogue.entry import ModelEntry
from zoo.catalogue.store import Store


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with tickets@1: a model and an adapter."""
    home = tmp_path / "home"
    store = Store(home)
    draft = ModelEntry(
        name="tickets",
        version=1,
        task="text-classification",
        modality="text",
        architecture="bert",
        licence="Apache-2.0",
        created=1700000000,
    )
    with store.staging() as staged:
        (staged / "model.onnx").write_bytes(b"graph")
        (staged / "adapter").mkdir()
        (staged / "adapter" / "adapter_config.json").write_text("{}")
        store.publish(staged, draft)
    return home


def export(home: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["export", *words, "--home", str(home)])


def test_a_version_is_copied_whole_with_its_manifest(home: Path, tmp_path: Path) -> None:
    target = tmp_path / "out" / "tickets"
    result = export(home, "tickets@1", str(target))
    assert result.exit_code == 0, result.output
    assert (target / "model.onnx").read_bytes() == b"graph"
    assert (target / "adapter" / "adapter_config.json").read_text() == "{}"
    assert json.loads((target / "manifest.json").read_text())["name"] == "tickets"
    assert [path.name for path in target.parent.iterdir()] == ["tickets"]


def test_json_names_model_folder_and_files(home: Path, tmp_path: Path) -> None:
    shown = json.loads(export(home, "tickets", str(tmp_path / "out"), "--json").stdout)
    assert (shown["model"], shown["bytes"]) == ("tickets@1", 7)
    assert sorted(shown["files"]) == ["adapter/adapter_config.json", "model.onnx"]


def test_a_changed_file_is_not_exported(home: Path, tmp_path: Path) -> None:
    (home / "models" / "tickets" / "1" / "model.onnx").write_bytes(b"grapH")
    result = export(home, "tickets", str(tmp_path / "out"))
    assert result.exit_code == 65
    assert "model.onnx" in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_folder_with_something_in_it_is_left_alone(home: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "mine.txt").write_text("mine")
    result = export(home, "tickets", str(target))
    assert result.exit_code == 65 and "not an empty folder" in result.stderr
    assert [path.name for path in target.iterdir()] == ["mine.txt"]


def test_an_empty_folder_is_filled(home: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    assert export(home, "tickets", str(target)).exit_code == 0
    assert (target / "model.onnx").is_file()


def test_a_mistyped_name_gets_the_nearest(home: Path, tmp_path: Path) -> None:
    result = export(home, "tickts", str(tmp_path / "out"))
    assert result.exit_code == 65
    assert "tickets" in result.stderr
