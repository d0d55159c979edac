"""Translations and summaries in two columns: what is read, and what the report says is wrong."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from adapters.datasets import Limits, Report, inspect_file, read_examples

LIMITS = Limits(rows=10_000, row_bytes=65_536, labels=100)
GOOD = [
    ("the dog is in the house", "der Hund ist in dem Haus"),
    ("the cat is on the roof", "die Katze ist auf dem Dach"),
    ("she is not in the car", "sie ist nicht in dem Auto"),
    ("he and the man are here", "er und der Mann sind hier"),
    ("the house is not big", "das Haus ist nicht gross"),
    ("the car and the dog", "das Auto und der Hund"),
]


def written(path: Path, rows: Sequence[tuple[str, str]], header: tuple[str, str] = ("en", "de")) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def report_of(path: Path, **options: object) -> Report:
    return inspect_file(path, limits=LIMITS, **options)  # type: ignore[arg-type]


def problems(report: Report) -> dict[str, tuple[int | None, str]]:
    return {problem.code: (problem.line, problem.message) for problem in report.problems}


def test_two_columns_called_like_languages_are_a_translation_from_the_first(tmp_path: Path) -> None:
    path = written(tmp_path / "pairs.csv", GOOD)
    report = report_of(path)
    assert report.fatal is None
    assert (report.task, report.columns) == ("translation", {"source": "en", "target": "de"})
    assert report.usable_rows == 6 and report.classes == ()
    assert report.answer_lengths is not None and report.answer_lengths.words.max == 6
    examples = list(read_examples(path, report))
    assert [example.values for example in examples[:1]] == [{"source": GOOD[0][0], "target": GOOD[0][1]}]


def test_the_direction_can_be_chosen(tmp_path: Path) -> None:
    path = written(tmp_path / "pairs.csv", GOOD)
    report = report_of(path, task="translation", columns={"source": "de", "target": "en"})
    assert next(iter(read_examples(path, report))).values["source"] == GOOD[0][1]


def test_columns_without_telling_names_are_taken_in_their_order(tmp_path: Path) -> None:
    path = written(tmp_path / "pairs.csv", [(other, one) for one, other in GOOD], ("left side", "right side"))
    assert report_of(path, task="translation").columns == {"source": "left side", "target": "right side"}


def test_pairs_with_the_same_source_are_never_on_two_sides_of_a_split(tmp_path: Path) -> None:
    path = written(tmp_path / "pairs.csv", [*GOOD, ("The dog is in the house!", "der Hund ist zu Hause")])
    first, *_, last = read_examples(path, report_of(path))
    assert first.content == last.content


def test_an_empty_side_is_named_with_its_row(tmp_path: Path) -> None:
    path = written(tmp_path / "pairs.csv", [GOOD[0], ("the tree", " "), ("", "der Baum"), *GOOD[1:]])
    report = report_of(path)
    assert report.usable_rows == 6
    assert problems(report)["empty_target"] == (3, "Line 3: the target is empty; the row is left out.")
    assert problems(report)["empty_source"][0] == 4


def test_swapped_languages_are_named(tmp_path: Path) -> None:
    rows = [*GOOD, ("der Hund und die Katze sind hier", "the dog and the cat are here")]
    line, message = problems(report_of(written(tmp_path / "pairs.csv", rows)))["languages_swapped"]
    assert line == 8
    assert message == "Line 8: the two sides are in each other's language."


def test_good_pairs_are_not_complained_of(tmp_path: Path) -> None:
    assert report_of(written(tmp_path / "pairs.csv", GOOD)).problems == ()


def test_a_side_that_is_much_longer_than_the_other_is_named(tmp_path: Path) -> None:
    rows = [*GOOD, ("the cat", "die Katze ist auf dem Dach und der Hund ist in dem Haus"), ("no", "nein, nein")]
    report = report_of(written(tmp_path / "pairs.csv", rows))
    assert problems(report)["uneven_lengths"][0] == 8
    assert report.problem_counts["uneven_lengths"] == 1


def test_a_copy_is_named_unless_it_may_be_a_name(tmp_path: Path) -> None:
    rows = [*GOOD, ("the dog is in the house", "The dog is in the house"), ("Berlin", "Berlin")]
    report = report_of(written(tmp_path / "pairs.csv", rows))
    assert problems(report)["copied_text"][0] == 8
    assert report.problem_counts["copied_text"] == 1


def test_repeated_sources_are_counted(tmp_path: Path) -> None:
    report = report_of(written(tmp_path / "pairs.csv", [*GOOD, GOOD[0], GOOD[1]]))
    assert (report.duplicates.groups, report.duplicates.rows) == (2, 2)


def test_faults_are_found_behind_the_rows_that_tell_the_languages_apart(tmp_path: Path) -> None:
    many = [(f"{one} {number}", f"{other} {number}") for number in range(100) for one, other in GOOD]
    report = report_of(written(tmp_path / "pairs.csv", [*many, (GOOD[0][1], GOOD[0][0])]))
    assert problems(report)["languages_swapped"][0] == 602
    assert report.problem_counts["languages_swapped"] == 1


def test_summaries_are_recognised_and_a_longer_one_is_named(tmp_path: Path) -> None:
    rows = [
        ("a long text about a dog " * 3, "a dog"),
        ("short", "a summary of some words"),
        ("same words", "same words"),
    ]
    report = report_of(written(tmp_path / "texts.csv", rows, ("article", "summary")))
    assert (report.task, report.columns) == ("summarization", {"source": "article", "target": "summary"})
    assert problems(report)["long_summary"][0] == 3
    assert problems(report)["copied_text"][0] == 4


def test_a_table_of_reviews_with_summaries_stays_one_of_labels(tmp_path: Path) -> None:
    path = tmp_path / "reviews.csv"
    path.write_text("summary,text,label\n" + "".join(f"s{n},some text {n},{n % 2}\n" for n in range(8)))
    assert report_of(path).task == "text-classification"
