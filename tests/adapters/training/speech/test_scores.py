"""Word and character error rates, on texts whose errors can be counted by hand."""

from __future__ import annotations

import pytest

from adapters.training.speech.scores import edits, normalised, speech_scores


@pytest.mark.parametrize(
    ("heard", "said", "changes"),
    [
        ("", "", 0),
        ("abc", "", 3),
        ("", "abc", 3),
        ("kitten", "sitting", 3),
        ("ab", "ba", 2),
        ("xabcx", "abc", 2),
        ("abc", "xaxbxcx", 4),
    ],
)
def test_edits_are_insertions_deletions_and_replacements(heard: str, said: str, changes: int) -> None:
    assert edits(heard, said) == changes


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("The man, smiled — grimly.", "the man smiled grimly"),
        ("It's grub-thief’s", "its grub thiefs"),
        ("  ÄPFEL \n zwei ", "äpfel zwei"),
        ("...", ""),
        ("", ""),
    ],
)
def test_case_and_punctuation_do_not_count(text: str, plain: str) -> None:
    assert normalised(text) == plain


def test_rates_are_of_all_clips_together() -> None:
    figures = speech_scores(["one two", "Three for!", ""], ["One, two.", "three four", "five"])
    assert (figures["rows"], figures["words"], figures["word_errors"]) == (3, 5, 2)
    assert figures["wer"] == pytest.approx(2 / 5)
    assert figures["cer"] == pytest.approx(5 / 19, abs=1e-6)  # "for" lacks a letter, "five" all four
    assert figures["score"] == pytest.approx(1 / (1 + (2 / 5 + 5 / 19) / 2), abs=1e-6)


def test_more_errors_than_words_are_a_rate_above_one_and_a_score_above_zero() -> None:
    figures = speech_scores(["a b c d"], ["x"])
    assert figures["wer"] == 4.0
    assert 0 < figures["score"] < 0.5


def test_the_fewer_errors_the_higher_the_score() -> None:
    said = ["one two three four"]
    scores = [speech_scores([heard], said)["score"] for heard in ("one two three four", "one two three", "one", "")]
    assert scores == sorted(scores, reverse=True) and len(set(scores)) == 4
