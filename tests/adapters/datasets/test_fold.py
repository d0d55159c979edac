"""When two texts count as the same."""

from __future__ import annotations

import pytest

from adapters.datasets.fold import fold, fold_strictly


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Hello,  World!", "hello world"),
        ("a_b-c", "a b c"),
        ("STRASSE Straße", "strasse strasse"),
        ("ｆｕｌｌ　ｗｉｄｔｈ", "full width"),
        ("«Bonjour» – dit-il…", "bonjour dit il"),
        ("की", "की"),
        ("good 👍", "good 👍"),
        ("5 + 3", "5 + 3"),
        ("???", "???"),
        ("e\u0301", "\u00e9"),
        ("a" + "\u0301\u0323" * 15, "\u1ea1" + "\u0323" * 14 + "\u0301" * 15),
        ("—" * 40, "—" * 40),
        ("", ""),
    ],
)
def test_case_width_spaces_and_punctuation_do_not_count(text: str, folded: str) -> None:
    assert fold(text) == folded


def test_a_run_of_more_than_thirty_combining_marks_is_cut() -> None:
    assert fold("b" + "\u0323" * 70) == "\u1e05" + "\u0323" * 29 + "\u034f" + "\u0323" * 30 + "\u034f" + "\u0323" * 10


@pytest.mark.parametrize("kind", ["\u0301\u0323", "\uff9e\u0323", "\u0344\u0f73"])
def test_combining_marks_are_ordered_within_thirty_only(kind: str) -> None:
    folded = fold_strictly("b" + kind[0] * 40 + kind[1] * 40)
    assert max(map(len, folded.split("\u034f"))) <= 61  # some are two when they are decomposed


def test_punctuation_counts_strictly() -> None:
    assert fold_strictly(" Fine  :) ") == "fine :)"
