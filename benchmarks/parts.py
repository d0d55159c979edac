"""Test parts of the sets, row by row, in the form that a client is asked with; what was true stands in each row."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from adapters.pretraining.books import Library, passages
from adapters.pretraining.masked_words import MASK, drawn
from adapters.pretraining.texts import plain_tokenizer
from adapters.pretraining.translator import read as read_pairs
from benchmarks import labelled
from benchmarks.corpora import read
from benchmarks.service import HOME
from benchmarks.spoken import Clip, read_clips
from zoo.tasks.processors.boxes import Detections

Labelled = list[tuple[Any, str]]
GAPS, LONGEST = 2_000, 128  # words that are hidden one by one, tokens of a passage


@dataclass(frozen=True)
class Objects:
    """A picture and what is in it; classes are places in ``labels``."""

    picture: bytes
    labels: tuple[str, ...]
    true: Detections


@dataclass(frozen=True)
class Masked:
    """A picture and the class of each of its pixels (height, width), a place in ``labels``."""

    picture: bytes
    labels: tuple[str, ...]
    classes: NDArray[np.uint8]


def detections(boxes: Sequence[Sequence[float]], classes: Sequence[int], scores: Sequence[float]) -> Detections:
    """Corners of boxes, in pixels."""
    corners = np.asarray(boxes, dtype=np.float32).reshape(-1, 4)
    return Detections(corners, np.asarray(classes, dtype=np.int64), np.asarray(scores, dtype=np.float32))


def texts(folder: Path) -> Labelled:
    """A text, and its label."""
    return [(row["text"], row["label"]) for row in _table(folder)]


def entailments(folder: Path) -> Labelled:
    """Two texts that are read together, and what the first says about the second."""
    return [({"text": row["premise"], "text_pair": row["hypothesis"]}, row["label"]) for row in _table(folder)]


def rows(folder: Path) -> list[dict[str, Any]]:
    """Words with tags, questions with answers or pairs with a score, as they are uploaded."""
    return read(folder, "test")


def translations(source: str, target: str) -> Callable[[Path], list[tuple[str, str]]]:
    """A text, and what it is in the other language."""
    return lambda folder: read_pairs(folder / "test.csv.gz", source, target)


def gaps(folder: Path) -> Labelled:
    """A passage of a book with one whole word hidden, and the word."""
    tokenizer = plain_tokenizer(next((HOME / "models" / "minilm").glob("*/checkpoint")))
    books = passages(Library.read(folder / "books.txt.xz").test, tokenizer, LONGEST)
    found = []
    for passage in drawn(books, cases=GAPS, seed=0):
        (place,) = passage.words.tolist()
        before, after = (tokenizer.decode(part.tolist()) for part in (passage.ids[:place], passage.ids[place + 1 :]))
        found.append((f"{before} {MASK} {after}", str(tokenizer.id_to_token(int(passage.ids[place])))))
    return found


def pictures(folder: Path) -> Labelled:
    """A picture, and the name of its folder."""
    with tarfile.open(folder / "test.tar.xz") as archive:
        files = [(Path(member.name), archive.extractfile(member)) for member in archive if member.isfile()]
        return [(file.read(), path.parent.name) for path, file in files if file and path.suffix in labelled.PICTURES]


def sounds(folder: Path) -> Labelled:
    """A clip, and the name of its folder."""
    return labelled.read(folder / "test.zip", labelled.SOUNDS)


def spoken(folder: Path) -> list[Clip]:
    """A clip and its transcript."""
    return read_clips(folder / "test.zip")


def boxed(folder: Path) -> list[Objects]:
    """Pictures with COCO's annotations."""
    with zipfile.ZipFile(folder / "test.zip") as archive:
        told = json.loads(archive.read("annotations.json"))
        labels = tuple(kind["name"] for kind in told["categories"])
        places = {kind["id"]: place for place, kind in enumerate(told["categories"])}
        found = []
        for image in told["images"]:
            own = [one for one in told["annotations"] if one["image_id"] == image["id"]]
            boxes = [[x, y, x + width, y + height] for x, y, width, height in (one["bbox"] for one in own)]
            true = detections(boxes, [places[one["category_id"]] for one in own], [1.0] * len(own))
            found.append(Objects(archive.read(f"images/{image['file_name']}"), labels, true))
    return found


def masked(folder: Path) -> list[Masked]:
    """Pictures with a mask each, whose pixels are numbers of classes."""
    with zipfile.ZipFile(folder / "test.zip") as archive:
        labels = tuple(json.loads(archive.read("classes.json")))
        names = sorted(Path(name).stem for name in archive.namelist() if name.startswith("masks/"))
        masks = [np.asarray(Image.open(io.BytesIO(archive.read(f"masks/{name}.png")))) for name in names]
        return [
            Masked(archive.read(f"images/{name}.jpg"), labels, mask) for name, mask in zip(names, masks, strict=True)
        ]


def _table(folder: Path) -> list[dict[str, str]]:
    with gzip.open(folder / "test.csv.gz", "rt", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
