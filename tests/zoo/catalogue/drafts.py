"""The smallest versions that can be published, built in a folder."""

from __future__ import annotations

from pathlib import Path

from zoo.catalogue.entry import CatalogueEntry, HubSource, ModelEntry
from zoo.catalogue.store import Store


def draft(name: str = "tickets", *, job: str | None = None, licence: str = "apache-2.0") -> ModelEntry:
    """An entry as a training job hands it over: no number, no files."""
    return ModelEntry(
        name=name,
        version=1,
        task="text-classification",
        modality="text",
        architecture="bert",
        licence=licence,
        created=1_700_000_000,
        base="minilm@1",
        title=f"{name} of the help desk",
        labels=("billing", "bug"),
        lineage={"job": job} if job else {},
    )


def publish(store: Store, name: str = "tickets", *, job: str | None = None, content: bytes = b"graph") -> ModelEntry:
    """Publish a version of two small files."""
    with store.staging() as staged:
        (staged / "adapter").mkdir()
        (staged / "model.onnx").write_bytes(content)
        (staged / "adapter" / "adapter_config.json").write_text("{}", encoding="utf-8")
        return store.publish(staged, draft(name, job=job))


def offer(name: str = "minilm", *, title: str = "", task: str = "feature-extraction") -> CatalogueEntry:
    """A catalogue entry that nothing is ever fetched from."""
    return CatalogueEntry(
        name=name,
        title=title or name,
        task=task,
        modality="text",
        architecture="bert",
        licence="apache-2.0",
        size_mb=91,
        sources=(HubSource(kind="hub", id=f"tiny/{name}"),),
    )


def folder_of(home: Path, entry: ModelEntry) -> Path:
    """Where a version lies on disk, as the layout promises."""
    return home / "models" / entry.name / str(entry.version)
