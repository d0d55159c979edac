"""A folder for each class: ``rose/1.jpg``, also below one wrapping folder or below train, val and test."""

from __future__ import annotations

import unicodedata

from adapters.datasets.media.layout import Candidate, Layout, Search
from adapters.datasets.values import LABEL_CHARACTERS


def find(search: Search) -> Layout | None:
    """Classes are the first folders below the wrapping ones; deeper folders only group. None without any folder."""
    tree = search.tree
    candidates: list[Candidate] = []
    loose: list[str] = []
    for row, name in enumerate(tree.used(tree.media), start=1):
        path = tree.below(name)
        if len(path) == 1:
            loose.append(name)
            continue
        candidates.append(Candidate(row=row, line=row, file=name, values={"label": _label(path[0])}))
    if not candidates:
        return None
    said = f"the {search.kind.one} lies in no folder of a class; it is left out"
    search.note_files("error", "missing_label", loose, said, "Move it into the folder of its class.")
    return Layout(
        name="folders",
        holds=f"{search.kind.many} in folders by class",
        candidates=tuple(candidates),
        labels=tuple(dict.fromkeys(sorted(_label(folder) for folder in tree.class_folders()))),
        unusable=len(loose),
    )


def _label(folder: str) -> str:
    clean = "".join(character for character in folder if character.isprintable())
    return " ".join(unicodedata.normalize("NFC", clean).split())[:LABEL_CHARACTERS] or "?"
