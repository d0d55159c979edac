"""What is wrong with a text and its answer as a pair: sides swapped, copied, or of lengths that do not belong together.

Such rows are named and kept: a rule of thumb found them, and whoever sent them knows better.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping

from adapters.datasets.fold import fold_strictly
from adapters.datasets.problems import Level, Problem

KNOWN = 500  # rows by which the two languages are told apart
COMMON = 400  # words of each side that tell them
LONGER = 3.0  # times as long a side may be as the other, beside what is usual in the file
BRIEF = 20  # characters that a side may be longer in any case
SHOWN = 20  # lines that one problem names
_WORD = re.compile(r"[^\W\d_]+")


class Watch(ABC):
    """Sees the usable rows of a file one by one, in bounded memory, and tells what is wrong with them at the end."""

    def __init__(self) -> None:
        self._lines: dict[str, list[int]] = {}
        self._counts: Counter[str] = Counter()

    @abstractmethod
    def add(self, values: Mapping[str, str], line: int) -> None:
        """A row's ``source`` and ``target``."""

    @abstractmethod
    def problems(self) -> Iterator[tuple[Problem, int]]:
        """Each with the number of rows that it speaks of; to be asked for once, at the end."""

    def found(self, code: str, line: int) -> None:
        """Remember a row's fault."""
        self._counts[code] += 1
        lines = self._lines.setdefault(code, [])
        if len(lines) < SHOWN:
            lines.append(line)

    def told(self, code: str, said: str, fix: str, *, level: Level = "warning") -> Iterator[tuple[Problem, int]]:
        """One problem for all rows with a fault, if there are any; ``said`` follows their lines."""
        if count := self._counts[code]:
            lines = self._lines[code]
            more = f" and {count - len(lines):,} more" if count > len(lines) else ""
            begun = f"Line{'s' if count > 1 else ''} {', '.join(map(str, lines))}{more}: {said}"
            yield Problem(level=level, code=code, line=lines[0], message=begun, fix=fix), count


class SummaryWatch(Watch):
    """Summaries are shorter than their texts."""

    def add(self, values: Mapping[str, str], line: int) -> None:
        source, target = values["source"], values["target"]
        if fold_strictly(source) == fold_strictly(target):
            self.found("copied_text", line)
        elif len(target) > len(source):
            self.found("long_summary", line)

    def problems(self) -> Iterator[tuple[Problem, int]]:
        yield from self.told("copied_text", "the summary is the text itself.", "Write a summary or delete the row.")
        yield from self.told(
            "long_summary", "the summary is longer than its text.", "Check which side is which, or delete the row."
        )


class TranslationWatch(Watch):
    """Both sides say the same in two languages, which the file's own rows tell apart."""

    def __init__(self) -> None:
        super().__init__()
        self._sides: tuple[Counter[str], Counter[str]] = Counter(), Counter()
        self._waiting: list[tuple[list[str], list[str], int, int, int]] = []
        self._signs: dict[str, float] = {}
        self._usual = 1.0

    def add(self, values: Mapping[str, str], line: int) -> None:
        source, target = values["source"], values["target"]
        if fold_strictly(source) == fold_strictly(target):
            if len(_WORD.findall(source)) > 3:  # names and numbers are the same in many languages
                self.found("copied_text", line)
            return
        words = _words(source), _words(target)
        if self._signs:
            self._look(*words, len(source), len(target), line)
            return
        for side, said in zip(self._sides, words, strict=True):
            side.update(set(said))
        self._waiting.append((*words, len(source), len(target), line))
        if len(self._waiting) == KNOWN:
            self._learn()

    def problems(self) -> Iterator[tuple[Problem, int]]:
        self._learn()
        yield from self.told(
            "languages_swapped",
            "the two sides are in each other's language.",
            "Swap source and target in these rows.",
        )
        yield from self.told(
            "copied_text", "source and target are the same text.", "Translate the target or delete the row."
        )
        yield from self.told(
            "uneven_lengths",
            f"one side is more than {LONGER:g} times as long as the other is wont to be.",
            "Check that both sides say the same, and all of it.",
        )

    def _learn(self) -> None:
        """What tells the languages apart, from the rows so far, which are then looked at."""
        if self._signs or not self._waiting:
            return
        ratios = sorted(target / source for _, _, source, target, _ in self._waiting)
        self._usual = ratios[len(ratios) // 2]
        first, second = self._sides
        common = {word for side in self._sides for word, _ in side.most_common(COMMON)}
        # Above zero a word is more often the source's; those of both sides say little.
        self._signs = {word: (first[word] - second[word]) / (first[word] + second[word]) for word in common}
        self._signs.setdefault("", 0.0)
        for row in self._waiting:
            self._look(*row)
        self._waiting.clear()

    def _look(self, source: list[str], target: list[str], before: int, after: int, line: int) -> None:
        if self._lean(source) < 0 < self._lean(target):
            self.found("languages_swapped", line)
        likely = before * self._usual
        shorter, longer = sorted((likely, float(after)))
        if longer > LONGER * shorter and longer - shorter > BRIEF:
            self.found("uneven_lengths", line)

    def _lean(self, words: list[str]) -> float:
        """Above zero for the source's language; near it nothing is told."""
        total = sum(self._signs.get(word, 0.0) for word in words)
        return total if abs(total) >= 0.5 else 0.0


def _words(text: str) -> list[str]:
    """Words in lower case; of a script without spaces, its letters."""
    found = [word.casefold() for word in _WORD.findall(text)]
    if found and sum(map(len, found)) > 12 * len(found):
        return [letter for word in found for letter in word]
    return found
