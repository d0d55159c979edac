"""Names of ImageNet's 1,000 classes, from the two lists that the catalogue brings beside a checkpoint."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from adapters.training.layouts.parts import unfit

CLASSES = 1000
SYNSETS_FILE = "imagenet_synsets.txt"
WORDS_FILE = "imagenet_synset_to_lemma.txt"


def imagenet_labels(checkpoint: Path) -> tuple[str, ...] | None:
    """``ant, emmet, pismire`` and the like in the order of the outputs; ``None`` where the lists are not there.

    Two classes have the same words (crane, the bird and the machine): their synset ids stand behind. Raises
    ``InvalidInput`` for lists that do not fit each other.
    """
    if not (checkpoint / SYNSETS_FILE).is_file() or not (checkpoint / WORDS_FILE).is_file():
        return None
    synsets = (checkpoint / SYNSETS_FILE).read_text(encoding="utf-8").split()
    lines = (checkpoint / WORDS_FILE).read_text(encoding="utf-8").splitlines()
    words = dict(line.split("\t", 1) for line in lines if "\t" in line)
    if len(synsets) != CLASSES or not all(words.get(synset) for synset in synsets):
        raise unfit(f"has a {SYNSETS_FILE} that does not name {CLASSES} classes of its {WORDS_FILE}")
    uses = Counter(words[synset] for synset in synsets)
    return tuple(words[synset] if uses[words[synset]] == 1 else f"{words[synset]} ({synset})" for synset in synsets)
