"""Bytes to physical lines of text: encoding, line ends, NULs and over-long lines, in bounded pieces."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import IO, Literal, Protocol

from adapters.datasets.problems import DatasetFault, fault

Encoding = Literal["utf-8", "utf-8-sig", "utf-16-le", "utf-16-be"]
BLOCK = 256 * 1024
_SAVE_AS_UTF8 = "Save the file as UTF-8 (in Excel: 'CSV UTF-8') and upload it again."


class Readable(Protocol):
    """A path, or what can be opened as one."""

    def open(self, mode: Literal["rb"], /) -> IO[bytes]:
        """A fresh stream from the beginning."""


def detect_encoding(head: bytes) -> Encoding:
    """From the byte order mark; without one UTF-8. Raises ``DatasetFault`` for UTF-32."""
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        raise fault("encoding", "Line 1: a byte order mark of UTF-32, which is not read.", _SAVE_AS_UTF8, line=1)
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if head.startswith(codecs.BOM_UTF16_LE):
        return "utf-16-le"
    if head.startswith(codecs.BOM_UTF16_BE):
        return "utf-16-be"
    return "utf-8"


def read_lines(path: Readable, *, encoding: Encoding, limit: int) -> Iterator[str]:
    """Physical lines with their ends (LF, CRLF or CR, mixed as they like).

    Raises ``DatasetFault`` with the line number for a line over ``limit`` bytes, a NUL, or bytes that are not text;
    at most ``limit`` + 256 KiB are held, however long a line is.
    """
    number = 0
    pending = b""
    with path.open("rb") as stream:
        blocks = _blocks(stream, encoding)
        while True:
            try:
                block = next(blocks, b"")
            except UnicodeDecodeError:
                raise fault(
                    "encoding", f"Line {number + 1}: not valid {encoding[:6].upper()}.", _SAVE_AS_UTF8, line=number + 1
                ) from None
            last = not block
            pieces = (pending + block).splitlines(keepends=True)
            # a line without its end, or with a CR that may be half of a CRLF, waits for the next block
            pending = pieces.pop() if pieces and not last and not pieces[-1].endswith(b"\n") else b""
            for piece in pieces:
                number += 1
                yield _text(piece, number, limit)
            if len(pending) > limit:
                raise too_long(number + 1, limit)
            if last:
                return


def too_long(line: int, limit: int) -> DatasetFault:
    """The fault of a row over the limit of bytes."""
    return fault(
        "row_too_long",
        f"Line {line}: the row is longer than {limit:,} bytes.",
        "Shorten or split the text of this row; if the file is one long line, write one row per line.",
        line=line,
    )


def _blocks(stream: IO[bytes], encoding: Encoding) -> Iterator[bytes]:
    """The content as UTF-8 in blocks, without byte order mark; what precedes undecodable UTF-16 is still yielded."""
    if encoding in ("utf-8", "utf-8-sig"):
        stream.seek(3 if encoding == "utf-8-sig" else 0)
        while block := stream.read(BLOCK):
            yield block
        return
    stream.seek(2)
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    while True:
        block = stream.read(BLOCK)
        try:
            text = decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            yield error.object[: error.start].decode(encoding).encode()
            raise
        if text:
            yield text.encode()
        if not block:
            return


def _text(piece: bytes, number: int, limit: int) -> str:
    if len(piece) > limit + 2:
        raise too_long(number, limit)
    if b"\0" in piece:
        wide = piece.count(b"\0") * 3 > len(piece)
        cause = " The file looks like UTF-16 without a byte order mark." if wide else ""
        fix = _SAVE_AS_UTF8 if wide else "Remove the NUL bytes; text files do not hold them."
        position = piece.index(b"\0") + 1
        raise fault("nul_byte", f"Line {number}: a NUL byte.{cause}", fix, line=number, position=position)
    try:
        return piece.decode()
    except UnicodeDecodeError as error:
        guess = " It looks like Windows-1252 (Latin-1)." if _looks_like_windows(piece) else ""
        position = error.start + 1
        message = f"Line {number}, byte {position}: not valid UTF-8.{guess}"
        raise fault("encoding", message, _SAVE_AS_UTF8, line=number, position=position) from None


def _looks_like_windows(piece: bytes) -> bool:
    try:
        return piece.decode("cp1252").strip().isprintable()
    except UnicodeDecodeError:
        return False
