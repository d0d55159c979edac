"""Tokenizers made of SentencePiece's files cut and join texts as transformers' do with sentencepiece itself.

What is expected was written down from transformers 5.23 with sentencepiece 0.2.3, which is not installed here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.processors import TemplateProcessing
from transformers import T5Tokenizer

from adapters.training.texts.vocabulary import read_vocabulary, target_tokenizer
from tests.tiny_texts import write_bart, write_m2m, write_marian, write_t5
from zoo.errors import InvalidInput, Unsupported
from zoo.tasks.processors.pieces import Pieces
from zoo.tasks.ready_made.vocabulary import FOLDER, Vocabulary

MARIAN = {
    "the cat sees a big dog!": [16, 36, 24, 21, 2, 6, 16, 17, 9, 3, 50],
    "she likes, he likes": [13, 7, 49, 14, 7],
    "  Katze  und Hund ": [16, 45, 17, 36, 42, 21, 16, 37, 30, 20, 16, 44, 37, 30, 20],
    "größe bigger": [16, 23, 34, 1, 21, 9, 23, 21, 34],
    "catdog": [2, 20, 31, 23],
    "ß <unk> x</s>y": [16, 67, 1, 16, 40, 0, 16, 41],
    "日本 cat": [16, 1, 2],
    "it's not, is it?": [16, 25, 36, 52, 35, 10, 49, 16, 25, 35, 16, 25, 36, 51],
}
M2M = {
    "the cat sees a big dog!": [120, 21, 18, 64, 113, 56, 61, 67, 4],
    "she likes, he likes": [115, 93, 6, 76, 93],
    "  Katze  und Hund ": [55, 130, 50],
    "größe bigger": [71, 3, 18, 61, 20, 18, 31],
    "catdog": [64, 17, 28, 20],
    "ß <unk> x</s>y": [39, 3, 3, 39, 37, 2, 39, 38],
    "日本 cat": [39, 3, 64],
    "the __de__ cat": [120, 21, 18, 39, 3, 17, 18, 3, 64],
}


def pieces_of(checkpoint: Path, vocabulary: Vocabulary) -> Pieces:
    count = json.loads((checkpoint / "config.json").read_text())["vocab_size"]
    return Pieces(checkpoint / FOLDER, count=count, unknown=vocabulary.unknown)


@pytest.mark.parametrize(("write", "expected"), [(write_marian, MARIAN), (write_m2m, M2M)], ids=["marian", "m2m_100"])
def test_texts_are_cut_as_sentencepiece_cuts_them(
    tmp_path: Path, write: Callable[..., Path], expected: dict[str, list[int]]
) -> None:
    options: dict[str, Any] = {"codes": ("deu", "fra")} if write is write_marian else {}
    checkpoint = write(tmp_path / "checkpoint", **options)
    pieces = pieces_of(checkpoint, read_vocabulary(checkpoint))
    assert {text: pieces.read(text) for text in expected} == expected


@pytest.mark.parametrize("said", [None, True, False, "yes"])
def test_a_model_of_single_sentences_says_so_in_its_settings(tmp_path: Path, said: object) -> None:
    checkpoint = write_marian(tmp_path / "checkpoint")
    path = checkpoint / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"single_sentences": said}))
    assert read_vocabulary(checkpoint).settings()["sentences"] is (said is True)


def test_a_text_that_marian_is_to_write_is_cut_by_the_other_model(tmp_path: Path) -> None:
    checkpoint = write_marian(tmp_path / "checkpoint")
    read_vocabulary(checkpoint)
    known = json.loads((checkpoint / "vocab.json").read_text())
    assert target_tokenizer(checkpoint).encode("Katze und ß", add_special_tokens=False).ids == [
        known[piece] for piece in ("▁Katze", "▁und", "▁", "ß")
    ]


def test_pieces_of_both_sides_are_joined_to_texts_without_special_tokens(tmp_path: Path) -> None:
    checkpoint = write_marian(tmp_path / "checkpoint", codes=("deu",))
    pieces = pieces_of(checkpoint, read_vocabulary(checkpoint))
    known = json.loads((checkpoint / "vocab.json").read_text())
    written = ["<pad>", ">>deu<<", "▁Katze", ",", "▁cat", "s", "<unk>", "▁", "ß", "</s>"]
    assert pieces.write([known[piece] for piece in written]) == "Katze, cats ß"


def test_languages_are_those_of_the_checkpoint(tmp_path: Path) -> None:
    marian = read_vocabulary(write_marian(tmp_path / "marian", codes=("deu", "fra")))
    assert (marian.languages, marian.reads_language, marian.target) == ({"deu": 68, "fra": 69}, False, None)
    m2m = read_vocabulary(write_m2m(tmp_path / "m2m"))
    assert len(m2m.languages) == 100 and m2m.reads_language
    assert (m2m.languages["en"], m2m.languages["de"], m2m.languages["zu"]) == (149, 147, 230)
    plain = read_vocabulary(write_marian(tmp_path / "plain"))
    assert (plain.languages, plain.source, plain.target) == ({}, "en", "de")


def test_t5_is_read_from_sentencepieces_file_alone(tmp_path: Path) -> None:
    checkpoint = write_t5(tmp_path / "t5")
    vocabulary = read_vocabulary(checkpoint)
    assert (vocabulary.before, vocabulary.after) == ((), (1,))
    pieces, reference = pieces_of(checkpoint, vocabulary), T5Tokenizer.from_pretrained(checkpoint)
    for text in ("the cat sees a big dog!", "  Katze  und ", "catdog", "it's <extra_id_0> not"):
        assert pieces.read(text) == reference(text, add_special_tokens=False).input_ids


def test_special_tokens_are_those_that_a_ready_made_tokenizer_puts_around_a_text(tmp_path: Path) -> None:
    vocabulary = read_vocabulary(write_bart(tmp_path / "bart"))
    assert (vocabulary.before, vocabulary.after, vocabulary.languages) == ((0,), (2,), {})


def test_languages_of_a_ready_made_tokenizer_are_told_from_its_special_tokens(tmp_path: Path) -> None:
    checkpoint = write_m2m(tmp_path / "nllb")
    (checkpoint / "vocab.json").unlink()  # which NLLB lacks
    made = Tokenizer(BPE({"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "a": 4}, [], unk_token="<unk>"))
    made.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>", "deu_Latn", "eng_Latn"])
    made.post_processor = TemplateProcessing(
        single="eng_Latn $A </s>", pair="eng_Latn $A $B </s>", special_tokens=[("eng_Latn", 6), ("</s>", 2)]
    )
    made.save(str(checkpoint / "tokenizer.json"))
    (checkpoint / "tokenizer_config.json").write_text(json.dumps({"src_lang": "eng_Latn", "tgt_lang": "xx"}))
    found = read_vocabulary(checkpoint)
    assert (found.languages, found.reads_language) == ({"deu_Latn": 5, "eng_Latn": 6}, True)
    assert (found.before, found.after, found.unknown) == ((), (2,), 3)
    assert (found.source, found.target) == ("eng_Latn", None)


def test_a_marian_with_two_vocabularies_is_refused(tmp_path: Path) -> None:
    checkpoint = write_marian(tmp_path / "checkpoint")
    (checkpoint / "tokenizer_config.json").write_text(json.dumps({"separate_vocabs": True}))
    with pytest.raises(Unsupported) as caught:
        read_vocabulary(checkpoint)
    assert "a vocabulary for each language" in caught.value.message


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("source.spm", b"\xff\xff not a model", "source.spm that is no SentencePiece model"),
        ("target.spm", b"", "target.spm whose kind"),
        ("vocab.json", b'["a"]', "vocab.json that does not give each piece a number"),
        ("vocab.json", b'{"</s>": 0, "<unk>": 0}', "vocab.json that does not give each piece a number"),
        ("vocab.json", b'{"</s>": 0, "<unk>": 1}', "vocab.json without <pad>"),
        ("vocab.json", b"{", "no vocab.json that can be read"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, file: str, content: bytes, said: str) -> None:
    checkpoint = write_marian(tmp_path / "checkpoint")
    (checkpoint / file).write_bytes(content)
    with pytest.raises(InvalidInput) as caught:
        read_vocabulary(checkpoint)
    assert said in caught.value.message
    assert caught.value.code == "invalid_checkpoint"
