"""Strings to token ids: bounds, truncation from either side, characters of every kind."""

from __future__ import annotations

import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from tests.tiny import write_tokenizer
from zoo.errors import ArtifactCorrupt, InvalidInput, TooLarge
from zoo.tasks.processors.text import TextProcessor

LONG = "my parcel was late again " * 20  # 100 words, 48 tokens fit


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(made)
    return made


@pytest.fixture(scope="module")
def processor(folder: Path) -> TextProcessor:
    return TextProcessor(folder / "tokenizer.json", max_tokens=48, pad_token_id=9)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize(
    "text", ["my parcel was late", "Refund!  42,", LONG, LONG + "xyz", "\u00e9t\u00e9 \u4f60\u597d"]
)
def test_the_ids_are_those_of_the_models_own_tokenizer(
    processor: TextProcessor, folder: Path, text: str, side: str
) -> None:
    own: Any = AutoTokenizer.from_pretrained(folder, truncation_side=side)
    assert processor.encode(text, side=side).ids.tolist() == own(text, truncation=True, max_length=48)["input_ids"]


def test_a_text_that_fits_to_the_last_token_is_not_called_truncated(processor: TextProcessor) -> None:
    assert processor.encode("my " * 46).truncated is False
    assert processor.encode("my " * 47).truncated is True
    assert processor.encode("my " * 47).cost == 48


def test_a_text_cut_on_the_left_keeps_its_end(processor: TextProcessor) -> None:
    text = "invoice " * 60 + "parcel"
    assert processor.encode("parcel").ids[1] == processor.encode(text, side="left").ids[-2]
    assert processor.encode("invoice").ids[1] == processor.encode(text, side="right").ids[-2]


def test_cutting_on_the_left_once_does_not_change_later_texts(processor: TextProcessor) -> None:
    text = "invoice " * 60 + "parcel"
    before = processor.encode(text).ids.tolist()
    processor.encode(text, side="left")
    assert processor.encode(text).ids.tolist() == before


def test_a_text_that_would_be_cut_is_refused_on_request(processor: TextProcessor) -> None:
    assert processor.encode("my parcel", truncate=False).truncated is False
    with pytest.raises(TooLarge, match="48 tokens") as caught:
        processor.encode(LONG, truncate=False)
    assert caught.value.code == "input_too_long"


@pytest.mark.parametrize("size", [1_000_000, 10_000_000])
def test_a_huge_text_is_refused_without_being_copied(processor: TextProcessor, size: int) -> None:
    text = " " + "a" * size + " "
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge, match="at most 768") as caught:
            processor.encode(text)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
    assert caught.value.code == "input_too_long"


def test_the_bound_is_sixteen_characters_for_each_token(processor: TextProcessor) -> None:
    assert processor.encode("a" * 768).cost <= 48
    with pytest.raises(TooLarge):
        processor.encode("a" * 769)


@pytest.mark.parametrize(
    "text",
    [
        "\U0001f600 parcel \U0001f1eb\U0001f1ee",
        "\u05e9\u05dc\u05d5\u05dd parcel \u0645\u0631\u062d\u0628\u0627 \u202e\u202c",
        "e" + "\u0301" * 700,
        "\u0301" * 700,
        "\U0001f469\u200d\U0001f469\u200d\U0001f467",
        "\u200d",
        "parcel\x00 \x07\x1b[31m\x7f\x85",
        "\x07",
        "\ufeffparcel\ufffe",
        "\U0010ffff",
    ],
    ids=["emoji", "rtl", "combining", "marks-alone", "zwj", "zwj-alone", "control", "control-alone", "bom", "last"],
)
def test_unusual_characters_give_tokens(processor: TextProcessor, text: str) -> None:
    encoded = processor.encode(text)
    assert 2 <= encoded.cost <= 48
    assert (encoded.ids[0], encoded.ids[-1]) == (2, 3)


def test_a_hundred_thousand_combining_marks_are_refused(processor: TextProcessor) -> None:
    with pytest.raises(TooLarge):
        processor.encode("e" + "\u0301" * 100_000)


@pytest.mark.parametrize("text", ["", "   ", "\n\t \u00a0\u2003", "half \ud83d a pair", "\udc00"])
def test_a_text_without_content_or_with_half_a_character_is_invalid(processor: TextProcessor, text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        processor.encode(text)
    assert caught.value.code == "invalid_text"


@pytest.mark.parametrize("item", [None, 5, 1.5, True, b"parcel", ["parcel"], {"text": "parcel"}])
def test_what_is_no_string_is_invalid(processor: TextProcessor, item: object) -> None:
    with pytest.raises(InvalidInput, match="string") as caught:
        processor.encode(item)
    assert (caught.value.code, caught.value.param) == ("invalid_request", "inputs")


def test_a_batch_is_padded_on_the_right_with_the_models_padding(processor: TextProcessor) -> None:
    batch = processor.batch([processor.encode("parcel"), processor.encode("my parcel late")])
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]
    assert batch["input_ids"][0, 3:].tolist() == [9, 9]
    assert batch["token_type_ids"].tolist() == [[0] * 5, [0] * 5]
    assert {values.dtype.name for values in batch.values()} == {"int64"}


def test_threads_that_cut_on_both_sides_do_not_disturb_each_other(folder: Path) -> None:
    fresh = TextProcessor(folder / "tokenizer.json", max_tokens=8)
    text = "invoice " * 14 + "parcel"
    sides = ["left", "right"] * 50
    last = {"left": fresh.encode("parcel").ids[1], "right": fresh.encode("invoice").ids[1]}
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda side: fresh.encode(text, side=side).ids[-2], sides))
    assert answers == [last[side] for side in sides]


@pytest.mark.parametrize("content", ["", "{}", "no json", '{"model": {"type": "Unknown"}}'])
def test_a_damaged_tokenizer_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(ArtifactCorrupt, match=r"^tokenizer\.json"):
        TextProcessor(tmp_path / "tokenizer.json", max_tokens=48)


def test_padding_and_truncation_that_the_file_brings_do_not_count(folder: Path, tmp_path: Path) -> None:
    from tokenizers import Tokenizer

    made = Tokenizer.from_file(str(folder / "tokenizer.json"))
    made.enable_padding(length=32)
    made.enable_truncation(4)
    made.save(str(tmp_path / "tokenizer.json"))
    fresh = TextProcessor(tmp_path / "tokenizer.json", max_tokens=48)
    assert fresh.encode("my parcel was late again").cost == 7
