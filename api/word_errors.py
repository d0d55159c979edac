"""What a recogniser got wrong: the words of a transcript beside those that were said."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def words(text: str) -> list[str]:
    """The words in lower case, without punctuation."""
    return [found.group().lower().replace("’", "'") for found in _WORD.finditer(text)]


def word_error_rate(pairs: Iterable[tuple[str, str]]) -> float:
    """Words to insert, delete and replace so that each second text becomes the first, per word of the first ones."""
    counted = [(_steps(words(said), words(heard))[-1][-1], len(words(said))) for said, heard in pairs]
    return sum(errors for errors, _ in counted) / max(1, sum(total for _, total in counted))


def marked(said: str, heard: str) -> list[tuple[str, bool]]:
    """``heard`` in pieces, each with whether it is wrong: words that were not said, neighbours together."""
    wrong = _wrong(words(said), words(heard))
    pieces: list[tuple[str, bool]] = []
    done = 0
    for number, found in enumerate(_WORD.finditer(heard)):
        if not wrong[number]:
            continue
        joined = number > 0 and wrong[number - 1]
        if joined:
            pieces[-1] = (heard[done - len(pieces[-1][0]) : found.end()], True)
        else:
            pieces += [(heard[done : found.start()], False), (found.group(), True)]
        done = found.end()
    return [piece for piece in [*pieces, (heard[done:], False)] if piece[0]]


def _wrong(said: Sequence[str], heard: Sequence[str]) -> list[bool]:
    """Which words of ``heard`` have no equal one beside them in a cheapest alignment."""
    steps = _steps(said, heard)
    row, place = len(said), len(heard)
    wrong = [True] * place
    while row and place:
        if said[row - 1] == heard[place - 1] and steps[row][place] == steps[row - 1][place - 1]:
            row, place = row - 1, place - 1
            wrong[place] = False
        elif steps[row][place] == steps[row - 1][place - 1] + 1:
            row, place = row - 1, place - 1
        elif steps[row][place] == steps[row][place - 1] + 1:
            place -= 1
        else:
            row -= 1
    return wrong


def _steps(said: Sequence[str], heard: Sequence[str]) -> list[list[int]]:
    """Levenshtein's table: ``[i][j]`` steps from the first ``j`` words heard to the first ``i`` said."""
    steps = [list(range(len(heard) + 1))]
    for row, word in enumerate(said, 1):
        above, line = steps[-1], [row]
        for place, other in enumerate(heard, 1):
            line.append(min(above[place] + 1, line[-1] + 1, above[place - 1] + (word != other)))
        steps.append(line)
    return steps
