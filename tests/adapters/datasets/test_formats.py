"""Every form of a file that is read, and every broken one with the place of the fault."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from adapters.datasets import Limits, inspect_file
from adapters.datasets.formats.lines import BLOCK
from tests.adapters.datasets.conftest import Inspect
from zoo.errors import Unsupported

ROWS = "text,label\ngood,a\nbad,b\n"


@pytest.mark.parametrize(
    ("content", "encoding", "delimiter"),
    [
        (ROWS.encode(), "utf-8", ","),
        (b"\xef\xbb\xbf" + ROWS.encode(), "utf-8-sig", ","),
        (ROWS.encode("utf-16"), "utf-16-le", ","),
        (b"\xfe\xff" + ROWS.encode("utf-16-be"), "utf-16-be", ","),
        (b"text,label\r\ngood,a\nbad,b\r\n", "utf-8", ","),
        (b"text,label\rgood,a\rbad,b", "utf-8", ","),
        (b"text;label\ngood, really;a\nbad, so;b\n", "utf-8", ";"),
        (b"text\tlabel\ngood, really\ta\nbad\tb\n", "utf-8", "\t"),
        (b"text|label\ngood|a\nbad|b\n", "utf-8", "|"),
        (b"\n\ntext,label\n\ngood,a\n   \nbad,b\n\n", "utf-8", ","),
    ],
    ids=["plain", "bom", "utf16le", "utf16be", "mixed-ends", "cr", "semicolon", "tab", "bar", "blank-lines"],
)
def test_a_table_is_read_in_every_usual_form(inspect: Inspect, content: bytes, encoding: str, delimiter: str) -> None:
    report = inspect(content)
    assert report.fatal is None
    assert (report.format, report.encoding, report.delimiter) == ("csv", encoding, delimiter)
    assert (report.rows, report.usable_rows) == (2, 2)
    assert {each.label for each in report.classes} == {"a", "b"}


def test_utf_16_is_said_so(inspect: Inspect) -> None:
    assert inspect(ROWS.encode("utf-16")).problem_counts["utf_16"] == 1


@pytest.mark.parametrize(
    "lines",
    [
        ['{"text": "good", "label": "a"}', '{"text": "bad", "label": "b"}'],
        ['{"prompt": "good", "completion": " a"}', '{"prompt": "bad", "completion": " b"}'],
        ['{"text": "good", "label": 1}', '{"text": "bad", "label": 0}'],
        ['{"text": "good", "label": true}', '{"text": "bad", "label": false}'],
        [
            '{"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "good"}, '
            '{"role": "assistant", "content": "a"}]}',
            '{"messages": [{"role": "user", "content": [{"type": "text", "text": "bad"}]}, '
            '{"role": "assistant", "content": "b"}]}',
        ],
    ],
    ids=["columns", "prompt", "integers", "booleans", "chat"],
)
def test_jsonl_is_read_in_every_usual_form(inspect: Inspect, lines: list[str]) -> None:
    report = inspect("\r\n".join(lines))
    assert report.fatal is None
    assert (report.format, report.rows, report.usable_rows, len(report.classes)) == ("jsonl", 2, 2, 2)


def test_line_numbers_stay_physical_after_quoted_line_breaks(inspect: Inspect) -> None:
    report = inspect('text,label\n"one\ntwo\nthree",a\nfour,b\n,a\n')
    problem = report.problems[0]
    assert (problem.code, problem.line, problem.row) == ("empty_text", 6, 3)


@pytest.mark.parametrize(
    ("content", "code", "line"),
    [
        (b"", "no_rows", 1),
        (b"text,label\n", "no_rows", 1),
        (b"text,label\ngood,a\nb\0d,b\n", "nul_byte", 3),
        (b'text,label\ngood,a\n"bad,b\nworse,a\n', "unclosed_quote", 3),
        (b'text,label\n"fine\nfine","bad,b\n' + b"x,y\n" * 30000, "unclosed_quote", 3),
        (b"text,label\ngood,a\n" + b"x" * 300_000 + b",b\n", "row_too_long", 3),
        (b"text,label\ngood,a\n" + b"x" * 10_000_000 + b",b\n", "row_too_long", 3),
        (",".join(f"c{i}" for i in range(1_000_000)).encode() + b"\n1,2\n", "row_too_long", 1),
        (",".join(f"c{i}" for i in range(5000)).encode() + b"\n1,2\n", "too_many_columns", 1),
        (b"text,label\ngood,a\ncaf\xe9,b\n", "encoding", 3),
        (b"\xff\xfe" + "text,label\ngood,a\nbad".encode("utf-16-le") + b"\x00\xd8,\x00", "encoding", 3),
        (b"\xff\xfe\x00\x00" + "text,label".encode("utf-32-le"), "encoding", 1),
        (ROWS.encode("utf-16-le"), "nul_byte", 1),
        (b"text,text\ngood,a\n", "duplicate_column", 1),
        (b"I like it very much,a\nI do not like it at all,b\nI like it so,a\n", "header_missing", 1),
        (b'{"text": "good", "label": "a"}\n{"text": "bad", "label": }\n', "invalid_json", 2),
        (b'{"text": "good", "label": "a"}\n\n["bad", "b"]\n', "not_an_object", 3),
        (b'[{"text": "good", "label": "a"}]\n', "not_an_object", 1),
        (b'{\n  "text": "good"\n}\n', "invalid_json", 1),
        (b'{"text": "good", "label": "a"}\n{"text": "bad", "label": NaN}\n', "not_finite", 2),
        (b'{"text": "good", "label": "a", "x": -Infinity}\n', "not_finite", 1),
        (b'{"text": "good", "label": "a", "x": 1e999}\n', "not_finite", 1),
        (b'{"text": "good", "label": ' + b"[" * 60000 + b"}\n", "invalid_json", 1),
        (b'{"text": "good", "label": ' + b"9" * 6000 + b"}\n", "invalid_json", 1),
        (b'{"text": "' + b"x" * 70_000 + b'", "label": "a"}\n', "row_too_long", 1),
    ],
)
def test_a_broken_file_is_refused_with_code_and_line(inspect: Inspect, content: bytes, code: str, line: int) -> None:
    fatal = inspect(content).fatal
    assert fatal is not None
    assert (fatal.code, fatal.line) == (code, line)
    assert str(line) in fatal.message or code == "no_rows"
    assert fatal.fix


def test_windows_1252_is_recognised_with_its_byte(inspect: Inspect) -> None:
    fatal = inspect(b"text,label\nun caf\xe9,a\n").fatal
    assert fatal is not None
    assert (fatal.line, fatal.position) == (2, 7)
    assert "Windows-1252" in fatal.message
    assert "UTF-8" in fatal.fix


def test_the_column_of_a_json_error_is_named(inspect: Inspect) -> None:
    fatal = inspect('{"text": "good" "label": "a"}\n').fatal
    assert fatal is not None
    assert fatal.position == 17
    assert "column 17" in fatal.message


def test_a_line_of_any_length_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "data"
    with path.open("wb") as stream:
        stream.write(b"text,label\n" + b"x" * 9000)
        stream.truncate(2**40)  # a sparse terabyte: reading it whole cannot succeed
    report = inspect_file(path, task="text-classification", limits=Limits(rows=10, row_bytes=20_000, labels=10))
    assert report.fatal is not None
    assert (report.fatal.code, report.fatal.line) == ("row_too_long", 2)


def test_a_line_end_split_between_two_reads_is_one_line_end(inspect: Inspect) -> None:
    content = b"text,label\r\n" + (b"x" * 59_996 + b",a\r\n") * 4
    content += b"y" * (BLOCK - len(content) - 3) + b",b\r"
    assert len(content) == BLOCK
    report = inspect(content + b"\n,b\r\n")
    assert (report.rows, report.problems[0].line) == (6, 7)


@pytest.mark.parametrize(
    "row",
    ['"go"od,a', "good,a,b,c"],
    ids=["text-after-quote", "too-many-fields"],
)
def test_one_malformed_row_is_left_out(inspect: Inspect, row: str) -> None:
    report = inspect(ROWS + row + "\nbest,a\n")
    assert report.fatal is None
    assert (report.rows, report.usable_rows) == (4, 3)
    assert (report.problems[0].line, report.problems[0].row) == (4, 3)


def _tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("a.csv")
        member.size = len(ROWS)
        archive.addfile(member, io.BytesIO(ROWS.encode()))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PK\x05\x06" + bytes(18), "empty zip"),
        (b"PK\x07\x08" + bytes(18), "split zip"),
        (_tar(), "tar"),
        (gzip.compress(ROWS.encode()), "unpack it first"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(100), "7z"),
        (b"Rar!\x1a\x07\x01\x00", "rar"),
        (b"%PDF-1.7\n", "PDF"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"\xff\xd8\xff\xe0", "JPEG"),
        (bytes(range(32)) * 10, "not text"),
    ],
    ids=["empty-zip", "split-zip", "tar", "gzip", "7z", "rar", "pdf", "png", "jpeg", "bytes"],
)
def test_another_kind_of_file_is_unsupported_and_the_accepted_ones_are_named(
    inspect: Inspect, content: bytes, said: str
) -> None:
    with pytest.raises(Unsupported) as caught:
        inspect(content)
    assert caught.value.code == "unsupported_media_type"
    assert said in caught.value.message
    assert "CSV, JSONL" in caught.value.message
