"""Long texts are cut between sentences, and inside one only where it is too long itself."""

from __future__ import annotations

import re

import pytest

from zoo.tasks.processors.passages import Passage, passages, sentences


def words(text: str) -> int:
    return len(text.split())


def letters(text: str) -> int:
    return len(text)


def test_as_many_sentences_as_fit_make_a_passage() -> None:
    text = 'He came. She saw! "What did they?" Nobody knows… It ended.'
    assert [passage.text for passage in passages(text, words, 5)] == [
        "He came. She saw!",
        '"What did they?" Nobody knows…',
        "It ended.",
    ]


def test_the_space_between_passages_is_remembered() -> None:
    assert passages("One two.\n\nThree four. Five six.", words, 2) == [
        Passage("One two.", "\n\n"),
        Passage("Three four.", " "),
        Passage("Five six.", " "),
    ]


def test_a_sentence_that_is_too_long_is_cut_at_clauses_then_at_words() -> None:
    text = "when it rains, we stay at home; if not we all go out together."
    assert [passage.text for passage in passages(text, words, 4)] == [
        "when it rains,",
        "we stay at home;",
        "if not we all",
        "go out together.",
    ]


def test_a_script_without_spaces_is_cut_behind_its_full_stops() -> None:
    assert [passage.text for passage in passages("今日は晴れ。明日は雨。", letters, 6)] == [
        "今日は晴れ。",
        "明日は雨。",
    ]


@pytest.mark.parametrize("most", [1, 2, 3, 7, 50])
def test_nothing_is_lost_and_nothing_is_too_long(most: int) -> None:
    text = "A verylongwordindeed, that; does not fit. 1.5 is a number! Is\nit?\n\n  yes  "
    found = passages(text, letters, most)
    assert all(letters(passage.text) <= most for passage in found)
    assert re.sub(r"\s", "", "".join(passage.text for passage in found)) == re.sub(r"\s", "", text)


def test_a_letter_that_counts_for_more_than_there_is_room_stays_whole() -> None:
    assert [passage.text for passage in passages("abc", lambda part: 5 * len(part), 3)] == ["a", "b", "c"]


def test_long_runs_of_stops_and_spaces_are_cut_as_short_ones_are() -> None:
    dots = passages("." * 100_000 + "b", letters, 50_000)
    assert [len(passage.text) for passage in dots] == [50_000, 50_000, 1]
    assert passages("word" + " " * 100_000 + "b", words, 1) == [Passage("word", " " * 100_000), Passage("b", " ")]


@pytest.mark.parametrize(
    "parts",
    [
        ["I like dogs. ", "He sleeps."],
        ["Mr. Smith met Dr. A. Jones on the 3. Mai. ", "They ate at 8 p.m. and left. ", "So did I. ", "We went!"],
        ['He said: "Why?" ', "Then he left.\n", "new line"],
        ["Hunde mögen z. B. Knochen. ", "Er auch."],
        ["今日は晴れ。", "明日は雨。"],
        ["a.b.c"],
        ["Stop! !!! ... ", "Now."],
        ["\n", "So."],
    ],
)
def test_sentences_end_where_a_reader_would_say_so(parts: list[str]) -> None:
    assert sentences("".join(parts)) == parts


@pytest.mark.parametrize("piece", ["1. ", ". ", "a ", "So. ", "\n", "Mr. "])
def test_a_text_of_any_kind_is_cut_in_linear_time(piece: str) -> None:
    text = piece * (100_000 // len(piece))
    assert "".join(sentences(text)) == text
