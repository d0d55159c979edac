"""Books are held out whole and cut into passages whose whole words are known."""

from __future__ import annotations

import lzma
from pathlib import Path

import numpy as np

from adapters.pretraining.books import Library, Passage, passages
from tests.tiny import tokenizer

READER = tokenizer()


def spelled(passage: Passage) -> list[str]:
    return [str(READER.id_to_token(int(token))) for token in passage.ids]


def words(passage: Passage) -> list[str]:
    return [spelled(passage)[place] for place in passage.words]


def test_no_book_is_in_two_parts(tmp_path: Path) -> None:
    books = [[f"book {number}", "second paragraph"] for number in range(33)]
    text = "\n\n".join("\n".join(book) for book in books)
    (tmp_path / "books.txt.xz").write_bytes(lzma.compress(text.encode()))
    library = Library.read(tmp_path / "books.txt.xz")
    assert library.test == [books[0], books[16], books[32]]
    assert library.validation == [books[8], books[24]]
    assert len(library.train) == 28
    assert not [book for book in library.train if book in library.test or book in library.validation]


def test_a_passage_is_whole_sentences_of_one_paragraph() -> None:
    paragraph = "my parcel was late again today. why was the order lost? please help, the card was not charged!"
    found = passages([[paragraph, "the login is locked again, please help today."]], READER, 20)
    assert [" ".join(spelled(one)) for one in found] == [
        "[CLS] my parcel was late again today . why was the order lost ? [SEP]",
        "[CLS] please help , the card was not charged ! [SEP]",
        "[CLS] the login is locked again , please help today . [SEP]",
    ]


def test_a_sentence_that_is_too_long_is_cut() -> None:
    found = passages([["my parcel was late " * 5]], READER, 12)
    assert [len(one.ids) for one in found] == [12, 12]


def test_whole_words_are_single_tokens_that_nothing_touches() -> None:
    (one,) = passages([["The parcel, why? late-lost isn't zebra my's 2nd order."]], READER, 48)
    assert words(one) == ["the", "parcel", "why", "order"]


def test_what_is_short_or_has_no_word_is_left_out() -> None:
    assert passages([["my parcel was late.", "1 2 3 4 5 6 7 8 9 0"]], READER, 48) == []


def test_both_ends_are_special() -> None:
    (one,) = passages([["my parcel was late again, please help."]], READER, 48)
    assert spelled(one)[0] == "[CLS]" and spelled(one)[-1] == "[SEP]"
    assert one.ids.dtype == np.int32
