"""What is taught in ``test_adaptation``: for each task a tiny model, a data file, and how well it answers, 0 to 1.

Figures are taken of fresh items from what the service answers, never from what a job says of itself.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from adapters.training.detection.scores import detection_scores
from adapters.training.speech.scores import speech_scores
from adapters.training.texts.scores import corpus_chrf, summary_scores
from tests.adapters.datasets.zips import pack
from tests.adapters.training.sentences.test_similarity import pairs as alike
from tests.adapters.training.spans.test_adapt_answers import question_rows
from tests.adapters.training.test_adapt_pictures import COLOURS, drawn
from tests.adapters.training.tiny_speech import WORDS, sung, teachable
from tests.tiny import rows, write_checkpoint
from tests.tiny_detectors import COLOURS as COLOURS_OF_SQUARES
from tests.tiny_detectors import SIDE, square
from tests.tiny_pictures import write_picture_checkpoint
from tests.tiny_segmenters import png_of, scene
from tests.tiny_sentences import scored, several
from tests.tiny_spans import tagged_rows, write_tokens_checkpoint
from tests.tiny_texts import DIALECT, DICTIONARY, pairs
from tests.tiny_whisper import write_tokenizer, write_whisper
from tests.zoo.tasks.processors.sound_files import sound_of, tone
from zoo.tasks.processors.boxes import Detections

Ask = Callable[..., list[Any]]
"""Items, and perhaps options of the request, to one answer for each."""

PITCHES = {"high": 3000.0, "low": 250.0, "middle": 900.0}
SPELLED = {"high": "Abe", "low": "cab."}
SHAPES = ("ground", "red", "blue")
SQUARES = tuple(COLOURS_OF_SQUARES)
TAGS = ("I-MONEY", "B-MONEY", "I-ACCOUNT", "B-ACCOUNT", "O")


@dataclass(frozen=True)
class Case:
    """``figures``: what the job measures. ``card``: a sentence that the card has to have.

    ``start``: the score of a guess, for a model that knows nothing of the task; None if it is asked itself. ``by``: who
    answers for what was taught.
    """

    write: Callable[[Path], object]
    file: tuple[str, bytes]
    score: Callable[[Ask], float]
    figures: tuple[str, str]
    start: float | None = None
    training: Mapping[str, Any] = field(default_factory=dict)
    task: str | None = None  # of the data, where it cannot be told
    imports: str | None = None  # the task to import for, where it cannot be told
    card: str = ""
    by: Literal["body", "merged"] = "merged"


def jsonl(data: Sequence[Mapping[str, Any]]) -> tuple[str, bytes]:
    return "rows.jsonl", "".join(json.dumps(row) + "\n" for row in data).encode()


def archive(files: Mapping[str, bytes | str]) -> tuple[str, bytes]:
    return "data.zip", pack(files)


def share(told: Sequence[object], wanted: Sequence[object]) -> float:
    return float(np.mean([one == other for one, other in zip(told, wanted, strict=True)]))


# ---- texts


def topics(ask: Ask) -> float:
    fresh = [pair for pair in rows(60, seed=99) if pair not in rows(300)]
    return share([one[0]["label"] for one in ask([text for text, _ in fresh])], [label for _, label in fresh])


def several_topics(ask: Ask) -> float:
    fresh = several(60, seed=9)
    told = [{one["label"] for one in answer if one["score"] >= 0.5} for answer in ask([row["text"] for row in fresh])]
    return share(told, [set(row["labels"]) for row in fresh])


def numbers(ask: Ask) -> float:
    fresh = scored(60, seed=9)
    told = [answer[0]["score"] for answer in ask([row["text"] for row in fresh])]
    return float(np.corrcoef(told, [row["score"] for row in fresh])[0, 1])


def entities(ask: Ask) -> float:
    """F1 of whole entities."""
    fresh = tagged_rows(40, seed=9)
    told = ask([" ".join(row["tokens"]) for row in fresh], {"aggregation_strategy": "first"})
    hits = said = meant = 0
    for row, answer in zip(fresh, told, strict=True):
        wanted: list[tuple[str, int, int]] = []
        place = 0
        for token, tag in zip(row["tokens"], row["ner_tags"], strict=True):
            if tag.startswith("I-"):
                wanted[-1] = (wanted[-1][0], wanted[-1][1], place + len(token))
            elif tag != "O":
                wanted.append((tag[2:], place, place + len(token)))
            place += len(token) + 1
        found = {(one["entity_group"], one["start"], one["end"]) for one in answer}
        hits, said, meant = hits + len(found & set(wanted)), said + len(found), meant + len(wanted)
    return 2 * hits / (said + meant)


def answers(ask: Ask) -> float:
    fresh = question_rows(40, seed=9)
    told = ask([{name: row[name] for name in ("question", "context")} for row in fresh])
    return share([one["answer"] for one in told], [row["answers"]["text"][0] for row in fresh])


def likeness(ask: Ask) -> float:
    """How well the cosines of pairs tell those of one topic from others."""
    fresh = alike(80, scores=True, seed=9)
    told = ask([{"source_sentence": row["sentence1"], "sentences": [row["sentence2"]]} for row in fresh])
    return float(np.corrcoef([one for (one,) in told], [row["score"] for row in fresh])[0, 1])


def dialect(ask: Ask) -> float:
    fresh = [pair for pair in pairs(220, words=DIALECT) if pair not in pairs(160, words=DIALECT)]
    told = [one["translation_text"] for one in ask([source for source, _ in fresh])]
    return corpus_chrf(told, [target for _, target in fresh]) / 100


def shortened(source: str) -> str:
    return " ".join(word for word in source.split() if word in list(DICTIONARY)[:4]) or "now"


def summaries(ask: Ask) -> float:
    fresh = [source for source, _ in pairs(130)[90:]]
    told = [one["summary_text"] for one in ask(fresh)]
    return float(summary_scores(told, [shortened(source) for source in fresh])["rouge_l"])


# ---- pictures


def tints(ask: Ask) -> float:
    fresh = [(name, drawn(colour, 90_000 + place)) for name, colour in COLOURS.items() for place in range(4)]
    return share([one[0]["label"] for one in ask([content for _, content in fresh])], [name for name, _ in fresh])


def squares(count: int = 48) -> dict[str, bytes | str]:
    """Pictures with a coloured square each, and what is on them in COCO's form."""
    made = [square(place) for place in range(count)]
    objects = [
        {"id": place, "image_id": place, "category_id": SQUARES.index(one["label"]), "bbox": one["bbox"]}
        for place, (_, one) in enumerate(made)
    ]
    pictures = [{"id": place, "file_name": f"{place:03}.png", "width": SIDE, "height": SIDE} for place in range(count)]
    categories = [{"id": place, "name": name} for place, name in enumerate(SQUARES)]
    told = json.dumps({"images": pictures, "annotations": objects, "categories": categories})
    return {"annotations.json": told} | {f"images/{place:03}.png": content for place, (content, _) in enumerate(made)}


def objects(ask: Ask) -> float:
    """mAP at an overlap of a half."""
    fresh = [square(90_000 + place) for place in range(16)]
    told = ask([content for content, _ in fresh], {"threshold": 0.02})
    found = [
        _detections([(one["label"], list(one["box"].values()), one["score"]) for one in answer]) for answer in told
    ]
    true = [_detections([(one["label"], _corners(*one["bbox"]), 1.0)]) for _, one in fresh]
    return float(detection_scores(found, true, SQUARES)["map50"])


def _corners(x: int, y: int, width: int, height: int) -> list[int]:
    return [x, y, x + width, y + height]


def _detections(seen: Sequence[tuple[str, list[int], float]]) -> Detections:
    boxes = np.asarray([box for _, box, _ in seen], dtype=np.float32).reshape(-1, 4)
    classes = np.asarray([SQUARES.index(label) for label, _, _ in seen], dtype=np.int64)
    return Detections(boxes, classes, np.asarray([score for _, _, score in seen], dtype=np.float32))


def scenes() -> dict[str, bytes | str]:
    files: dict[str, bytes | str] = {"classes.json": json.dumps(SHAPES)}
    for number in range(40):
        picture, mask = scene(90, 64, seed=number)
        files |= {f"images/{number:03}.png": png_of(picture), f"masks/{number:03}.png": png_of(mask)}
    return files


def masks(ask: Ask) -> float:
    """Mean over the classes of what the true and the painted area share."""
    fresh = [scene(90, 64, seed=90_000 + place) for place in range(4)]
    both, either = np.zeros(len(SHAPES)), np.zeros(len(SHAPES))
    for answer, (_, mask) in zip(ask([png_of(picture) for picture, _ in fresh]), fresh, strict=True):
        areas = {one["label"]: _pixels(one["mask"]) for one in answer}
        for value, label in enumerate(SHAPES):
            area, true = areas.get(label, np.zeros(mask.shape, bool)), mask == value
            both[value] += (area & true).sum()
            either[value] += (area | true).sum()
    return float((both / either).mean())


def _pixels(mask: str) -> Any:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(mask)))) == 255


# ---- sounds


def pitched(hertz: float, seed: int) -> bytes:
    """A note near a pitch, in noise, of 0.2 to 0.7 s."""
    draw = np.random.default_rng(seed)
    note = tone(float(draw.uniform(0.2, 0.7)), hertz=hertz * float(draw.uniform(0.9, 1.1)))
    return sound_of(np.asarray(0.8 * note + 0.02 * draw.standard_normal(len(note)), dtype=np.float32), "FLAC")


def notes() -> dict[str, bytes | str]:
    return {
        f"{name}/{place}.flac": pitched(hertz, 1000 * number + place)
        for number, (name, hertz) in enumerate(PITCHES.items())
        for place in range(20)
    }


def pitches(ask: Ask) -> float:
    fresh = [(name, pitched(hertz, 90_000 + place)) for name, hertz in PITCHES.items() for place in range(4)]
    return share([one[0]["label"] for one in ask([sound for _, sound in fresh])], [name for name, _ in fresh])


def speech(said: Mapping[str, str], figure: str) -> Callable[[Ask], float]:
    def heard(ask: Ask) -> float:
        fresh = [(said[word], sung(word, 90_000 + place)) for word in WORDS for place in range(6)]
        told = [one["text"] for one in ask([sound for _, sound in fresh])]
        return 1.0 - min(1.0, float(speech_scores(told, [text for text, _ in fresh])[figure]))

    return heard


def write_ears(folder: Path) -> None:
    write_tokenizer(folder)
    write_whisper(folder, teachable())


def write_maps(folder: Path) -> None:
    """A ResNet for photographs with maps at 1/4 to 1/32."""
    sizes = {"block": "basic", "layers": [1, 1, 1, 1], "widths": [8, 8, 12, 16]}
    write_picture_checkpoint(folder, "timm-resnet-large", model_args=sizes)


def plan(epochs: int, rate: float, batch: int = 8) -> dict[str, Any]:
    return {"n_epochs": epochs, "batch_size": batch, "learning_rate": rate}


def write_encoder(folder: Path) -> None:
    write_checkpoint(folder)


def write_tagger(folder: Path) -> None:
    write_tokens_checkpoint(folder, kind="electra", labels=TAGS, scale=1.0)


def write_reader(folder: Path) -> None:
    write_tokens_checkpoint(folder, kind="distilbert", answers=True, scale=1.0)


TABLE = ("rows.csv", ("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows(300))).encode())
TOLD = ("rows.csv", ("en,de\n" + "".join(f"{one},{two}\n" for one, two in pairs(160, words=DIALECT))).encode())
SHORT = ("rows.csv", ("text,summary\n" + "".join(f"{one},{shortened(one)}\n" for one, _ in pairs(90))).encode())
