"""One line of the zoo's list of models, and how well it answers a search."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from zoo.catalogue.entry import CatalogueEntry, ModelEntry

_TOKEN = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True)
class Listing:
    """A model by name: the version that its bare name means now, what the catalogue offers, and what is there.

    ``versions`` can be served; ``broken`` are on disk but not as they were published.
    """

    name: str
    current: ModelEntry | None
    offer: CatalogueEntry | None
    versions: tuple[int, ...] = ()
    aliases: Mapping[str, int] = field(default_factory=dict)
    broken: tuple[int, ...] = ()

    @property
    def status(self) -> Literal["ready", "available", "failed"]:
        """Ready to be asked, available to be pulled, or failed: on disk but damaged."""
        if self.current is not None:
            return "ready"
        return "failed" if self.broken or self.versions else "available"

    @property
    def task(self) -> str:
        """The task under its Hugging Face name; empty if only broken versions are known."""
        return self._known.task if self._known else ""

    @property
    def modality(self) -> str:
        """``text``, ``image`` or ``audio``; empty if only broken versions are known."""
        return self._known.modality if self._known else ""

    @property
    def licence(self) -> str:
        """The licence of the weights; empty if only broken versions are known."""
        return self._known.licence if self._known else ""

    @property
    def title(self) -> str:
        """A name for people; the plain name if there is none."""
        return (self._known.title if self._known else "") or self.name

    @property
    def base(self) -> str | None:
        """The version that the current one was adapted from, e.g. ``minilm@1``."""
        return self.current.base if self.current else None

    @property
    def _known(self) -> ModelEntry | CatalogueEntry | None:
        return self.current or self.offer


def search_words(text: str) -> list[str]:
    """The words of a search as they are compared: normalised and in lower case."""
    return unicodedata.normalize("NFKC", text).casefold().split()


def relevance(listing: Listing, words: Sequence[str]) -> int:
    """How well ``listing`` answers ``words``; 0 unless every one of them is found."""
    scores = [_relevance_of(listing, word) for word in words]
    return sum(scores) if all(scores) else 0


def _relevance_of(listing: Listing, word: str) -> int:
    if word == listing.name:
        return 100
    if word in listing.name:
        return 20
    fields = ((8, listing.title), (8, _keywords(listing)), (4, listing.task), (4, _architecture(listing)))
    weights = [weight for weight, text in fields if _holds(text, word)]
    if weights:
        return max(weights)
    return int(listing.offer is not None and _holds(listing.offer.description, word))


def _holds(text: str, word: str) -> bool:
    """Whether a word of ``text`` starts with ``word``, or ``word`` has several parts and stands in ``text``."""
    low = text.casefold()
    return any(token.startswith(word) for token in _TOKEN.findall(low)) or (not word.isalnum() and word in low)


def _keywords(listing: Listing) -> str:
    return " ".join(listing.offer.keywords) if listing.offer else ""


def _architecture(listing: Listing) -> str:
    known = listing.current or listing.offer
    return known.architecture if known else ""
