"""Divides examples into training, validation and held-out rows: stratified, seeded, equal texts never apart."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from adapters.datasets.fold import digest, fold

MAX_PART = 2000  # rows of a part beyond which more tell little about a model, but cost training data


@dataclass(frozen=True, slots=True)
class Split:
    """Positions in the sequences given to ``split``, ascending. ``validation`` selects, ``heldout`` only measures."""

    train: tuple[int, ...]
    validation: tuple[int, ...]
    heldout: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Group:
    """Rows of one text; ``rank`` is its place in the seeded order."""

    rank: int
    rows: tuple[int, ...]


def split(
    labels: Sequence[str], texts: Sequence[str], *, seed: int, shares: tuple[float, float] = (0.15, 0.15)
) -> Split:
    """``shares`` are those of validation and held-out rows of each class; a share of 0 leaves that part empty.

    Where a class goes depends on seed and texts, not on their order: a shuffled file is split the same way. Each part
    gets at least one text of every class that has three; of classes with two, every other gives its second to the
    held-out and the rest to the validation rows; a class with one text is only trained on. A part has at most about
    2,000 rows. Raises ``ValueError`` for shares that leave nothing to train on.
    """
    if min(shares) < 0 or sum(shares) >= 1:
        raise ValueError("shares have to be at least 0 and leave something to train on")
    cap = MAX_PART / max(1, len(labels))
    validation_share, heldout_share = (min(share, cap) for share in shares)
    parts: tuple[list[int], list[int], list[int]] = ([], [], [])
    pairs = 0
    for _, groups in sorted(_groups(labels, texts, seed).items()):
        groups.sort(key=lambda group: group.rank)
        total = sum(len(group.rows) for group in groups)
        if len(groups) == 2:
            shared = [part for part, share in ((2, heldout_share), (1, validation_share)) if share]
            wanted = {shared[pairs % len(shared)]: 1} if shared else {}
            pairs += 1
        else:
            wanted = {
                part: max(1, round(share * total))
                for part, share in ((2, heldout_share), (1, validation_share))
                if share
            }
        for place, (part, target) in enumerate(wanted.items(), start=1):
            # leave a text for each part that follows, and one to train on
            parts[part].extend(_take(groups, target, keep=1 + len(wanted) - place))
        parts[0].extend(row for group in groups for row in group.rows)
    return Split(train=tuple(sorted(parts[0])), validation=tuple(sorted(parts[1])), heldout=tuple(sorted(parts[2])))


def _groups(labels: Sequence[str], texts: Sequence[str], seed: int) -> dict[str, list[_Group]]:
    """Rows of equal (folded) texts, under the label that most of them have."""
    key = seed.to_bytes(8, "big", signed=True)
    rows: dict[int, list[int]] = defaultdict(list)
    for index, text in enumerate(texts):
        rows[digest(fold(text), key=key)].append(index)
    by_label: dict[str, list[_Group]] = defaultdict(list)
    for rank, members in rows.items():
        votes = Counter(labels[index] for index in members)
        label = min(votes, key=lambda name: (-votes[name], name))
        by_label[label].append(_Group(rank, tuple(members)))
    return by_label


def _take(groups: list[_Group], target: int, *, keep: int) -> list[int]:
    """Remove from ``groups`` about ``target`` rows, whole groups only, and leave at least ``keep`` groups."""
    taken: list[int] = []
    kept: list[_Group] = []
    left = len(groups)
    for group in groups:
        if left > keep and len(taken) + len(group.rows) <= target:
            taken.extend(group.rows)
            left -= 1
        else:
            kept.append(group)
    if not taken and left > keep:
        smallest = min(kept, key=lambda group: (len(group.rows), group.rank))
        kept.remove(smallest)
        taken.extend(smallest.rows)
    groups[:] = kept
    return taken
