from __future__ import annotations

import pytest

from api.word_errors import marked, word_error_rate, words


def test_words_have_neither_case_nor_punctuation() -> None:
    assert words("It’s 4 varns -- well-cut, is_it?") == ["it's", "4", "varns", "well", "cut", "is", "it"]


@pytest.mark.parametrize(
    ("said", "heard", "rate"),
    [
        ("one two three four", "One, two, three, four!", 0.0),
        ("one two three four", "one two free four", 0.25),
        ("one two three four", "one two three", 0.25),
        ("one two three four", "one two and three four", 0.25),
        ("one two three four", "", 1.0),
        ("one", "one two three", 2.0),
    ],
)
def test_the_rate_counts_replaced_missing_and_added_words(said: str, heard: str, rate: float) -> None:
    assert word_error_rate([(said, heard)]) == rate


def test_the_rate_of_several_texts_is_by_words_not_by_texts() -> None:
    assert word_error_rate([("one two three", "one two three"), ("one", "two")]) == 0.25
    assert word_error_rate([]) == 0.0


@pytest.mark.parametrize(
    ("said", "heard", "pieces"),
    [
        ("Fit a sprindle.", "Fit a sprindle.", [("Fit a sprindle.", False)]),
        ("Fit a sprindle.", "Fit a spindle.", [("Fit a ", False), ("spindle", True), (".", False)]),
        ("Sprindle, fit.", "Sprint hill, fit.", [("Sprint hill", True), (", fit.", False)]),
        ("fit a sprindle", "fit, a", [("fit, a", False)]),
        ("", "You.", [("You", True), (".", False)]),
        ("a b c d", "a x c y", [("a ", False), ("x", True), (" c ", False), ("y", True)]),
    ],
)
def test_words_that_were_not_said_are_marked(said: str, heard: str, pieces: list[tuple[str, bool]]) -> None:
    assert marked(said, heard) == pieces
    assert "".join(text for text, _ in pieces) == heard
