"""SentencePiece models as tokenizers of the ``tokenizers`` library, with ids of one's own; no sentencepiece needed.

Kudo and Richardson, "SentencePiece", 2018. The normaliser is the one that transformers' converters build; unlike
those the ids follow a vocabulary that stands beside the model, as Marian and M2M-100 have it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE, Unigram, WordLevel
from transformers.convert_slow_tokenizer import generate_merges, import_protobuf

from adapters.training.layouts.parts import unfit
from zoo.errors import InvalidInput

SPACE = "▁"
_NORMAL, _USER, _BYTE = 1, 4, 6  # kinds of pieces
_UNIGRAM, _BPE = 1, 2  # kinds of models
_MOST_BYTES = 64 * 1024 * 1024


def read_model(path: Path) -> Any:
    """The protocol buffer of a ``.spm`` or ``.model`` file; raises ``InvalidInput`` for anything else."""
    proto = import_protobuf().ModelProto()
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise unfit(f"has a {path.name} larger than a vocabulary can be")
        proto.ParseFromString(path.read_bytes())
    except InvalidInput:
        raise
    except Exception:  # the library's own for what is no protocol buffer
        raise unfit(f"has a {path.name} that is no SentencePiece model") from None
    kind = proto.trainer_spec.model_type
    if kind not in (_UNIGRAM, _BPE) or not any(piece.type == _NORMAL for piece in proto.pieces):
        raise unfit(f"has a {path.name} whose kind of SentencePiece model is not read: unigram and BPE are")
    if any(piece.type == _BYTE for piece in proto.pieces):
        raise unfit(f"has a {path.name} that writes unknown letters in bytes, which is not read")
    return proto


def scores(proto: Any) -> list[tuple[str, float]]:
    """Every piece with its score, in the order of the model's own ids."""
    return [(piece.piece, piece.score) for piece in proto.pieces]


def charsmap(proto: Any) -> bytes | None:
    """The table of letters that are written as others, where there is one."""
    return proto.normalizer_spec.precompiled_charsmap or None


def reading(proto: Any, vocabulary: Mapping[str, int], *, unknown: str, special: tuple[str, ...]) -> Tokenizer:
    """A tokenizer that cuts texts as the model does and gives each piece its id in ``vocabulary``.

    A piece that is not in there gets an id beyond all that are; what has no piece is ``unknown``. ``special`` tokens
    are found in texts as they stand.
    """
    beyond = 1 + max(vocabulary.values())
    pieces = {piece.piece: piece.score for piece in proto.pieces if piece.type in (_NORMAL, _USER)}
    others = (piece for piece in pieces if piece not in vocabulary)
    ids = {**vocabulary, **{piece: beyond + place for place, piece in enumerate(others)}}
    kind = proto.trainer_spec.model_type
    tokenizer = Tokenizer(_unigram(pieces, ids, unknown, special) if kind == _UNIGRAM else _bpe(pieces, ids, unknown))
    tokenizer.normalizer = _normaliser(proto)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(
        replacement=SPACE,
        prepend_scheme="always" if proto.normalizer_spec.add_dummy_prefix else "never",
        split=not any(SPACE in piece.lstrip(SPACE) for piece in pieces),
    )
    tokenizer.decoder = decoders.Metaspace(replacement=SPACE, prepend_scheme="always")
    tokenizer.add_tokens([
        AddedToken(piece.piece, normalized=False, special=False) for piece in proto.pieces if piece.type == _USER
    ])  # fmt: skip
    _add_special(tokenizer, special)
    return tokenizer


def writing(vocabulary: Mapping[str, int], *, unknown: str, special: tuple[str, ...]) -> Tokenizer:
    """A tokenizer that puts pieces together to texts by their ids in ``vocabulary``."""
    tokenizer = Tokenizer(WordLevel(dict(vocabulary), unk_token=unknown))
    tokenizer.decoder = decoders.Metaspace(replacement=SPACE, prepend_scheme="always")
    _add_special(tokenizer, special)
    return tokenizer


def read_vocabulary(path: Path) -> dict[str, int]:
    """Piece -> id of a ``vocab.json``; raises ``InvalidInput`` for anything else."""
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise unfit(f"has no {path.name} that can be read") from None
    good = isinstance(loaded, dict) and all(type(place) is int and 0 <= place < 2**24 for place in loaded.values())
    if not good or not loaded or len(set(loaded.values())) < len(loaded):
        raise unfit(f"has a {path.name} that does not give each piece a number of its own")
    return {str(piece): place for piece, place in loaded.items()}


def _unigram(pieces: Mapping[str, float], ids: Mapping[str, int], unknown: str, special: tuple[str, ...]) -> Unigram:
    """A token that the model cannot cut out, one of the other language, has a name that no text holds."""
    named = {place: piece for piece, place in ids.items()}
    known = [named.get(place, "") for place in range(1 + max(ids.values()))]
    cut = {*pieces, *special, unknown}
    table = [(piece if piece in cut else f"\0{place}", pieces.get(piece, 0.0)) for place, piece in enumerate(known)]
    return Unigram(table, unk_id=ids[unknown], byte_fallback=False)


def _bpe(pieces: Mapping[str, float], ids: Mapping[str, int], unknown: str) -> BPE:
    merges = generate_merges(dict(ids), list(pieces.items()), skip_tokens=set(ids) - set(pieces))
    return BPE(dict(ids), merges, unk_token=unknown, fuse_unk=True)


def _normaliser(proto: Any) -> normalizers.Sequence:
    spec = proto.normalizer_spec
    return normalizers.Sequence(list(_steps(spec.precompiled_charsmap, spec.remove_extra_whitespaces)))


def _steps(table: bytes, single_spaces: bool) -> Iterator[Any]:
    if table:
        yield normalizers.Precompiled(table)
    if single_spaces:
        yield normalizers.Strip()
        yield normalizers.Replace(Regex(" {2,}"), " ")


def _add_special(tokenizer: Tokenizer, special: tuple[str, ...]) -> None:
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in special])
