"""What training reads of an inspected file."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.datasets import DatasetFault, Example, Limits, inspect_file, read_examples

LIMITS = Limits(rows=100, row_bytes=1000, labels=10)


def test_only_usable_rows_are_read_with_their_place(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_text('text,label\n" one\nline ",a\n,a\ntwo,\ntwice,a\nTwice,b\nthree, b\n')
    report = inspect_file(path, task="text-classification", limits=LIMITS)
    assert list(read_examples(path, report)) == [
        Example(row=1, line=2, values={"text": "one\nline", "label": "a"}),
        Example(row=6, line=8, values={"text": "three", "label": "b"}),
    ]
    assert report.usable_rows == 2


def test_chosen_columns_are_read(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_text('{"text": "x", "other": "one", "label": "a"}\n{"text": "y", "other": "two", "label": "b"}\n')
    report = inspect_file(path, task="text-classification", limits=LIMITS, columns={"text": "other"})
    assert [example.values["text"] for example in read_examples(path, report)] == ["one", "two"]


def test_a_fatal_report_gives_no_examples(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_text("text,label\none,a\ntwo,a\n")
    report = inspect_file(path, task="text-classification", limits=LIMITS)
    with pytest.raises(DatasetFault):
        next(read_examples(path, report))


def test_texts_that_differ_in_case_and_punctuation_only_have_equal_content() -> None:
    one, same, other = (Example(1, 1, {"text": text, "label": "a"}) for text in ("Good day!", "good  day", "bad day"))
    assert one.content == same.content != other.content


def test_the_label_is_what_a_text_is_counted_by() -> None:
    assert Example(1, 1, {"text": "good", "label": "a"}).stratum == "a"
