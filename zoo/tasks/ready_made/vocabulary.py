"""The tokenizer of a text-to-text checkpoint as files that are served: made of SentencePiece's, or as it stands."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.catalogue.hub_layout import architectures, read_json, unfit
from zoo.catalogue.sentencepiece_file import read_sentencepiece
from zoo.errors import Unsupported
from zoo.tasks.processors import sentencepiece
from zoo.tasks.processors.pieces import READER, WRITER
from zoo.tasks.ready_made.description import needed_tokenizer
from zoo.tasks.ready_made.tokens import (
    MARIAN_CODE,
    cleans_up,
    known_language,
    language,
    reads_sentences,
    tokenizer_settings,
)

FOLDER = "tokens"  # in the checkpoint: what is made of its files
TARGET = "target.json"  # by which texts are cut that a Marian is to write; not served
_MARIAN = ("</s>", "<unk>", "<pad>")
_FILES = {
    "marian": ("vocab.json", "source.spm", "target.spm"),
    "m2m_100": ("vocab.json", "sentencepiece.bpe.model"),  # of NLLB, whose type this is too, there is no vocab.json
}
# What M2M-100 and WMT21 call their languages, in the order of their tokens, which stand behind the vocabulary.
_M2M_CODES = {
    "m2m100": "af am ar ast az ba be bg bn br bs ca ceb cs cy da de el en es et fa ff fi fr fy ga gd gl gu ha he hi hr"
    " ht hu hy id ig ilo is it ja jv ka kk km kn ko lb lg ln lo lt lv mg mk ml mn mr ms my ne nl no ns oc or pa pl ps"
    " pt ro ru sd si sk sl so sq sr ss su sv sw ta th tl tn tr uk ur uz vi wo xh yi yo zh zu",
    "wmt21": "en ha is ja cs ru zh de",
}


@dataclass(frozen=True)
class Vocabulary:
    """``files`` are served. The other fields are those of the same name in ``TextSettings``."""

    files: dict[str, Path]
    unknown: int | None
    before: tuple[int, ...]
    after: tuple[int, ...]
    languages: dict[str, int]
    reads_language: bool = False
    source: str | None = None
    target: str | None = None
    clean_up: bool = False
    sentences: bool = False

    def settings(self) -> dict[str, Any]:
        """For ``TextSettings``."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "files"}


def vocabulary_of(checkpoint: Path) -> Vocabulary:
    """Reads the checkpoint's tokenizer and writes what is served into its folder ``tokens``.

    Marian's and M2M-100's are made of SentencePiece's files where these are there, as transformers does it: a
    ``tokenizer.json`` beside them was made by someone else and cuts texts in another way. Raises ``InvalidInput``
    (``invalid_checkpoint``) for files that are missing or contradict each other, ``Unsupported`` for a Marian whose two
    sides have vocabularies of their own.
    """
    kind, _ = architectures(checkpoint)
    made = checkpoint / FOLDER
    made.mkdir(exist_ok=True)
    if is_made_of_pieces(checkpoint):
        return _marian(checkpoint, made) if kind == "marian" else _m2m(checkpoint, made)
    shutil.copyfile(needed_tokenizer(checkpoint), made / WRITER)
    return Vocabulary(files=served_files(checkpoint), **tokenizer_settings(checkpoint))


def is_made_of_pieces(checkpoint: Path) -> bool:
    """Whether there are SentencePiece's files of a kind of network whose tokenizer is made of them."""
    kind, _ = architectures(checkpoint)
    return kind in _FILES and all((checkpoint / file).is_file() for file in _FILES[kind])


def served_files(checkpoint: Path) -> dict[str, Path]:
    """Those of ``Vocabulary.files`` of a checkpoint that has been read."""
    paths = {name: checkpoint / FOLDER / name for name in (WRITER, READER)}
    return {name: path for name, path in paths.items() if path.is_file()}


def _marian(checkpoint: Path, made: Path) -> Vocabulary:
    """Two SentencePiece models over one vocabulary."""
    settings = read_json(checkpoint / "tokenizer_config.json")
    config = read_json(checkpoint / "config.json")
    if settings.get("separate_vocabs") or config.get("share_encoder_decoder_embeddings") is False:
        message = "The checkpoint has a vocabulary for each language; Marians with one for both are imported."
        raise Unsupported(message, code="unsupported_architecture")
    ids = sentencepiece.read_vocabulary(checkpoint / "vocab.json")
    special = _needed(ids, _MARIAN, "vocab.json")
    codes = {found[1]: token for piece, token in ids.items() if (found := MARIAN_CODE.fullmatch(piece))}
    for name, file in ((READER, "source.spm"), (TARGET, "target.spm")):
        model = read_sentencepiece(checkpoint / file)
        sentencepiece.reading(model, ids, unknown="<unk>", special=_MARIAN).save(str(made / name))
    writer = sentencepiece.writing(ids, unknown="<unk>", special=(*_MARIAN, *(f">>{code}<<" for code in codes)))
    writer.save(str(made / WRITER))
    return Vocabulary(
        files=served_files(checkpoint),
        unknown=special["<unk>"],
        before=(),
        after=(special["</s>"],),
        languages=codes,
        source=language(settings, "source_lang"),
        target=None if codes else language(settings, "target_lang"),
        clean_up=cleans_up(settings),
        sentences=reads_sentences(settings),
    )


def _m2m(checkpoint: Path, made: Path) -> Vocabulary:
    """One SentencePiece model, a vocabulary, and behind that the languages."""
    settings = read_json(checkpoint / "tokenizer_config.json")
    ids = sentencepiece.read_vocabulary(checkpoint / "vocab.json")
    special = _needed(ids, ("<s>", "<pad>", "</s>", "<unk>"), "vocab.json")
    codes = _M2M_CODES.get(str(settings.get("language_codes", "m2m100")))
    if codes is None:
        raise unfit("has a tokenizer_config.json that names unknown language_codes")
    languages = {code: len(ids) + place for place, code in enumerate(codes.split())}
    named = {f"__{code}__": token for code, token in languages.items()}
    model = read_sentencepiece(checkpoint / "sentencepiece.bpe.model")
    sentencepiece.reading(model, ids, unknown="<unk>", special=tuple(special)).save(str(made / READER))
    writer = sentencepiece.writing({**ids, **named}, unknown="<unk>", special=(*special, *named))
    writer.save(str(made / WRITER))
    return Vocabulary(
        files=served_files(checkpoint),
        unknown=special["<unk>"],
        before=(),
        after=(special["</s>"],),
        languages=languages,
        reads_language=True,
        source=known_language(language(settings, "src_lang"), languages),
        target=known_language(language(settings, "tgt_lang"), languages),
        clean_up=cleans_up(settings),
    )


def _needed(ids: Mapping[str, int], tokens: tuple[str, ...], file: str) -> dict[str, int]:
    for token in tokens:
        if token not in ids:
            raise unfit(f"has a {file} without {token}")
    return {token: ids[token] for token in tokens}
