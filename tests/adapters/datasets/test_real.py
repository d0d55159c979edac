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


@pytest.mark.parametrize(
    ("name", "rows", "kinds"),
    [
        ("wikineural_en", 11590, ("LOC", "MISC", "ORG", "PER")),
        ("broad_twitter", 6338, ("LOC", "ORG", "PER")),
        ("ncbi_disease", 5432, ("Disease",)),
    ],
)
def test_rows_and_kinds_of_a_real_set_of_entities(tmp_path: Path, name: str, rows: int, kinds: tuple[str, ...]) -> None:
    path = tmp_path / "train.jsonl"
    path.write_bytes(gzip.decompress((DATA / name / "train.jsonl.gz").read_bytes()))
    report = inspect_file(path, limits=Limits(rows=1_000_000, row_bytes=65536, labels=1000))
    assert report.fatal is None
    assert (report.task, report.rows, report.usable_rows) == ("token-classification", rows, rows)
    assert report.labels == kinds
    examples = list(read_examples(path, report))
    assert report.spans is not None and report.spans.count == sum(len(one.spans) for one in examples)
    for example in examples:
        words = [example.values["text"][span.start : span.end] for span in example.spans]
        assert all(word == word.strip() != "" for word in words)


def test_every_answer_of_squadshifts_stands_where_it_is_said_to(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_bytes(gzip.decompress((DATA / "squadshifts" / "train.jsonl.gz").read_bytes()))
    report = inspect_file(path, limits=Limits(rows=1_000_000, row_bytes=65536, labels=1000))
    assert (report.task, report.rows, report.usable_rows) == ("question-answering", 23475, 23475)
    assert report.ignored_columns == ("domain",)
    examples = list(read_examples(path, report))
    parts = split([one.stratum for one in examples], [one.content for one in examples], seed=0)
    contexts = [{examples[at].values["context"] for at in part} for part in (parts.train, parts.heldout)]
    assert not contexts[0] & contexts[1]
