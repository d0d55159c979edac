"""Fields of a message in protobuf's wire format, without a library for it: enough to look into a file of ONNX."""

from __future__ import annotations

import struct
from collections.abc import Iterator

MOST_BYTES = 2**31 - 1  # of one message: protobuf's own limit
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

Value = int | memoryview


def fields(message: memoryview) -> Iterator[tuple[int, Value]]:
    """Number and value of each field in order: a whole number, or the bytes of text, message, packed or fixed numbers.

    ``ValueError`` for bytes that are no message. Nothing is copied.
    """
    for number, value, _, _ in spans(message):
        yield number, value


def spans(message: memoryview) -> Iterator[tuple[int, Value, int, int]]:
    """As ``fields``, with the places where a field begins and ends in the message; its bytes are the last of these."""
    place, end = 0, len(message)
    while place < end:
        start = place
        tag = message[place]
        place += 1
        if tag > 0x7F:  # of a message's numbers nearly all take one byte
            tag, place = _varint(message, start)
        kind, number = tag & 7, tag >> 3
        if number == 0:
            raise ValueError("it has a field without a number")
        if kind == _VARINT:
            value, place = _varint(message, place)
            yield number, value, start, place
            continue
        if kind == _BYTES:
            if place < end and (size := message[place]) < 0x80:
                place += 1
            else:
                size, place = _varint(message, place)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError("it has a field of an unknown kind")
        if size > end - place:
            raise ValueError("it is cut off")
        yield number, message[place : place + size], start, place + size
        place += size


def messages(message: memoryview, number: int) -> Iterator[memoryview]:
    """The values of a field that holds messages or texts; ``ValueError`` where it holds something else."""
    for found, value in fields(message):
        if found == number:
            yield _bytes(value)


def text(message: memoryview, number: int) -> str:
    """The last value of a field that holds text, "" if there is none; ``ValueError`` for what is no text."""
    found = ""
    for value in messages(message, number):
        found = bytes(value).decode("utf-8")
    return found


def numbers(message: memoryview, number: int) -> list[int]:
    """The values of a field that holds whole numbers, packed or one by one; negative ones are huge."""
    found: list[int] = []
    for which, value in fields(message):
        if which != number:
            continue
        found += [value] if isinstance(value, int) else varints(value)
    return found


def varints(packed: memoryview) -> list[int]:
    """Whole numbers that are packed into one value; negative ones are huge."""
    found, place = [], 0
    while place < len(packed):
        one, place = _varint(packed, place)
        found.append(one)
    return found


def floats(message: memoryview, number: int) -> list[float]:
    """The values of a field that holds numbers of four bytes, packed or one by one."""
    packed = b"".join(bytes(value) for value in messages(message, number))
    if len(packed) % 4:
        raise ValueError("it is cut off")
    return list(struct.unpack(f"<{len(packed) // 4}f", packed))


def field(number: int, content: bytes) -> bytes:
    """A field that holds bytes, text or a message, as it is written."""
    return _written_varint(number << 3 | _BYTES) + _written_varint(len(content)) + content


def number_field(number: int, value: int) -> bytes:
    """A field that holds a whole number that is not negative."""
    return _written_varint(number << 3 | _VARINT) + _written_varint(value)


def float_field(number: int, value: float) -> bytes:
    """A field that holds a number of four bytes."""
    return _written_varint(number << 3 | _FIXED32) + struct.pack("<f", value)


def _written_varint(value: int) -> bytes:
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)


def _bytes(value: Value) -> memoryview:
    if isinstance(value, int):
        raise ValueError("it has a number where a message belongs")
    return value


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(message):
            raise ValueError("it is cut off")
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("it has a number that does not end")
