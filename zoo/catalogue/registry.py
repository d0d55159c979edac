"""Names to versions: what exists, what is meant by a reference, and what somebody who mistyped may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from zoo.catalogue.catalogue import load_catalogue
from zoo.catalogue.entry import CatalogueEntry, ModelEntry
from zoo.catalogue.listing import Listing, relevance, search_words
from zoo.catalogue.reference import Reference, parse_reference
from zoo.catalogue.store import Store
from zoo.errors import ArtifactCorrupt, InvalidInput, ModelNotFound

__all__ = ["LIVE", "Listing", "Registry", "load_catalogue"]

LIVE = "live"
MAX_QUERY = 200


class Registry:
    """Looks into the store at every call, so that what another process published or removed is seen at once."""

    def __init__(self, store: Store, catalogue: Mapping[str, CatalogueEntry]) -> None:
        self._store = store
        self._catalogue = catalogue

    def resolve(self, reference: str) -> ModelEntry:
        """The version meant by ``name`` (alias ``live``, else the newest whole one), ``name@3`` or ``name@alias``.

        ``InvalidInput`` (``invalid_id``), ``ModelNotFound`` with suggestions, or ``ArtifactCorrupt``.
        """
        wanted = parse_reference(reference)
        if wanted.version is not None:
            return self._version(wanted.name, wanted.version)
        if wanted.alias is not None:
            return self._aliased(wanted.name, wanted.alias)
        return self._current(wanted.name)

    def listing(self, name: str) -> Listing:
        """What there is under ``name``; ``InvalidInput`` (``invalid_id``) or ``ModelNotFound`` with suggestions."""
        if parse_reference(name) != Reference(name):
            raise InvalidInput("A name alone is needed here, without @.", code="invalid_id", param="model")
        found = self._listing(name)
        if found.offer is None and found.status == "available":
            raise self._unknown(name)
        return found

    def listings(
        self, *, task: str | None = None, modality: str | None = None, words: str | None = None
    ) -> list[Listing]:
        """All models of a task and modality that hold every word, best first; without words by name.

        ``InvalidInput`` for a search of more than 200 characters.
        """
        if words is not None and len(words) > MAX_QUERY:
            raise InvalidInput(f"A search may have at most {MAX_QUERY} characters.", param="q")
        names = sorted({*self._store.names(), *self._catalogue})
        found = [item for item in map(self._listing, names) if _matches(item, task, modality)]
        query = search_words(words or "")
        if not query:
            return found
        ranked = [(relevance(item, query), item) for item in found]
        return [item for score, item in sorted(ranked, key=lambda pair: -pair[0]) if score > 0]

    def suggestions(self, name: str) -> tuple[str, ...]:
        """At most three names that exist and look like ``name``, nearest first."""
        known = sorted({*self._store.names(), *self._catalogue})
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
        parts = [other for other in known if len(name) > 2 and name in other]
        return tuple(dict.fromkeys([*near, *parts]))[:3]

    def _listing(self, name: str) -> Listing:
        whole, broken = self._store.survey(name)
        offer = self._catalogue.get(name)
        if not whole and not broken:
            return Listing(name, None, offer)
        aliases = self._readable_aliases(name)
        try:
            current: ModelEntry | None = self._current(name)
        except (ArtifactCorrupt, ModelNotFound):
            current = None
        return Listing(name, current, offer, tuple(whole), aliases, tuple(broken))

    def _readable_aliases(self, name: str) -> dict[str, int]:
        try:
            return self._store.aliases(name)
        except ArtifactCorrupt:
            return {}

    def _current(self, name: str) -> ModelEntry:
        if LIVE in self._store.aliases(name):
            return self._aliased(name, LIVE)
        newest = self._store.newest(name)
        if newest is not None:
            return self._store.entry(name, newest)
        if self._store.broken(name):
            raise ArtifactCorrupt(
                f"No version of {name} can be loaded, because its files are not as they were published. Restore them"
                " from a backup, or delete the model and import or train it again."
            )
        raise self._unknown(name)

    def _version(self, name: str, version: int) -> ModelEntry:
        try:
            return self._store.entry(name, version)
        except ModelNotFound as error:
            there = self._store.versions(name)
            if not there:
                raise self._unknown(name) from error
            near = sorted(there, key=lambda number: abs(number - version))[:3]
            fault = f"{name} has no version {version}; it has {_spoken(str(number) for number in there[-20:])}."
            raise ModelNotFound(fault, suggestions=tuple(f"{name}@{number}" for number in near)) from error

    def _aliased(self, name: str, alias: str) -> ModelEntry:
        table = self._store.aliases(name)
        if alias in table:
            return self._version(name, table[alias])
        if not self._store.versions(name):
            raise self._unknown(name)
        near = difflib.get_close_matches(alias, sorted(table), n=3, cutoff=0.5)
        there = f"its aliases are {_spoken(sorted(table))}" if table else "it has no aliases"
        fault = f"{name} has no alias {alias}; {there}."
        raise ModelNotFound(fault, suggestions=tuple(f"{name}@{other}" for other in near))

    def _unknown(self, name: str) -> ModelNotFound:
        if name in self._catalogue:
            return ModelNotFound(f"{name} is in the catalogue but not pulled yet: run `zoo pull {name}`.")
        near = self.suggestions(name)
        hint = f"Did you mean {_spoken(near, last='or')}?" if near else "`zoo models` lists what there is."
        return ModelNotFound(f"There is no model named {name}. {hint}", suggestions=near)


def _matches(listing: Listing, task: str | None, modality: str | None) -> bool:
    return (task is None or listing.task == task) and (modality is None or listing.modality == modality)


def _spoken(words: Iterable[str], *, last: str = "and") -> str:
    *head, tail = words
    return f"{', '.join(head)} {last} {tail}" if head else tail
