"""Duplicates and conflicting labels among up to a million texts, from 8-byte digests: about 28 bytes a text."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

from adapters.datasets.fold import digest, fold_marks, fold_strictly

_BUCKET = 65536  # texts compared at a time: bounds the dictionaries of the survey


@dataclass(slots=True)
class Survey:
    """``conflicting[i]`` is 1 where text i stands in the data with another label too."""

    distinct: int = 0
    duplicate_groups: int = 0
    duplicate_rows: int = 0
    conflicts: list[list[int]] = field(default_factory=list)
    conflicting: bytearray = field(default_factory=bytearray)


class Fingerprints:
    """Remembers digests only. Texts are numbered from 0 in the order of ``add``."""

    def __init__(self) -> None:
        self._loose = array("Q")
        self._strict = array("Q")
        self._labels = array("I")

    def add(self, text: str, label: int) -> None:
        """``label`` is the number of the text's class."""
        strict = fold_strictly(text)
        loose = fold_marks(strict)
        self._strict.append(first := digest(strict))
        self._loose.append(first if loose is strict else digest(loose))
        self._labels.append(label)

    def survey(self) -> Survey:
        """Duplicates are counted with punctuation folded, conflicts with it kept ('fine :)' is not 'fine :(')."""
        survey = Survey(conflicting=bytearray(len(self._loose)))
        for bucket in self._buckets():
            groups = self._repeated(bucket, survey)
            for group in groups:
                survey.duplicate_groups += 1
                survey.duplicate_rows += len(group) - 1
                for same in self._conflicts(group):
                    survey.conflicts.append(same)
                    for index in same:
                        survey.conflicting[index] = 1
        survey.conflicts.sort()
        return survey

    def _buckets(self) -> list[array[int]]:
        count = 1 + len(self._loose) // _BUCKET
        buckets = [array("I") for _ in range(count)]
        for index, value in enumerate(self._loose):
            buckets[value % count].append(index)
        return buckets

    def _repeated(self, bucket: array[int], survey: Survey) -> list[list[int]]:
        first: dict[int, int] = {}
        groups: dict[int, list[int]] = {}
        for index in bucket:
            value = self._loose[index]
            earlier = first.setdefault(value, index)
            if earlier != index:
                groups.setdefault(value, [earlier]).append(index)
        survey.distinct += len(first)
        return list(groups.values())

    def _conflicts(self, group: list[int]) -> Iterator[list[int]]:
        if len({self._labels[index] for index in group}) == 1:
            return
        by_text: dict[int, list[int]] = {}
        for index in group:
            by_text.setdefault(self._strict[index], []).append(index)
        for same in by_text.values():
            if len({self._labels[index] for index in same}) > 1:
                yield same
