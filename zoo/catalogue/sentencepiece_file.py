"""A SentencePiece model's file, read without a library for protobuf: its pieces, and what is done to a text first."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from zoo.catalogue import wire
from zoo.catalogue.hub_layout import unfit

MOST_BYTES = 64 * 1024 * 1024  # of a file
# Numbers of fields in sentencepiece_model.proto, which never change.
_PIECES, _TRAINER, _NORMALISER = 1, 2, 3
_PIECE, _SCORE, _PIECE_KIND = 1, 2, 3
_MODEL_KIND = 3
_TABLE, _PREFIX, _SINGLE_SPACES = 2, 3, 4


class Kind(IntEnum):
    """Of a piece, as the file numbers them."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER = 4
    UNUSED = 5
    BYTE = 6


UNIGRAM, BPE = 1, 2


@dataclass(frozen=True)
class Piece:
    """A part of texts. A text is cut so that the sum of scores is largest; in BPE the largest is joined first."""

    text: str
    score: float
    kind: int


@dataclass(frozen=True)
class SentencePieceFile:
    """``pieces`` in the order of their ids; ``model`` is ``UNIGRAM`` or ``BPE``.

    ``table``: the letters that are written as others, compiled, b"" where there is none. ``prefix``: whether a text
    starts with a space. ``single_spaces``: whether spaces are stripped and those in a row become one.
    """

    pieces: tuple[Piece, ...]
    model: int
    table: bytes
    prefix: bool
    single_spaces: bool


def read_sentencepiece(path: Path) -> SentencePieceFile:
    """Of a ``.spm`` or ``.model`` file; raises ``InvalidInput`` (``invalid_checkpoint``) for anything else."""
    if path.stat().st_size > MOST_BYTES:
        raise unfit(f"has a {path.name} larger than a vocabulary can be")
    try:
        found = _read(memoryview(path.read_bytes()))
    except ValueError:
        raise unfit(f"has a {path.name} that is no SentencePiece model") from None
    if found.model not in (UNIGRAM, BPE) or not any(piece.kind == Kind.NORMAL for piece in found.pieces):
        raise unfit(f"has a {path.name} whose kind of SentencePiece model is not read: unigram and BPE are")
    if any(piece.kind == Kind.BYTE for piece in found.pieces):
        raise unfit(f"has a {path.name} that writes unknown letters in bytes, which is not read")
    return found


def _read(message: memoryview) -> SentencePieceFile:
    trainer = b"".join(wire.messages(message, _TRAINER))  # parts of one message are one
    normaliser = memoryview(b"".join(wire.messages(message, _NORMALISER)))
    tables = list(wire.messages(normaliser, _TABLE))
    return SentencePieceFile(
        pieces=tuple(_pieces(message)),
        model=_last(memoryview(trainer), _MODEL_KIND, UNIGRAM),
        table=bytes(tables[-1]) if tables else b"",
        prefix=bool(_last(normaliser, _PREFIX, 1)),
        single_spaces=bool(_last(normaliser, _SINGLE_SPACES, 1)),
    )


def _pieces(message: memoryview) -> Iterator[Piece]:
    for one in wire.messages(message, _PIECES):
        text, score, kind = "", 0.0, int(Kind.NORMAL)
        for number, value in wire.fields(one):
            if number == _PIECE_KIND and isinstance(value, int):
                kind = value
            elif number == _PIECE and not isinstance(value, int):
                text = bytes(value).decode("utf-8")
            elif number == _SCORE and not isinstance(value, int) and len(value) == 4:
                (score,) = struct.unpack("<f", value)
        yield Piece(text, score, kind)


def _last(message: memoryview, number: int, default: int) -> int:
    return (wire.numbers(message, number) or [default])[-1]
