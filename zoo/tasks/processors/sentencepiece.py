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

from zoo.catalogue.hub_layout import unfit
from zoo.catalogue.sentencepiece_file import UNIGRAM, Kind, SentencePieceFile

SPACE = "▁"


def reading(
    model: SentencePieceFile, vocabulary: Mapping[str, int], *, unknown: str, special: tuple[str, ...]
) -> Tokenizer:
    """A tokenizer that cuts texts as the model does and gives each piece its id in ``vocabulary``.

    A piece that is not in there gets an id beyond all that are; what has no piece is ``unknown``. ``special`` tokens
    are found in texts as they stand.
    """
    beyond = 1 + max(vocabulary.values())
    pieces = {piece.text: piece.score for piece in model.pieces if piece.kind in (Kind.NORMAL, Kind.USER)}
    others = (piece for piece in pieces if piece not in vocabulary)
    ids = {**vocabulary, **{piece: beyond + place for place, piece in enumerate(others)}}
    unigram = model.model == UNIGRAM
    tokenizer = Tokenizer(_unigram(pieces, ids, unknown, special) if unigram else _bpe(pieces, ids, unknown))
    tokenizer.normalizer = normalizers.Sequence(list(_steps(model)))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(
        replacement=SPACE,
        prepend_scheme="always" if model.prefix else "never",
        split=not any(SPACE in piece.lstrip(SPACE) for piece in pieces),
    )
    tokenizer.decoder = decoders.Metaspace(replacement=SPACE, prepend_scheme="always")
    tokenizer.add_tokens([
        AddedToken(piece.text, normalized=False, special=False) for piece in model.pieces if piece.kind == Kind.USER
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
    return BPE(dict(ids), list(_merges(pieces, ids)), unk_token=unknown, fuse_unk=True)


def _merges(pieces: Mapping[str, float], ids: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """All pairs of pieces that are a piece, in the order in which they are joined: that of transformers' converters.

    The larger score first, of one piece its halves by their ids; then the longer halves.
    """
    found = [
        (left, right, score)
        for piece, score in pieces.items()
        for left, right in sorted(
            ((piece[:at], piece[at:]) for at in range(1, len(piece)) if piece[:at] in pieces and piece[at:] in pieces),
            key=lambda pair: (ids[pair[0]], ids[pair[1]]),
        )
    ]
    found.sort(key=lambda merge: (merge[2], len(merge[0]), len(merge[1])), reverse=True)
    return ((left, right) for left, right, _ in found)


def _steps(model: SentencePieceFile) -> Iterator[Any]:
    if model.table:
        try:
            yield normalizers.Precompiled(model.table)
        except Exception:  # the library raises bare Exception
            raise unfit("has a SentencePiece model whose table of letters cannot be read") from None
    if model.single_spaces:
        yield normalizers.Strip()
        yield normalizers.Replace(Regex(" {2,}"), " ")


def _add_special(tokenizer: Tokenizer, special: tuple[str, ...]) -> None:
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in special])
