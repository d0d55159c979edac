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
        ("", ""),
    ],
)
def test_case_width_spaces_and_punctuation_do_not_count(text: str, folded: str) -> None:
    assert fold(text) == folded


def test_punctuation_counts_strictly() -> None:
    assert fold_strictly(" Fine  :) ") == "fine :)"
