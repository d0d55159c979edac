"""The tokenizer of a text-to-text checkpoint, whatever files it comes in, as files that are served."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from transformers import T5Tokenizer

from adapters.training import checkpoint as checkpoints
from adapters.training.layouts.parts import unfit
from adapters.training.texts import sentencepiece
from zoo.errors import Unsupported
from zoo.tasks.processors.pieces import READER, WRITER
from zoo.tasks.ready_made.tokens import MARIAN_CODE, cleans_up, known_language, language, tokenizer_settings

FOLDER = "tokens"  # in the checkpoint: what is made of its files
TARGET = "target.json"  # by which texts are cut that a Marian is to write; not served
_MARIAN = ("</s>", "<unk>", "<pad>")
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

    def settings(self) -> dict[str, Any]:
        """For ``TextSettings``."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "files"}


def read_vocabulary(checkpoint: Path) -> Vocabulary:
    """Reads the checkpoint's tokenizer and writes what is served into its folder ``tokens``.

    Raises ``InvalidInput`` (``invalid_checkpoint``) for files that are missing or contradict each other,
    ``Unsupported`` for a Marian whose two sides have vocabularies of their own.
    """
    kind, _ = checkpoints.architectures(checkpoint)
    made = checkpoint / FOLDER
    made.mkdir(exist_ok=True)
    if kind == "marian" and (checkpoint / "source.spm").is_file():
        return _marian(checkpoint, made)
    if kind == "m2m_100" and (checkpoint / "sentencepiece.bpe.model").is_file() and not _ready(checkpoint):
        return _m2m(checkpoint, made)
    if kind == "t5" and (checkpoint / "spiece.model").is_file() and not _ready(checkpoint):
        _write_t5(checkpoint)
    checkpoints.ensure_tokenizer(checkpoint)
    return _ready_made(checkpoint, made)


def served_files(checkpoint: Path) -> dict[str, Path]:
    """Those of ``Vocabulary.files`` of a checkpoint that has been read."""
    paths = {name: checkpoint / FOLDER / name for name in (WRITER, READER)}
    return {name: path for name, path in paths.items() if path.is_file()}


def target_tokenizer(checkpoint: Path) -> Tokenizer:
    """By which texts are cut that the model is to write, of a checkpoint that has been read."""
    files = (checkpoint / FOLDER / name for name in (TARGET, READER, WRITER))
    return Tokenizer.from_file(str(next(path for path in files if path.is_file())))


def _ready(checkpoint: Path) -> bool:
    return (checkpoint / "tokenizer.json").is_file()


def _marian(checkpoint: Path, made: Path) -> Vocabulary:
    """Two SentencePiece models over one vocabulary."""
    settings = checkpoints.read_json(checkpoint / "tokenizer_config.json")
    config = checkpoints.read_json(checkpoint / "config.json")
    if settings.get("separate_vocabs") or config.get("share_encoder_decoder_embeddings") is False:
        message = "The checkpoint has a vocabulary for each language; Marians with one for both are imported."
        raise Unsupported(message, code="unsupported_architecture")
    ids = sentencepiece.read_vocabulary(checkpoint / "vocab.json")
    special = _needed(ids, _MARIAN, "vocab.json")
    codes = {found[1]: token for piece, token in ids.items() if (found := MARIAN_CODE.fullmatch(piece))}
    for name, model in ((READER, "source.spm"), (TARGET, "target.spm")):
        proto = sentencepiece.read_model(checkpoint / model)
        sentencepiece.reading(proto, ids, unknown="<unk>", special=_MARIAN).save(str(made / name))
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
    )


def _m2m(checkpoint: Path, made: Path) -> Vocabulary:
    """One SentencePiece model, a vocabulary, and behind that the languages."""
    settings = checkpoints.read_json(checkpoint / "tokenizer_config.json")
    ids = sentencepiece.read_vocabulary(checkpoint / "vocab.json")
    special = _needed(ids, ("<s>", "<pad>", "</s>", "<unk>"), "vocab.json")
    codes = _M2M_CODES.get(str(settings.get("language_codes", "m2m100")))
    if codes is None:
        raise unfit("has a tokenizer_config.json that names unknown language_codes")
    languages = {code: len(ids) + place for place, code in enumerate(codes.split())}
    named = {f"__{code}__": token for code, token in languages.items()}
    proto = sentencepiece.read_model(checkpoint / "sentencepiece.bpe.model")
    sentencepiece.reading(proto, ids, unknown="<unk>", special=tuple(special)).save(str(made / READER))
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


def _write_t5(checkpoint: Path) -> None:
    """``tokenizer.json`` from SentencePiece's file, with transformers' own parts around it."""
    proto = sentencepiece.read_model(checkpoint / "spiece.model")
    extra = checkpoints.read_json(checkpoint / "tokenizer_config.json").get("extra_ids", 100)
    if not isinstance(extra, int) or not 0 <= extra <= 10_000:
        raise unfit("has a tokenizer_config.json whose extra_ids is no number of tokens")
    pieces = [*sentencepiece.scores(proto), *((f"<extra_id_{place}>", 0.0) for place in reversed(range(extra)))]
    table = sentencepiece.charsmap(proto)
    tokenizer = T5Tokenizer(vocab=pieces, _spm_precompiled_charsmap=table, extra_ids=extra)
    tokenizer.backend_tokenizer.save(str(checkpoint / "tokenizer.json"))


def _ready_made(checkpoint: Path, made: Path) -> Vocabulary:
    """A ``tokenizer.json`` that reads and writes."""
    shutil.copyfile(checkpoint / "tokenizer.json", made / WRITER)
    return Vocabulary(files=served_files(checkpoint), **tokenizer_settings(checkpoint))


def _needed(ids: Mapping[str, int], tokens: tuple[str, ...], file: str) -> dict[str, int]:
    for token in tokens:
        if token not in ids:
            raise unfit(f"has a {file} without {token}")
    return {token: ids[token] for token in tokens}
