"""Zips that are no data sets: refused whole, by what they are, in little memory."""

from __future__ import annotations

import stat
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest

from adapters.datasets import ArchiveFile, FileRecord
from adapters.datasets.archives import Archive, Caps
from tests.adapters.datasets.conftest import InspectZip
from tests.adapters.datasets.zips import classes, deflated, many_entries, mask, pack, picture, raw_zip
from zoo.errors import InvalidInput, TooLarge, Unsupported

GOOD = classes()


def with_entry(name: str, *, mode: int = 0, content: bytes = b"x", flags: int = 0) -> bytes:
    """A good data set and one more entry, which is not."""
    target = BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for good, data in GOOD.items():
            archive.writestr(good, data)
        info = zipfile.ZipInfo("placeholder")
        info.filename = name
        info.external_attr = mode << 16
        archive.writestr(info, content)
    data = target.getvalue()
    at = data.rindex(b"PK\1\2")
    return data[: at + 8] + flags.to_bytes(2, "little") + data[at + 10 :] if flags else data


def twice(name: str) -> bytes:
    one = raw_zip([(name.encode(), b"\3\0", 0, 0), (b"b/2.png", b"\3\0", 0, 0), (name.encode(), b"\3\0", 0, 0)])
    return one


INVALID = {
    "dots": (with_entry("../../cat/9.png"), "leads out"),
    "dots-inside": (with_entry("cat/../9.png"), "leads out"),
    "absolute": (with_entry("/etc/9.png"), "absolute"),
    "drive": (with_entry("C:/9.png"), "absolute"),
    "backslash": (with_entry("cat\\9.png"), "backslash"),
    "control": (with_entry("cat/9\n.png"), "control character"),
    "symlink": (with_entry("cat/9.png", mode=stat.S_IFLNK | 0o777, content=b"/etc/passwd"), "a link"),
    "device": (with_entry("cat/9.png", mode=stat.S_IFCHR | 0o666), "device"),
    "encrypted": (with_entry("cat/9.png", flags=1), "encrypted"),
    "nested": (with_entry("more.zip", content=pack(GOOD)), "archive inside"),
    "nested-tar": (with_entry("more.tar.gz"), "archive inside"),
    "twice": (twice("a/1.png"), "two entries named a/1.png"),
    "overlap": (
        raw_zip([(b"a/1.png", b"x" * 90, 90, 0), (b"a/2.png", b"x" * 90, 90, 0)], offsets=[0, 40]),
        "overlaps",
    ),
    "same-bytes-twice": (
        raw_zip([(b"a/1.png", b"x" * 90, 90, 0), (b"a/2.png", b"x" * 90, 90, 0)], offsets=[0, 0]),
        "overlaps",
    ),
    "bzip2": (pack(GOOD, method=zipfile.ZIP_BZIP2), "method"),
    "cut-off": (pack(GOOD)[:-300], "truncated"),
    "garbage": (b"PK\3\4" + bytes(200), "truncated"),
    "half-the-table": (pack(GOOD)[:-400] + pack(GOOD)[-22:], "damaged"),
    "something-before": (b"PK\3\4" + bytes(60) + pack(GOOD), "truncated or damaged"),
}


@pytest.mark.parametrize("case", INVALID)
def test_a_zip_with_something_wrong_in_it_is_refused_whole(inspect_zip: InspectZip, case: str) -> None:
    content, said = INVALID[case]
    with pytest.raises(InvalidInput) as caught:
        inspect_zip(content)
    assert caught.value.code == "invalid_archive"
    assert said in caught.value.message
    assert caught.value.param == "file"


def test_a_refused_zip_leaves_nothing_behind(tmp_path: Path, upload: Callable[..., FileRecord]) -> None:
    with pytest.raises(InvalidInput):
        upload(with_entry("../9.png"), filename="a.zip")
    assert not [path for path in (tmp_path / "files").rglob("*") if path.is_file()]


def test_a_megabyte_that_unpacks_to_a_gibibyte_is_too_large_in_flat_memory(inspect_zip: InspectZip) -> None:
    packed = deflated(1024)
    assert len(packed) < 1_100_000
    content = raw_zip([(b"a/1.png", packed, 1 << 30, 0)])
    assert_too_large(inspect_zip, content, "64 MiB")


def test_many_entries_that_are_allowed_one_by_one_are_too_large_together(inspect_zip: InspectZip) -> None:
    entries = [(b"a/%d.png" % place, deflated(60), 60 << 20, 0) for place in range(2)]
    assert_too_large(inspect_zip, raw_zip(entries), "200 times")


def test_more_than_four_gibibytes_are_too_large(inspect_zip: InspectZip) -> None:
    packed = b"x" * 400_000
    entries = [(b"a/%d.png" % place, packed, 60 << 20, 0) for place in range(70)]
    assert_too_large(inspect_zip, raw_zip(entries), "4,200 MiB; at most 4,096")


@pytest.mark.parametrize("count", [100_001, 1_000_000])
def test_more_than_a_hundred_thousand_entries_are_too_large_in_flat_memory(inspect_zip: InspectZip, count: int) -> None:
    content = many_entries(count)
    assert_too_large(inspect_zip, content, "100,000")


def assert_too_large(inspect_zip: InspectZip, content: bytes, said: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge) as caught:
            inspect_zip(content)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.code == "archive_too_large"
    assert said in caught.value.message
    assert peak < 10 << 20


def test_an_entry_that_unpacks_to_more_than_it_declares_is_damaged_and_read_in_flat_memory(
    inspect_zip: InspectZip,
) -> None:
    packed = deflated(256)
    good = [(name.encode(), *stored(data)) for name, data in GOOD.items() if isinstance(data, bytes)]
    content = raw_zip([*good, (b"cat/9.png", packed, 100, 0)])
    tracemalloc.start()
    report = inspect_zip(content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (report.rows, report.usable_rows, report.fatal) == (7, 6, None)
    assert [(problem.code, problem.file) for problem in report.problems] == [("damaged_entry", "cat/9.png")]
    assert peak < 20 << 20


def stored(data: bytes) -> tuple[bytes, int, int]:
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush(), len(data), zlib.crc32(data)


OTHERS: dict[str, tuple[dict[str, bytes | str], str]] = {
    "xlsx": ({"[Content_Types].xml": "", "xl/workbook.xml": ""}, "Excel"),
    "docx": ({"[Content_Types].xml": "", "word/document.xml": "", "word/media/1.png": picture(1)}, "Word"),
    "jar": ({"META-INF/MANIFEST.MF": "", "a/B.class": ""}, "Java"),
    "epub": ({"mimetype": "application/epub+zip", "META-INF/container.xml": "", "a/1.jpg": picture(1)}, "EPUB"),
    "table": ({"train.csv": "text,label\n"}, "tables"),
    "nothing": ({"readme.md": ""}, "neither pictures nor audio"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_a_zip_of_something_else_is_unsupported_as_what_it_is(inspect_zip: InspectZip, case: str) -> None:
    files, said = OTHERS[case]
    with pytest.raises(Unsupported) as caught:
        inspect_zip(files)
    assert caught.value.code == "unsupported_media_type"
    assert said in caught.value.message
    assert "CSV, JSONL" in caught.value.message


def test_what_systems_leave_behind_is_ignored_and_counted(inspect_zip: InspectZip) -> None:
    junk = {
        "__MACOSX/cat/._0.png": b"x",
        ".DS_Store": b"x",
        "cat/.DS_Store": b"x",
        "cat/.ipynb_checkpoints/0.png": picture(77),
        "dog/Thumbs.db": b"x",
        ".git/objects/pack.zip": b"x",
    }
    report = inspect_zip(junk | GOOD)
    assert (report.rows, report.usable_rows) == (6, 6)
    assert report.problem_counts == {"ignored_files": 6}
    assert report.problems[0].level == "info"


@pytest.mark.parametrize("flagged", [True, False])
def test_names_beyond_ascii_are_read_as_utf_8_also_where_the_zip_does_not_say_so(
    inspect_zip: InspectZip, flagged: bool
) -> None:
    content = pack(classes(names=("Größe", "名前")))
    if not flagged:
        content = unflagged(content)
    assert inspect_zip(content).labels == ("Größe", "名前")


def unflagged(content: bytes) -> bytes:
    """The same zip without the mark for UTF-8."""
    data = bytearray(content)
    for signature, place in ((b"PK\1\2", 8), (b"PK\3\4", 6)):
        at = data.find(signature)
        while at >= 0:
            data[at + place + 1] &= ~0x08 & 0xFF
            at = data.find(signature, at + 4)
    return bytes(data)


def test_a_zip_with_a_comment_is_read(inspect_zip: InspectZip, tmp_path: Path) -> None:
    path = tmp_path / "commented"
    path.write_bytes(pack(GOOD))
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"made by hand"
    assert inspect_zip(path.read_bytes()).usable_rows == 6


def test_an_entry_is_read_again_after_its_zip_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(pack({"a.png": b"one"}))
    file = ArchiveFile(path, "a.png")
    assert file.read() == b"one"
    path.unlink()
    path.write_bytes(pack({"a.png": b"another"}))
    assert file.read() == b"another"


def test_the_caps_are_those_of_the_archive(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(pack({"a.png": mask([[0]]), "b.png": b"x" * 1000}))
    with pytest.raises(TooLarge):
        Archive(path, Caps(entry_bytes=999))
    with Archive(path, Caps(entry_bytes=1000)) as archive:
        assert archive.read("b.png") == b"x" * 1000
