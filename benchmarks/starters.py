"""Every starter as it is served: pulled, then asked about its test part by Hugging Face's InferenceClient, unchanged.

`python -m benchmarks.starters DATA [--only sentiment …] [--rows 500]`, where DATA holds a folder for each set. A random
choice of so many rows of each test part, the same each time; 0 is all of them. Δ is the largest difference from torch
that the gate of the import found, as the manifest has it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from huggingface_hub import InferenceClient

from adapters.training.detection.scores import detection_scores
from adapters.training.segmentation.scores import confusion, segmentation_scores
from adapters.training.texts.scores import translation_scores
from benchmarks import parts
from benchmarks.corpora import KINDS, some
from benchmarks.service import HOME, circumstances, ready, service
from benchmarks.spoken import word_error_rate
from zoo.catalogue.registry import Registry, load_catalogue
from zoo.catalogue.store import Store
from zoo.tasks.processors.boxes import Detections

LEAST = 0.01  # score of an object: mAP wants the doubtful ones too
# Apart, as what lies in a home is loaded at the start, and here is everything.
STARTERS_HOME = HOME.with_name("adaptzoo-benchmarks-starters")
TOPICS = {"World": "world politics", "Sports": "sports", "Business": "business", "Sci/Tech": "science"}


@dataclass(frozen=True)
class Case:
    """One starter (or body): its set, how a row is read and asked about, and the figure that all answers get."""

    model: str
    data: str
    figure: str
    rows: Callable[[Path], Sequence[Any]]
    ask: Callable[[InferenceClient, Any], Any]
    score: Callable[[Sequence[Any], Sequence[Any]], float]


def accuracy(said: Sequence[Any], rows: Sequence[Any]) -> float:
    """Share of rows (…, label) whose label is what was said."""
    return float(np.mean([one == row[-1] for one, row in zip(said, rows, strict=True)]))


def headline(kind: str) -> Callable[[Sequence[Any], Sequence[Any]], float]:
    """The first figure of a kind of `benchmarks.corpora`."""
    one = KINDS[kind]
    return lambda said, rows: float(one.scores(said, rows)[one.headline[0]])


def sort_text(client: InferenceClient, row: Any) -> str:
    return str(client.text_classification(row[0], top_k=1)[0].label)


def choose_topic(client: InferenceClient, row: Any) -> str:
    """By the names of the classes alone."""
    names = {name: label for label, name in TOPICS.items()}
    answer = client.zero_shot_classification(
        row[0], candidate_labels=list(names), hypothesis_template="This text is about {}."
    )
    return names[answer[0].label]


def find_entities(client: InferenceClient, row: Any) -> list[tuple[str, int, int]]:
    found = client.token_classification(" ".join(row["tokens"]))
    return [(str(one.entity_group), int(one.start or 0), int(one.end or 0)) for one in found]


def find_answer(client: InferenceClient, row: Any) -> str:
    found: Any = client.question_answering(question=row["question"], context=row["context"])
    return str(found.answer)


def fill_gap(client: InferenceClient, row: Any) -> list[str]:
    return [one.token_str for one in client.fill_mask(row[0], top_k=5)]


def among_them(said: Sequence[Any], rows: Sequence[Any]) -> float:
    return float(np.mean([row[-1] in one for one, row in zip(said, rows, strict=True)]))


def compare(client: InferenceClient, row: Any) -> float:
    return float(client.sentence_similarity(row["sentence1"], other_sentences=[row["sentence2"]])[0])


def translate(client: InferenceClient, row: Any) -> str:
    return str(client.translation(row[0]).translation_text)


def score_translations(said: Sequence[Any], rows: Sequence[Any]) -> float:
    return float(translation_scores(said, [row[1] for row in rows])["chrf"])


def sort_picture(client: InferenceClient, row: Any) -> str:
    return str(client.image_classification(row[0], top_k=1)[0].label)


def sort_sound(client: InferenceClient, row: Any) -> str:
    return str(client.audio_classification(row[0], top_k=1)[0].label)


def write_down(client: InferenceClient, row: Any) -> str:
    return str(client.automatic_speech_recognition(row.sound).text)


def score_words(said: Sequence[Any], rows: Sequence[Any]) -> float:
    return word_error_rate([row.text for row in rows], said)


def detect(client: InferenceClient, row: parts.Objects) -> Detections:
    found = client.object_detection(row.picture, threshold=LEAST)
    boxes = [[one.box.xmin, one.box.ymin, one.box.xmax, one.box.ymax] for one in found]
    classes = [row.labels.index(one.label) for one in found]
    return parts.detections(boxes, classes, [one.score for one in found])


def score_boxes(said: Sequence[Any], rows: Sequence[Any]) -> float:
    return float(detection_scores(said, [row.true for row in rows], rows[0].labels)["map50"])


def segment(client: InferenceClient, row: parts.Masked) -> Any:
    found = np.full(row.classes.shape, -1, dtype=np.int64)
    for one in client.image_segmentation(row.picture):
        found[np.asarray(one.mask) > 0] = row.labels.index(one.label)
    return found


def score_masks(said: Sequence[Any], rows: Sequence[Any]) -> float:
    labels = rows[0].labels
    counts = np.zeros((len(labels), len(labels)), dtype=np.int64)
    for found, row in zip(said, rows, strict=True):
        counts += confusion(found, row.classes, len(labels))
    return float(segmentation_scores(counts, labels, rows=len(rows))["mean_iou"])


CASES = (
    *(Case(name, data, "accuracy", parts.texts, sort_text, accuracy) for name, data in (
        ("sentiment", "sst2"), ("news-topics", "ag_news"), ("bank-intents", "banking77"), ("sms-spam", "sms_spam"),
    )),
    Case("sentence-entailment", "sick", "accuracy", parts.entailments, sort_text, accuracy),
    Case("sentence-entailment", "ag_news", "accuracy, zero-shot", parts.texts, choose_topic, accuracy),
    Case("tweet-entities", "broad_twitter", "span F1", parts.rows, find_entities, headline("ner")),
    Case("passage-answers", "squadshifts", "F1", parts.rows, find_answer, headline("qa")),
    Case("masked-words", "english_books", "among the first five", parts.gaps, fill_gap, among_them),
    Case("minilm", "sick", "Spearman", parts.rows, compare, headline("similarity")),
    Case("tatoeba-en-de", "tatoeba_en_de", "chrF", parts.translations("en", "de"), translate, score_translations),
    Case("tatoeba-de-en", "tatoeba_en_de", "chrF", parts.translations("de", "en"), translate, score_translations),
    Case("resnet-cifar10", "cifar10", "accuracy", parts.pictures, sort_picture, accuracy),
    Case("vgg-cifar10", "cifar10", "accuracy", parts.pictures, sort_picture, accuracy),
    Case("blood-cells", "bccd", "mAP50", parts.boxed, detect, score_boxes),
    Case("playing-cards", "playing_cards", "mAP50", parts.boxed, detect, score_boxes),
    Case("cell-nuclei", "dsb2018", "mean IoU", parts.masked, segment, score_masks),
    Case("spoken-digits", "fsdd", "accuracy", parts.sounds, sort_sound, accuracy),
    Case("spoken-keywords", "speech_commands_small", "accuracy", parts.sounds, sort_sound, accuracy),
    Case("whisper-tiny-en", "asr_kathleen", "word error rate", parts.spoken, write_down, score_words),
)  # fmt: skip


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", nargs="*", default=(), help="names of models; all that the zoo offers unless given")
    parser.add_argument("--rows", type=int, default=500)
    asked = parser.parse_args()
    offered = load_catalogue()
    print(
        circumstances(),
        "",
        "| model | task | Δ | set | rows | figure | | s |",
        "|---|---|---|---|---|---|---|---|",
        sep="\n",
    )
    with service(home=STARTERS_HOME, models=()) as client:
        for case in CASES:
            if case.model not in (asked.only or offered):
                continue
            print(case.model, file=sys.stderr, flush=True)
            ready(client, case.model)
            entry = Registry(Store(STARTERS_HOME), offered).resolve(case.model)
            rows = some(list(case.rows(asked.data / case.data)), asked.rows)
            hub = InferenceClient(model=f"{str(client.base_url).rstrip('/')}/models/{case.model}", token="none")
            started = time.monotonic()
            figure = case.score([case.ask(hub, row) for row in rows], rows)
            spent, difference = time.monotonic() - started, entry.parity.get("max_abs_difference", float("nan"))
            cells = [case.model, entry.task, f"{difference:.1e}", case.data, len(rows), case.figure, f"{figure:.4f}"]
            print(f"| {' | '.join(map(str, cells))} | {spent:.0f} |", flush=True)


if __name__ == "__main__":
    main()
