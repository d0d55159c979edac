"""Multipart uploads read as a stream: text fields into a dict, the one file to disk, never into memory."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import anyio.to_thread
from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from api.errors import BadRequest
from zoo.catalogue.durable import storage_errors
from zoo.errors import InvalidInput, TooLarge, Unsupported

MAX_PARTS = 32
MAX_PART_HEADERS = 8
MAX_PART_HEADER_BYTES = 16 * 1024
MAX_NAME = 64  # characters of a field's name that an error repeats
MAX_FIELD_BYTES = 4 * 1024
MAX_BOUNDARY = 70  # RFC 2046
MAX_PREAMBLE = 64 * 1024


@dataclass
class Form:
    """A parsed form; ``content`` is the open temporary file, at its beginning, or None if no file was sent."""

    fields: dict[str, str] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)
    filename: str = ""
    content: IO[bytes] | None = None


@contextmanager
def spool(folder: Path) -> Iterator[IO[bytes]]:
    """A temporary file on the file system of ``folder``, without a name, so that nothing can be left behind.

    A full disk is ``Unavailable``, also when it shows as late as the file is closed.
    """
    with storage_errors(), temporary(folder) as file:
        yield file


def temporary(folder: Path) -> IO[bytes]:
    """The same for a file that outlives the block it is made in: the caller closes it."""
    with storage_errors():
        folder.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryFile(dir=folder)


async def parse_form(
    content_type: str,
    chunks: AsyncIterator[bytes],
    target: IO[bytes],
    *,
    max_bytes: int,
    lists: frozenset[str] = frozenset(),
) -> Form:
    """Read a form whose part ``file`` goes to ``target``; ``BadRequest`` (``bad_multipart``) or ``TooLarge``.

    Fields named in ``lists`` may be repeated, others may not. A disk that is full is ``Unavailable``.
    """
    reader = _Reader(_boundary(content_type), target, max_bytes, lists)
    with storage_errors():
        async for chunk in chunks:
            if chunk:
                await anyio.to_thread.run_sync(reader.feed, chunk)
        return reader.finish()


def _boundary(content_type: str) -> bytes:
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        raise Unsupported("Send the file as multipart/form-data, as its part named file.")
    boundary = options.get(b"boundary", b"")
    if not 1 <= len(boundary) <= MAX_BOUNDARY:
        raise _bad(f"the boundary has to be 1 to {MAX_BOUNDARY} characters")
    return boundary


def _bad(reason: str, *, param: str | None = None) -> BadRequest:
    return BadRequest(f"The multipart form cannot be read: {reason}.", code="bad_multipart", param=param)


class _Reader:
    """Follows the parser's callbacks, part by part."""

    def __init__(self, boundary: bytes, target: IO[bytes], max_bytes: int, lists: frozenset[str]) -> None:
        self._lists = lists
        self._form = Form()
        self._target = target
        self._max_bytes = max_bytes
        self._written = 0
        self._parts = 0
        self._preamble = 0
        self._complete = False
        self._header_name = b""
        self._header_value = b""
        self._disposition = b""
        self._name = ""
        self._value = b""
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part_begin,
                "on_part_data": self._on_part_data,
                "on_part_end": self._on_part_end,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_end": self._on_end,
            },
            max_header_count=MAX_PART_HEADERS,
            max_header_size=MAX_PART_HEADER_BYTES,
        )

    def feed(self, chunk: bytes) -> None:
        """Parse one piece of the body."""
        try:
            self._parser.write(chunk)
        except FormParserError:
            raise _bad("its boundaries or part headers are wrong") from None
        self._preamble += 0 if self._parts else len(chunk)
        if self._preamble > MAX_PREAMBLE:
            raise _bad("no part begins within the first 64 KiB")

    def finish(self) -> Form:
        """The form, if the closing boundary has been seen."""
        if not self._complete:
            raise _bad("it ends before its closing boundary")
        if self._form.content is not None:
            self._target.seek(0)
        return self._form

    def _on_part_begin(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise _bad(f"it has more than {MAX_PARTS} parts")
        self._disposition = self._header_name = self._header_value = self._value = b""

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = self._header_value
        self._header_name = self._header_value = b""

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        if not self._name:
            raise _bad("a part has no name")
        if self._name == "file":
            if self._form.content is not None:
                raise _bad("it has two parts named file")
            self._form.content = self._target
            self._form.filename = options.get(b"filename", b"").decode("utf-8", "replace").replace("%22", '"')

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._name == "file":
            self._written += end - start
            if self._written > self._max_bytes:
                raise TooLarge(f"The file is larger than {self._max_bytes} bytes.", param="file")
            self._target.write(memoryview(data)[start:end])
            return
        self._value += data[start:end]
        if len(self._value) > MAX_FIELD_BYTES:
            raise _bad(f"a text field is longer than {MAX_FIELD_BYTES} bytes", param=self._field)

    def _on_part_end(self) -> None:
        if self._name == "file":
            return
        if self._name in self._form.fields:
            raise _bad("it has two text fields of the same name", param=self._field)
        try:
            text = self._value.decode("utf-8")
        except UnicodeDecodeError:
            raise _bad("a text field is not UTF-8", param=self._field) from None
        if "\0" in text:
            raise InvalidInput("Text may not hold a NUL character.", code="invalid_text", param=self._field)
        if self._name in self._lists:
            self._form.lists.setdefault(self._name, []).append(text)
        else:
            self._form.fields[self._name] = text

    @property
    def _field(self) -> str:
        """The name of the part as an error names it."""
        return self._name[:MAX_NAME]

    def _on_end(self) -> None:
        self._complete = True
