"""Zips of audio: which task they are for follows from what is in them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from adapters.datasets import Example
from tests.adapters.datasets.clips import classes, clip, listing, spoken
from tests.adapters.datasets.conftest import InspectZip
from tests.adapters.datasets.zips import Files, picture
from zoo.errors import InvalidInput

ExamplesOf = Callable[[Files], list[Example]]


def flat(count: int = 4) -> dict[str, bytes | str]:
    return {f"{place}.wav": clip(place) for place in range(count)}


@pytest.mark.parametrize("under", ["", "digits/", "a/b/"])
def test_folders_are_classes(inspect_zip: InspectZip, under: str) -> None:
    report = inspect_zip(classes(under=under))
    assert (report.task, report.layout, report.fatal) == ("audio-classification", "folders", None)
    assert (report.rows, report.usable_rows, report.labels) == (6, 6, ("no", "yes"))
    assert [(each.label, each.count, each.seconds) for each in report.classes] == [("no", 3, 1.5), ("yes", 3, 1.5)]


def test_examples_carry_the_bytes_of_their_clip_and_its_label(examples_of: ExamplesOf) -> None:
    files = classes(per_class=1)
    found = examples_of(files)
    assert [(each.values, each.read("audio")) for each in found] == [
        ({"label": "no"}, files["no/0.wav"]),
        ({"label": "yes"}, files["yes/0.wav"]),
    ]


def test_a_list_of_labels_is_for_classification(inspect_zip: InspectZip) -> None:
    said = {f"{place}.wav": ("up", "down")[place % 2] for place in range(4)}
    report = inspect_zip(flat() | {"metadata.csv": listing(said, "label")})
    assert (report.task, report.layout, report.labels) == ("audio-classification", "metadata", ("down", "up"))
    assert report.columns == {"audio": "file_name", "label": "label"}


def test_a_list_of_texts_is_for_recognition(inspect_zip: InspectZip, examples_of: ExamplesOf) -> None:
    report = inspect_zip(spoken())
    assert (report.task, report.layout) == ("automatic-speech-recognition", "transcripts")
    assert (report.fatal, report.usable_rows, report.problem_counts) == (None, 6, {})
    found = examples_of(spoken())
    assert found[0].values == {"text": "The ship sailed out at dawn."}
    assert found[0].read("audio") == clip(0, 2.0)


def test_jsonl_lists_are_read_too(inspect_zip: InspectZip) -> None:
    rows = '{"file_name": "0.wav", "transcription": "one"}\n{"file_name": "1.wav", "transcription": "two"}\n'
    report = inspect_zip(flat(2) | {"metadata.jsonl": rows})
    assert (report.task, report.usable_rows) == ("automatic-speech-recognition", 2)


@pytest.mark.parametrize("folder", ["audio", "clips", "wavs"])
def test_clips_are_found_in_a_folder_beside_the_list(inspect_zip: InspectZip, folder: str) -> None:
    files = {f"{folder}/{name}": content for name, content in flat(2).items()}
    other = {f"old/{name}": clip(10 + place) for place, name in enumerate(flat(2))}
    said = listing({"0.wav": "one", "1.wav": "two"})
    report = inspect_zip(files | other | {"metadata.csv": said})
    assert (report.usable_rows, report.problem_counts) == (2, {"not_listed": 2})


def test_names_without_a_suffix_are_found(inspect_zip: InspectZip) -> None:
    files = {f"wavs/LJ-{place}.wav": clip(place) for place in range(2)}
    report = inspect_zip(files | {"metadata.csv": listing({"LJ-0": "one", "LJ-1": "two"})})
    assert (report.usable_rows, report.fatal) == (2, None)


def test_a_list_of_speakers_leaves_the_folders_as_classes(inspect_zip: InspectZip, examples_of: ExamplesOf) -> None:
    files = classes()
    said = {name: ("ann", "bob")[place % 2] for place, name in enumerate(files)}
    report = inspect_zip(files | {"metadata.csv": listing(said, "speaker")})
    assert (report.task, report.layout, report.labels) == ("audio-classification", "folders", ("no", "yes"))
    assert report.problem_counts == {"list_not_used": 1, "other_files": 1}
    assert inspect_zip(files | {"metadata.csv": listing(said, "speaker")}, task="audio-classification") == report
    assert [example.values["label"] for example in examples_of(files | {"metadata.csv": listing(said, "speaker")})] == [
        "no"
    ] * 3 + ["yes"] * 3


def test_transcripts_beside_folders_of_classes_serve_either_task(inspect_zip: InspectZip) -> None:
    files = classes()
    files |= {"metadata.csv": listing({name: f"sentence number {place}" for place, name in enumerate(files)})}
    assert inspect_zip(files).task == "automatic-speech-recognition"
    assert inspect_zip(files, task="audio-classification").labels == ("no", "yes")


def test_a_list_of_transcripts_alone_is_nothing_to_classify(inspect_zip: InspectZip) -> None:
    fatal = inspect_zip(spoken(), task="audio-classification").fatal
    assert fatal is not None and fatal.code == "task_mismatch"


@pytest.mark.parametrize(
    ("column", "values", "task"),
    [
        ("was", ["a", "b", "a", "b"], "audio-classification"),
        ("was", ["one day", "two of us", "three men", "four winds"], "automatic-speech-recognition"),
    ],
)
def test_a_column_of_an_unknown_name_is_judged_by_its_looks(
    inspect_zip: InspectZip, column: str, values: list[str], task: str
) -> None:
    said = {f"{place}.wav": value for place, value in enumerate(values)}
    assert inspect_zip(flat() | {"metadata.csv": listing(said, column)}).task == task


def test_with_labels_and_transcripts_the_task_or_the_column_decides(inspect_zip: InspectZip) -> None:
    rows = "file_name,text,label\n" + "".join(f"{place}.wav,say {place},{'ab'[place % 2]}\n" for place in range(4))
    files = flat() | {"metadata.csv": rows}
    assert inspect_zip(files).task == "automatic-speech-recognition"
    assert inspect_zip(files, task="audio-classification").labels == ("a", "b")
    assert inspect_zip(files, columns={"label": "label"}).task == "audio-classification"
    assert inspect_zip(files, columns={"text": "label"}).task == "automatic-speech-recognition"


def test_a_column_that_is_not_there_is_refused(inspect_zip: InspectZip) -> None:
    with pytest.raises(InvalidInput) as caught:
        inspect_zip(spoken(), columns={"text": "nothing"})
    assert caught.value.code == "unknown_column"


def test_the_parts_of_a_split_are_no_classes(inspect_zip: InspectZip) -> None:
    report = inspect_zip(classes(under="train/") | {f"test/no/{name}.wav": clip(90 + name) for name in range(2)})
    assert (report.labels, report.usable_rows) == (("no", "yes"), 6)
    assert report.problem_counts == {"test_part_left_out": 2}


@pytest.mark.parametrize("task", ["automatic-speech-recognition", "image-classification"])
def test_another_task_than_the_zip_is_for_is_refused(inspect_zip: InspectZip, task: str) -> None:
    fatal = inspect_zip(classes(), task=task).fatal
    assert fatal is not None and fatal.code == "task_mismatch"
    assert "clips in folders by class (audio-classification)" in fatal.message


def test_the_medium_with_most_files_counts_unless_a_task_is_asked_for(inspect_zip: InspectZip) -> None:
    covers = {f"{name}/cover.png": picture(place) for place, name in enumerate(("no", "yes"))}
    assert inspect_zip(classes() | covers).task == "audio-classification"
    assert inspect_zip(classes() | covers, task="image-classification").usable_rows == 2


def test_a_zip_without_labels_is_told_what_to_add(inspect_zip: InspectZip) -> None:
    fatal = inspect_zip(flat() | {"list.csv": "a,b\n"}).fatal
    assert fatal is not None and fatal.code == "unknown_layout"
    assert "4 clips" in fatal.message and "metadata.csv" in fatal.message
    assert "audio-classification" in fatal.fix and "automatic-speech-recognition" in fatal.fix


def test_a_list_without_a_header_is_told_what_to_add_and_not_quoted(inspect_zip: InspectZip) -> None:
    rows = "LJ-0|In the only sense with which we are concerned.|x\nLJ-1|It differs from most of the arts.|y\n"
    fatal = inspect_zip({f"wavs/LJ-{place}.wav": clip(place) for place in range(2)} | {"metadata.csv": rows}).fatal
    assert fatal is not None and (fatal.code, fatal.line) == ("header_missing", 1)
    assert "concerned" not in fatal.message and fatal.fix.endswith("file_name|text")
