"""Reports on real data sets agree with what their owners say of them."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from adapters.datasets import Limits, inspect_file, read_examples, split

DATA = Path(__file__).parents[3].parent / "shared" / "data"

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not DATA.is_dir(), reason="the real data sets are not on this machine"),
]


@pytest.mark.parametrize(
    ("name", "rows", "classes"), [("sms_spam", 4422, 2), ("banking77", 10003, 77), ("trec", 5452, 6), ("sst2", 6920, 2)]
)
def test_rows_and_classes_of_a_real_set(tmp_path: Path, name: str, rows: int, classes: int) -> None:
    path = tmp_path / "train.csv"
    path.write_bytes(gzip.decompress((DATA / name / "train.csv.gz").read_bytes()))
    limits = Limits(rows=1_000_000, row_bytes=65536, labels=1000)
    report = inspect_file(path, task="text-classification", limits=limits)
    assert report.fatal is None
    assert (report.rows, report.usable_rows, len(report.classes)) == (rows, rows, classes)
    assert report.columns == {"text": "text", "label": "label"}
    values = [example.values for example in read_examples(path, report)]
    labels = [each["label"] for each in values]
    parts = split(labels, [each["text"] for each in values], seed=0)
    for part in (parts.train, parts.validation, parts.heldout):
        assert len({labels[row] for row in part}) == classes


@pytest.mark.parametrize(("name", "rows"), [("tatoeba_en_de", 3000), ("multi30k_en_de", 1000)])
def test_real_translations_are_read_and_seldom_complained_of(tmp_path: Path, name: str, rows: int) -> None:
    path = tmp_path / "test.csv"
    path.write_bytes(gzip.decompress((DATA / name / "test.csv.gz").read_bytes()))
    report = inspect_file(path, limits=Limits(rows=1_000_000, row_bytes=65536, labels=1000))
    assert (report.task, report.usable_rows) == ("translation", rows)
    assert report.columns == {"source": "en", "target": "de"}
    assert report.problem_counts.get("languages_swapped", 0) <= 0.002 * rows
    assert report.problem_counts.get("uneven_lengths", 0) <= 0.005 * rows
