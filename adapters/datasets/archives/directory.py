"""The table of contents at the end of a zip, counted before anything is built from it.

Python's ``zipfile`` makes an object of half a kilobyte for each record of 46 bytes, and believes no count: a file of
200 MB could fill the memory with four million of them.
"""

from __future__ import annotations

import struct
from typing import IO, NoReturn

from zoo.errors import InvalidInput, TooLarge

_END = struct.Struct("<4s4H2LH")
_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_RECORD = struct.Struct("<4s24x3H12x")
_COMMENT_BYTES = 65535
_RECORD_BYTES = 400  # most bytes of a record on average: 46, a name, what it says of times and owners


def check_directory(stream: IO[bytes], *, most: int) -> int:
    """The number of entries; the stream is read from its end.

    Raises ``TooLarge`` (archive_too_large) for more than ``most`` of them, ``InvalidInput`` (invalid_archive) where
    there is no whole table of contents right before the end, as in a truncated file.
    """
    size = stream.seek(0, 2)
    place, disks, count, length, start = _end(stream, size)
    if disks:
        refuse("it is one part of a split archive; join the parts first")
    if start + length != place:
        refuse("its table of contents is not where its end says; the file is truncated or damaged")
    if count > most or length > most * _RECORD_BYTES:
        raise too_many(count, most)
    stream.seek(start)
    table = stream.read(length)
    found, at = 0, 0
    while at + _RECORD.size <= len(table):
        signature, name, extra, comment = _RECORD.unpack_from(table, at)
        if signature != b"PK\x01\x02":
            break
        at += _RECORD.size + name + extra + comment
        found += 1
        if found > most:
            raise too_many(found, most)
    if at != len(table) or found != count:
        refuse("its table of contents is damaged")
    return found


def too_many(count: int, most: int) -> TooLarge:
    """The refusal of an archive with too many entries."""
    said = f"The zip holds {max(count, most + 1):,} entries or more; at most {most:,} are read. Send fewer files."
    return TooLarge(said, code="archive_too_large", param="file")


def refuse(reason: str) -> NoReturn:
    """Raise ``InvalidInput`` (invalid_archive)."""
    message = f"The zip cannot be read: {reason}. Pack the files again and upload the new file."
    raise InvalidInput(message, code="invalid_archive", param="file")


def _end(stream: IO[bytes], size: int) -> tuple[int, int, int, int, int]:
    """Where the table has to end, number of this part, entries, bytes of the table and its start."""
    tail = min(size, _END.size + _COMMENT_BYTES)
    stream.seek(size - tail)
    data = stream.read(tail)
    # as zipfile looks for it: without a comment first, then the last one that there is
    at = len(data) - _END.size
    if at < 0 or data[at : at + 4] != b"PK\x05\x06" or data[-2:] != b"\0\0":
        at = data.rfind(b"PK\x05\x06")
    if at < 0 or at + _END.size > len(data):
        refuse("it has no table of contents at its end; the file is truncated or no zip")
    _, disk, first, _, count, length, start, _ = _END.unpack_from(data, at)
    place = size - tail + at
    wide = _end64(stream, place)
    return wide or (place, disk | first, count, length, start)


def _end64(stream: IO[bytes], place: int) -> tuple[int, int, int, int, int] | None:
    """The same for archives of more than 65,535 entries or 4 GiB, or None."""
    at = place - _LOCATOR.size - _END64.size
    if at < 0:
        return None
    stream.seek(at)
    data = stream.read(_END64.size + _LOCATOR.size)
    signature, disk, offset, disks = _LOCATOR.unpack_from(data, _END64.size)
    if signature != b"PK\x06\x07":
        return None
    if data[:4] != b"PK\x06\x06" or offset != at:
        refuse("its table of contents is not where its end says; the file is truncated or damaged")
    _, _, _, _, first, second, _, count, length, start = _END64.unpack_from(data)
    return at, disk | first | second | (disks > 1), count, length, start
