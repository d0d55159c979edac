"""Which tokens a recogniser leaves out for the sake of its transcripts' style."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from adapters.datasets import Example
from adapters.training.speech.transcripts import STYLE_WORDS, without_numerals
from tests.tiny_whisper import write_tokenizer

TOKENS: dict[str, Any] = {
    "bins": 8,
    "places": 30,
    "layers": 2,
    "heads": 2,
    "width": 8,
    "most_tokens": 20,
    "start": 257,
    "end": 256,
    "no_times": 264,
    "suppressed": [3, 5],
}
SPELLED = ["He is twenty two."] * (STYLE_WORDS // 4)


def never_written(folder: Path, texts: Sequence[str]) -> set[str]:
    write_tokenizer(folder)
    examples = [Example(row, row, {"text": text}) for row, text in enumerate(texts)]
    options = without_numerals(folder, {"whisper": TOKENS}, examples)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert set(TOKENS["suppressed"]) <= set(options["whisper"]["suppressed"])
    return {tokenizer.decode([token]) for token in options["whisper"]["suppressed"] if token not in (3, 5)}


def test_numerals_are_left_out_where_transcripts_spell_numbers(tmp_path: Path) -> None:
    assert never_written(tmp_path, SPELLED) == set("0123456789")


@pytest.mark.parametrize("texts", [[*SPELLED, "Room 7."], SPELLED[:-1]], ids=["a numeral", "few words"])
def test_otherwise_numbers_are_written_as_before(tmp_path: Path, texts: list[str]) -> None:
    assert never_written(tmp_path, texts) == set()
