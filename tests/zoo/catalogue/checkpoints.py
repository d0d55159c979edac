"""Checkpoints of a few bytes, as folder, wheel and hub repository."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from zoo.catalogue.entry import CatalogueEntry, FolderSource, OfferedSource, PackageSource

WEIGHTS = save({"weight": np.arange(6, dtype=np.float32).reshape(2, 3)})
FILES: Mapping[str, bytes] = {
    "config.json": json.dumps({"model_type": "bert", "hidden_size": 4}).encode(),
    "model.safetensors": WEIGHTS,
    "tokenizer.json": b"{}",
    "vocab.txt": b"[PAD]\n",
    "1_Pooling/config.json": b"{}",
    "README.md": b"# A card",
    "modeling_tiny.py": b"raise SystemExit('remote code ran')",
    "pytorch_model.bin": b"\x80\x04pickle",
    "onnx/config.json": b"{}",
}
COPIED = ["1_Pooling/config.json", "config.json", "model.safetensors", "tokenizer.json", "vocab.txt"]


def digest(data: bytes) -> str:
    """SHA-256 as a manifest writes it."""
    return hashlib.sha256(data).hexdigest()


def entry_of(*sources: OfferedSource, files: Mapping[str, str] | None = None) -> CatalogueEntry:
    """A catalogue entry over these sources; pins the weights unless told otherwise."""
    return CatalogueEntry(
        name="tiny",
        title="Tiny",
        task="feature-extraction",
        modality="text",
        architecture="bert",
        licence="mit",
        size_mb=0.001,
        sources=sources,
        files={"model.safetensors": digest(WEIGHTS)} if files is None else dict(files),
    )


def write_folder(folder: Path, files: Mapping[str, bytes] = FILES) -> FolderSource:
    """Write a checkpoint in hub layout."""
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return FolderSource(kind="folder", path=str(folder))


def write_wheel(
    folder: Path, files: Mapping[str, bytes] = FILES, *, extra: Mapping[str | zipfile.ZipInfo, bytes] | None = None
) -> PackageSource:
    """Write ``tiny_weights-1.0-py3-none-any.whl`` with the checkpoint below ``tiny_weights/model``."""
    info = "tiny_weights-1.0.dist-info"
    members: dict[str | zipfile.ZipInfo, bytes] = {
        "tiny_weights/__init__.py": b"raise SystemExit('the package was imported')",
        **{f"tiny_weights/model/{path}": content for path, content in files.items()},
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
        **(extra or {}),
    }
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / "tiny_weights-1.0-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, content in members.items():
            wheel.writestr(name, content)
    return PackageSource(kind="package", package="tiny-weights", version="1.0", root="tiny_weights/model")
