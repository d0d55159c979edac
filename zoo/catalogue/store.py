"""Where model versions live: immutable folders ``models/<name>/<version>``, each published by one rename.

Any number of processes may read and publish at once; every one of them may be killed at any moment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from zoo.catalogue.alias import Alias, check_alias, moved, table_text, without
from zoo.catalogue.alias_tables import AliasTables
from zoo.catalogue.durable import replace_file, storage_errors, sync_folder, write_file
from zoo.catalogue.entry import ModelEntry, is_name
from zoo.catalogue.manifest import MANIFEST, describe_files, has_all_files, read_manifest, verify_files
from zoo.catalogue.staging import Staging
from zoo.errors import ArtifactCorrupt, InvalidInput, ModelNotFound, Unavailable

LOCK_SECONDS = 60.0
_ALIASES = "aliases.json"
_HIGHEST = "highest-version"
_VERSION = re.compile(r"[1-9][0-9]{0,8}")


class Store:
    """Model versions and aliases below ``home``. Reading never locks and sees what other processes published at once.

    Every method raises ``InvalidInput`` (``invalid_id``) for a name that is none, before any file is touched.
    """

    def __init__(self, home: Path) -> None:
        self._models = home / "models"
        self._staging = Staging(home / "staging")
        self._manifests: dict[tuple[str, int], tuple[tuple[int, int, int], ModelEntry]] = {}
        self._tables = AliasTables()

    def names(self) -> list[str]:
        """Names that have a version, whole or broken, in alphabetical order."""
        try:
            found = [item.name for item in os.scandir(self._models) if item.is_dir(follow_symlinks=False)]
        except FileNotFoundError:
            return []
        return sorted(name for name in found if is_name(name) and self._numbers(name))

    def survey(self, name: str) -> tuple[list[int], list[int]]:
        """Versions that can be served and those that are broken, both ascending, from one look at the disk.

        Whole is a version whose manifest can be read and whose files are all there with their sizes.
        """
        numbers = self._numbers(name)
        whole = [number for number in numbers if self._is_whole(name, number)]
        return whole, [number for number in numbers if number not in whole]

    def versions(self, name: str) -> list[int]:
        """Versions that can be served, ascending."""
        return self.survey(name)[0]

    def broken(self, name: str) -> list[int]:
        """Versions whose folder is there but whose manifest or files are not as published, ascending."""
        return self.survey(name)[1]

    def newest(self, name: str) -> int | None:
        """The highest version that can be served."""
        return next((number for number in reversed(self._numbers(name)) if self._is_whole(name, number)), None)

    def entry(self, name: str, version: int) -> ModelEntry:
        """What the manifest says; ``ModelNotFound`` or ``ArtifactCorrupt``. Files are not read: see ``verify``."""
        try:
            # Every request comes here: joining paths with pathlib would take ten times as long as the look itself.
            status = os.lstat(f"{self._named(name)}/{version}/{MANIFEST}")
            stamp = (status.st_mtime_ns, status.st_ino, status.st_size)
        except OSError:
            if not self.folder(name, version).is_dir():
                raise ModelNotFound(f"There is no version {version} of {name}.") from None
            return read_manifest(self._models, name, version)
        known = self._manifests.get((name, version))
        if known is None or known[0] != stamp:
            known = (stamp, read_manifest(self._models, name, version))
            self._manifests[name, version] = known
        return known[1]

    def folder(self, name: str, version: int) -> Path:
        """The folder of a version, whether or not it is there."""
        return self._home_of(name) / str(version)

    def verify(self, entry: ModelEntry, *, leaving: Collection[str] = ()) -> None:
        """Read and compare every file, about 0.1 s for 90 MB; ``ArtifactCorrupt`` names the one at fault.

        ``leaving``: files and folders that nobody is about to read.
        """
        if read_manifest(self._models, entry.name, entry.version) != entry:
            raise ArtifactCorrupt(
                f"The manifest of {entry.reference} changed after it was published. Restore its folder from a backup,"
                " or delete the version and import or train it again."
            )
        verify_files(self._models, entry, leaving=leaving)

    def staging(self) -> AbstractContextManager[Path]:
        """A fresh folder to put a version together in; removed on exit unless it was published."""
        return self._staging.folder()

    def download(self, key: str) -> AbstractContextManager[Path]:
        """A folder for the files of one source that an attempt which fails leaves to the next, for a day."""
        return self._staging.kept(key)

    def publish(self, staged: Path, draft: ModelEntry, *, confirm: Callable[[], None] | None = None) -> ModelEntry:
        """Make ``staged`` the next version of ``draft.name`` and return its entry; ``staged`` is gone afterwards.

        Exactly once per ``lineage["job"]``: if that job has published under this name, its version is returned and
        ``staged`` stays. ``confirm`` is called last; what it raises ends the publication. ``draft.version`` and
        ``draft.files`` are ignored. ``InvalidInput`` for links among the files, ``Unavailable`` (``storage_full``).
        """
        home = self._home_of(draft.name)
        if staged.is_symlink() or not staged.is_dir():
            raise InvalidInput("What is to be published is not a folder.", code="invalid_model")
        with storage_errors():
            files = describe_files(staged)
            with self._locked(draft.name):
                earlier = self._published_by(draft.name, draft.lineage.get("job"))
                if earlier is not None:
                    return earlier
                numbered = draft.model_copy(update={"version": self._next(draft.name), "files": files})
                text = numbered.model_dump_json(indent=1) + "\n"
                # Parsed back, so that what is returned equals what every reader will see (lists for tuples, say).
                entry = ModelEntry.model_validate_json(text)
                write_file(staged / MANIFEST, text)
                sync_folder(staged)
                if confirm is not None:
                    confirm()
                os.rename(staged, home / str(entry.version))
                sync_folder(home)
                self._remember_highest(draft.name, entry.version)
        return entry

    def delete(self, name: str, version: int | None) -> None:
        """Remove one version, or all and the aliases with them; aliases of a removed version go first.

        Numbers are not given out again. ``ModelNotFound`` if there is nothing to remove.
        """
        with storage_errors(), self._locked(name, existing=True):
            numbers = self._numbers(name)
            doomed = [number for number in numbers if version in (None, number)]
            if not doomed:
                raise ModelNotFound(f"There is no version {version} of {name}.")
            self._remember_highest(name, max(numbers))
            self._forget_aliases_of(name, version)
            for number in doomed:
                self._staging.discard(self.folder(name, number))
            sync_folder(self._home_of(name))

    def aliases(self, name: str) -> dict[str, int]:
        """Aliases of a name and the versions they point to; ``ArtifactCorrupt`` if their file is damaged."""
        return {alias: found.version for alias, found in self.alias_table(name).items()}

    def alias_table(self, name: str) -> Mapping[str, Alias]:
        """Aliases of a name with their rollouts, all from one reading; ``ArtifactCorrupt`` if it is damaged."""
        try:
            return self._tables.read(f"{self._named(name)}/{_ALIASES}")
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (OSError, ValueError) as error:
            raise ArtifactCorrupt(
                f"The aliases of {name} cannot be read. Ask for a version, such as {name}@1, and set the aliases again"
                f" after removing {_ALIASES} from the model's folder."
            ) from error

    def set_alias(self, name: str, alias: str, version: int) -> None:
        """Point ``alias`` to ``version`` in one step, which ends its rollout; ``ModelNotFound`` unless it is whole."""
        check_alias(alias)
        with storage_errors(), self._locked(name, existing=True):
            if version not in self.versions(name):
                raise ModelNotFound(f"There is no version {version} of {name} that an alias could point to.")
            table = self.alias_table(name)
            self._write_aliases(name, {**table, alias: moved(table.get(alias), version)})

    def change_alias(self, name: str, alias: str, change: Callable[[Alias], Alias]) -> Alias:
        """Put what ``change`` makes of an alias in its place, while no other process can; what it raises changes
        nothing. ``ModelNotFound`` if there is no such alias.
        """
        check_alias(alias)
        with storage_errors(), self._locked(name, existing=True):
            table = self.alias_table(name)
            if alias not in table:
                raise ModelNotFound(f"{name} has no alias {alias}: set it first.")
            changed = change(table[alias])
            self._write_aliases(name, {**table, alias: changed})
        return changed

    def remove_alias(self, name: str, alias: str) -> None:
        """Forget ``alias``; ``ModelNotFound`` if there is none."""
        check_alias(alias)
        with storage_errors(), self._locked(name, existing=True):
            table = self.alias_table(name)
            if alias not in table:
                raise ModelNotFound(f"{name} has no alias {alias}.")
            self._write_aliases(name, {other: kept for other, kept in table.items() if other != alias})

    def _home_of(self, name: str) -> Path:
        return Path(self._named(name))

    def _named(self, name: str) -> str:
        """The folder of all versions of a name."""
        if not is_name(name):
            raise InvalidInput(
                "A model's name is 1 to 64 characters of a-z, 0-9, '.', '_' and '-' and starts with a-z or 0-9.",
                code="invalid_id",
                param="model",
            )
        return f"{self._models}/{name}"

    def _numbers(self, name: str) -> list[int]:
        try:
            items = os.listdir(self._home_of(name))
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(int(item) for item in items if _VERSION.fullmatch(item))

    def _is_whole(self, name: str, version: int) -> bool:
        try:
            return has_all_files(self._models, self.entry(name, version))
        except (ArtifactCorrupt, ModelNotFound):
            return False

    def _published_by(self, name: str, job: object) -> ModelEntry | None:
        if job is None:
            return None
        for number in self._numbers(name):
            try:
                entry = self.entry(name, number)
            except (ArtifactCorrupt, ModelNotFound):
                continue
            if entry.lineage.get("job") == job:
                return entry
        return None

    def _next(self, name: str) -> int:
        return max([0, self._highest(name), *self._numbers(name)]) + 1

    def _highest(self, name: str) -> int:
        try:
            return int((self._home_of(name) / _HIGHEST).read_text(encoding="ascii"))
        except FileNotFoundError:
            return 0
        except (OSError, ValueError) as error:
            raise ArtifactCorrupt(
                f"The record of {name}'s version numbers is damaged. Write the highest number that was ever given out"
                f" into the file {_HIGHEST} of the model's folder."
            ) from error

    def _remember_highest(self, name: str, version: int) -> None:
        if version > self._highest(name):
            replace_file(self._home_of(name) / _HIGHEST, f"{version}\n")

    def _write_aliases(self, name: str, table: Mapping[str, Alias]) -> None:
        replace_file(self._home_of(name) / _ALIASES, table_text(table))

    def _forget_aliases_of(self, name: str, version: int | None) -> None:
        # With every version gone even a damaged table is replaced.
        table = {} if version is None else self.alias_table(name)
        kept = {alias: without(one, version) for alias, one in table.items() if version and one.version != version}
        if version is None or kept != table:
            self._write_aliases(name, kept)

    @contextmanager
    def _locked(self, name: str, *, existing: bool = False) -> Iterator[None]:
        home = self._home_of(name)
        if existing and not self._numbers(name):
            raise ModelNotFound(f"There is no model named {name}.")
        if not home.is_dir():
            home.mkdir(parents=True, exist_ok=True)
            sync_folder(self._models)
        try:
            with FileLock(home / ".lock", timeout=LOCK_SECONDS, preserve_lock_file=True):
                yield
        except Timeout as error:
            raise Unavailable(
                f"Another process has been writing {name} for {LOCK_SECONDS:.0f} s; try again."
            ) from error
