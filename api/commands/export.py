"""`zoo export`: a published version's files copied out of the store, every hash checked on the copy."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from api.commands.session import Session, command
from api.commands.terminal import facts, size
from zoo.catalogue.entry import ModelEntry, ModelFile
from zoo.catalogue.manifest import MANIFEST
from zoo.catalogue.registry import Registry, load_catalogue
from zoo.catalogue.store import Store
from zoo.errors import ArtifactCorrupt, Conflict, InvalidInput, ModelNotFound, NotFound

app = typer.Typer()


@command(app, settings=("home",))
def export(
    session: Session,
    model: Annotated[str, typer.Argument(help="name, name@version or name@alias", show_default=False)],
    target: Annotated[Path, typer.Argument(help="A folder that does not exist yet, or is empty.", show_default=False)],
) -> None:
    """Copy a version's files out of the zoo, every hash checked."""
    store = Store(session.settings.home)
    try:
        entry = Registry(store, load_catalogue()).resolve(model)
    except ModelNotFound as error:
        home = session.settings.home
        raise NotFound(f"{error.message} Export reads {home} itself; name another folder with --home.") from None
    target = target.expanduser().absolute()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise Conflict(f"{target} is there already and not an empty folder; choose another")
    store.verify(entry)
    _copy(store.folder(entry.name, entry.version), target, entry)
    data = {
        "model": entry.reference,
        "target": str(target),
        "bytes": entry.size,
        "files": [f.path for f in entry.files],
    }
    shown = [("model", entry.reference), ("folder", target), ("size", size(entry.size)), ("files", len(entry.files))]
    session.terminal.result(data, facts(shown))


def _copy(source: Path, target: Path, entry: ModelEntry) -> None:
    """Copy beside ``target`` and rename, so that a folder of that name is always complete and proven."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as staging:
            made = Path(staging) / "copy"
            made.mkdir()
            for file in entry.files:
                _copy_file(source / file.path, made / file.path, file)
            shutil.copyfile(source / MANIFEST, made / MANIFEST, follow_symlinks=False)
            made.rename(target)
    except OSError as error:
        raise InvalidInput(f"{target} cannot be written: {error.strerror}; choose another folder") from error


def _copy_file(source: Path, target: Path, file: ModelFile) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target, follow_symlinks=False)
    with target.open("rb") as copied:
        if hashlib.file_digest(copied, "sha256").hexdigest() != file.sha256:
            raise ArtifactCorrupt(f"{file.path} changed while it was copied; try again")
