"""What kind of file this is, by its bytes; the client's file name is not trusted."""

from __future__ import annotations

import codecs
from typing import Literal

from adapters.datasets.formats.squad import BEGIN
from zoo.errors import Unsupported

Format = Literal["csv", "jsonl", "squad", "parquet", "zip"]
HEAD_BYTES = 8192
_ACCEPTED = "Send CSV, JSONL (one JSON object per line), a SQuAD JSON, Parquet, or a zip of pictures or audio."
_TEXT_CONTROLS = frozenset(b"\t\n\r\f\x0b\x1b\x1a")

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"PK\x05\x06", "an empty zip archive"),
    (b"PK\x07\x08", "one part of a split zip archive; join the parts first"),
    (b"\x1f\x8b", "gzip-compressed; unpack it first"),
    (b"BZh", "bzip2-compressed; unpack it first"),
    (b"\xfd7zXZ\x00", "xz-compressed; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed; unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it first"),
    (b"Rar!\x1a\x07", "a rar archive; unpack it first"),
    (b"\xd0\xcf\x11\xe0", "an old Office document (for Excel: save the sheet as CSV)"),
    (b"%PDF-", "a PDF document"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"II*\x00", "a TIFF image"),
    (b"MM\x00*", "a TIFF image"),
    (b"RIFF", "a WAV, AVI or WebP file"),
    (b"OggS", "an Ogg file"),
    (b"fLaC", "a FLAC file"),
    (b"ID3\x03", "an MP3 file"),
    (b"ID3\x04", "an MP3 file"),
    (b"ARROW1", "an Arrow file (save it as Parquet)"),
    (b"\x89HDF", "an HDF5 file"),
    (b"SQLite format 3", "an SQLite database"),
    (b"\x7fELF", "a program"),
    (b"GGUF", "a model file"),
)


def sniff(head: bytes) -> Format:
    """The format of a data file from its first 8 KiB; raises ``Unsupported`` naming what the file is instead."""
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"PK\x03\x04"):
        return "zip"
    for magic, name in _MAGIC:
        if head.startswith(magic):
            raise Unsupported(f"The file is {name}. {_ACCEPTED}", param="file")
    if head[257:262] == b"ustar":
        raise Unsupported(f"The file is a tar archive; unpack it first. {_ACCEPTED}", param="file")
    if _is_binary(head):
        raise Unsupported(f"The file is not text. {_ACCEPTED}", param="file")
    text = _text(head)
    if BEGIN.match(text):
        return "squad"
    return "jsonl" if text[:1] in ("{", "[") else "csv"


def _is_binary(head: bytes) -> bool:
    """More than a tenth control bytes. UTF-16, with or without its mark, is text: every other byte of it is a NUL."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or not head:
        return False
    for start in (0, 1):
        half = head[start::2]
        if half.count(0) > 0.8 * len(half) and not head[1 - start :: 2].count(0):
            return False
    controls = sum(byte < 32 and byte not in _TEXT_CONTROLS for byte in head)
    return controls > 0.1 * len(head)


def _text(head: bytes) -> str:
    """Without the spaces at its beginning."""
    encoding = "utf-8-sig"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    return head.decode(encoding, errors="ignore").lstrip()
