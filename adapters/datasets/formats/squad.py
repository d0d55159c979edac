"""SQuAD's JSON: articles of paragraphs, each a context with questions and their answers; a row for each question."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from typing import IO, Any, NoReturn

from adapters.datasets.formats.lines import Encoding, Readable
from adapters.datasets.formats.rows import Row
from adapters.datasets.problems import DatasetFault, fault

BEGIN = re.compile(r'\s*\{\s*("version"\s*:\s*("[^"]*"|[\d.]+)\s*,\s*)?"data"\s*:\s*\[')
BLOCK = 1 << 20  # characters that are read at once
ARTICLE = 16 << 20  # characters of one article at most; SQuAD's own have up to half a million
_BETWEEN = re.compile(r"[\s,]*")
_FORM = 'Write {"data": [{"title": …, "paragraphs": [{"context": …, "qas": [{"question": …, "answers": […]}]}]}]}.'


class _NotFinite(ValueError):
    """NaN or Infinity: Python reads them, JSON does not know them."""


def read_squad(path: Readable, encoding: Encoding) -> Iterator[Row]:
    """Rows with ``question``, ``context``, ``answers``, ``is_impossible``, ``id`` and ``title``.

    One article is held at a time. ``line`` is that of the article's first character. Raises ``DatasetFault`` at what is
    no JSON or no article.
    """
    number = 0
    with path.open("rb") as stream:
        text = io.TextIOWrapper(stream, encoding=_READ_AS[encoding], newline="")
        for line, article in _articles(text):
            for values in _questions(article, line):
                number += 1
                yield Row(number, line, values)


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


def _questions(article: Any, line: int) -> Iterator[dict[str, object]]:
    paragraphs = article.get("paragraphs") if isinstance(article, dict) else None
    if not isinstance(paragraphs, list):
        raise _unfit(line, "an article without a list of paragraphs")
    for paragraph in paragraphs:
        questions = paragraph.get("qas") if isinstance(paragraph, dict) else None
        if not isinstance(questions, list) or not isinstance(paragraph.get("context"), str):
            raise _unfit(line, "a paragraph without a context and a list of questions (qas)")
        for question in questions:
            if not isinstance(question, dict):
                raise _unfit(line, "a question that is no object")
            known = {name: question.get(name) for name in ("question", "answers", "is_impossible", "id")}
            yield {**known, "context": paragraph["context"], "title": article.get("title")}


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


def _unfit(line: int, said: str) -> DatasetFault:
    return fault("invalid_squad", f"Line {line}: {said}.", _FORM, line=line)


_READ_AS = {"utf-8": "utf-8", "utf-8-sig": "utf-8-sig", "utf-16-le": "utf-16", "utf-16-be": "utf-16"}
