"""SQuAD's JSON: articles of paragraphs, each a context with questions and their answers; a row for each question."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from typing import IO, Any, NoReturn

from adapters.datasets.formats.lines import Encoding, Readable
from adapters.datasets.formats.rows import Row
from adapters.datasets.limits import Limits
from adapters.datasets.problems import DatasetFault, fault

# What may be told of a file before its data, as SQuAD's own and those made like it have it.
_BEFORE = r'"(?:version|title|name|description|language|split|url|license|date)"\s*:\s*(?:"[^"]*"|[\d.]+|null)\s*,\s*'
BEGIN = re.compile(rf'\s*\{{\s*(?:{_BEFORE})*"data"\s*:\s*\[')
BLOCK = 1 << 20  # characters that are read at once
ARTICLE = 16 << 20  # characters of one article at most; SQuAD's own have up to half a million
_BETWEEN = re.compile(r"[\s,]*")
_FORM = 'Write {"data": [{"title": …, "paragraphs": [{"context": …, "qas": [{"question": …, "answers": […]}]}]}]}.'


class _NotFinite(ValueError):
    """NaN or Infinity: Python reads them, JSON does not know them."""


def read_squad(path: Readable, encoding: Encoding, limits: Limits) -> Iterator[Row]:
    """Rows with ``question``, ``context``, ``answers``, ``is_impossible``, ``id`` and ``title``.

    One article is held at a time. ``line`` is that of the article's first character. Raises ``DatasetFault`` at what is
    no JSON or no article, and where rows, each with its context, are longer than the limits, alone or together.
    """
    number = total = 0
    with path.open("rb") as stream:
        text = io.TextIOWrapper(stream, encoding=_READ_AS[encoding], newline="")
        for line, article in _articles(text):
            for values, size in _questions(article, line, number):
                number, total = number + 1, total + size
                _check_size(number, line, size, total, limits)
                yield Row(number, line, values, shared=True)


def _articles(stream: IO[str]) -> Iterator[tuple[int, Any]]:
    """Each article with the line that it begins in."""
    decoder = json.JSONDecoder(parse_constant=_refuse)
    text, line = _read(stream, BLOCK, 1), 1
    begin = BEGIN.match(text)
    place = begin.end() if begin else 0
    line += text.count("\n", 0, place)
    while True:
        between = _BETWEEN.match(text, place)
        assert between is not None
        line, place = line + text.count("\n", place, between.end()), between.end()
        if text[place : place + 1] == "]":
            return
        try:
            article, end = decoder.raw_decode(text, place)
        except json.JSONDecodeError as error:
            # perhaps an article that goes on: read as much again
            wanted = max(BLOCK, len(text) - place)
            more = _read(stream, wanted, line) if len(text) - place < ARTICLE else ""
            if not more:
                raise _invalid(line + text.count("\n", place, error.pos), error.msg.lower()) from None
            text, place = text[place:] + more, 0
            continue
        except (ValueError, RecursionError):
            raise _invalid(line, "NaN, a number of thousands of digits, or nested too deeply") from None
        yield line, article
        line, place = line + text.count("\n", place, end), end


def _questions(article: Any, line: int, number: int) -> Iterator[tuple[dict[str, object], int]]:
    """The values of each row behind the ``number``-th, and their bytes."""
    paragraphs = article.get("paragraphs") if isinstance(article, dict) else None
    if not isinstance(paragraphs, list):
        raise _unfit(line, number + 1, "an article without a list of paragraphs")
    for paragraph in paragraphs:
        questions = paragraph.get("qas") if isinstance(paragraph, dict) else None
        if not isinstance(questions, list) or not isinstance(paragraph.get("context"), str):
            raise _unfit(line, number + 1, "a paragraph without a context and a list of questions (qas)")
        size = _bytes(paragraph["context"])
        for question in questions:
            if not isinstance(question, dict):
                raise _unfit(line, number + 1, "a question that is no object")
            number += 1
            known = {name: question.get(name) for name in ("question", "answers", "is_impossible", "id")}
            try:
                written = json.dumps(known, ensure_ascii=False)
            except RecursionError:
                raise _invalid(line, "nested too deeply") from None
            yield {**known, "context": paragraph["context"], "title": article.get("title")}, size + _bytes(written)


def _check_size(number: int, line: int, size: int, total: int, limits: Limits) -> None:
    if size > limits.row_bytes:
        message = f"Row {number}: the row, with its context, is longer than {limits.row_bytes:,} bytes."
        raise fault("row_too_long", message, "Shorten or split the context of this question.", line=line, row=number)
    if total > limits.total_bytes:
        message = f"Row {number}: the rows so far, each with its context, are longer than {limits.total_bytes:,} bytes."
        fix = "Send fewer questions, or shorten the contexts that many of them are about."
        raise fault("too_many_rows", message, fix, line=line, row=number)


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _read(stream: IO[str], count: int, line: int) -> str:
    try:
        return stream.read(count)
    except UnicodeDecodeError:
        message = f"Behind line {line}: bytes that are not text."
        raise fault("encoding", message, "Save the file as UTF-8 and upload it again.", line=line) from None


def _refuse(_: str) -> NoReturn:
    raise _NotFinite


def _invalid(line: int, said: str) -> DatasetFault:
    fix = "Send one whole JSON object; most programs can check it."
    return fault("invalid_json", f"Line {line}: not valid JSON ({said}).", fix, line=line)


def _unfit(line: int, row: int, said: str) -> DatasetFault:
    return fault("invalid_squad", f"Line {line}, row {row}: {said}.", _FORM, line=line, row=row)


_READ_AS = {"utf-8": "utf-8", "utf-8-sig": "utf-8-sig", "utf-16-le": "utf-16", "utf-16-be": "utf-16"}
