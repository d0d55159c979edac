"""The starters that translate: ``python -m adapters.pretraining.translator DATA --direction en-de`` (or ``de-en``).

A Marian of 4.6 million weights, trained on tatoeba_en_de from nothing, or with ``--begin NAME`` from a starter, whose
pieces it keeps: that of the other direction, or its own to go on with; see ``translator_training``.
"""

from __future__ import annotations

import csv
import gzip
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import nn
from transformers import MarianMTModel

from adapters.pretraining.starter import command, starter_folder
from adapters.pretraining.translator_training import BEGUN, UNKNOWN, Run, encoded, learn_pieces, train
from adapters.training.graphs_in_torch import GraphsInTorch
from adapters.training.recipe import load_recipe
from adapters.training.texts.scores import translation_scores
from zoo.catalogue.entry import ModelEntry
from zoo.tasks.decoding.shared_batches import answered
from zoo.tasks.decoding.text_to_text import TextToText, TextToTextParameters
from zoo.tasks.ready_made.vocabulary import FOLDER

PARTS = ("train", "validation", "test")


def main() -> None:
    """Train, measure on the test part, and write the starter's folder."""
    parser = command("tatoeba-en-de or tatoeba-de-en", data="tatoeba_en_de/train.csv.gz, validation and test")
    parser.add_argument("--direction", choices=("en-de", "de-en"), default="en-de")
    parser.add_argument("--begin", help="a starter to begin from: tatoeba-en-de, say")
    parser.add_argument("--epochs", type=int, help="passes over the pairs, if not as many as the recipe has")
    parser.add_argument("--threads", type=int, default=0, help="0: all")
    asked = parser.parse_args()
    if asked.threads:
        torch.set_num_threads(asked.threads)
    begin = starter_folder(asked.begin) if asked.begin else None
    run, name = (BEGUN if begin else Run()), f"tatoeba-{asked.direction}"
    run = replace(run, epochs=asked.epochs or run.epochs)
    source, target = asked.direction.split("-")
    parts = {part: read(asked.data / "tatoeba_en_de" / f"{part}.csv.gz", source, target) for part in PARTS}
    if begin:
        tokenizer = Tokenizer.from_file(str(begin / "tokenizer.json"))
    else:
        tokenizer = learn_pieces([text for pair in parts["train"] for text in pair], run.pieces)
    started = time.monotonic()
    model = train(encoded(tokenizer, parts["train"], run), tokenizer, run, asked.state / f"{name}.pt", begin)
    seconds = time.monotonic() - started
    folder = starter_folder(name)
    write(model, tokenizer, folder, run, source=source, target=target)
    figures = {part: measured(folder, parts[part]) for part in ("validation", "test")}
    (folder / "README.md").write_text(_card(name, run, model, figures, seconds, asked.begin), encoding="utf-8")
    print(f"{name}: {figures}")


def read(path: Path, source: str, target: str) -> list[tuple[str, str]]:
    """The pairs of a gzipped CSV file."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return [(row[source], row[target]) for row in csv.DictReader(file)]


def write(model: MarianMTModel, tokenizer: Tokenizer, folder: Path, run: Run, *, source: str, target: str) -> None:
    """A folder in hub layout, weights in float16."""
    pad, end = int(model.config.pad_token_id), int(model.config.eos_token_id)
    model.half().save_pretrained(folder)
    model.float()
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "unk_token": UNKNOWN,
        "source_lang": source,
        "target_lang": target,
        "model_max_length": run.places,
        "single_sentences": True,
    }
    search = {
        "num_beams": run.beams,
        "max_length": run.places,
        "bad_words_ids": [[pad]],
        "decoder_start_token_id": pad,
        "pad_token_id": pad,
        "eos_token_id": end,
        "forced_eos_token_id": end,
    }
    for name, content in (("tokenizer_config.json", settings), ("generation_config.json", search)):
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def measured(folder: Path, pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """chrF and BLEU of what the search that serves it writes, with the weights as they were written."""
    servable = load_recipe("translation").load(folder)
    entry = ModelEntry(
        name="starter",
        version=1,
        task="translation",
        modality="text",
        architecture=servable.architecture,
        licence="",
        created=0,
        limits=servable.limits,
        options=servable.options,
    )
    served, graphs = TextToText(entry, folder / FOLDER, share=0.5), GraphsInTorch(servable)
    wish = served.wish(TextToTextParameters())
    readings = [served.read(source, wish) for source, _ in pairs]
    rows = answered(served.run(readings, graphs))
    for made in (folder / FOLDER).iterdir():  # made again by whoever imports it
        made.unlink()
    (folder / FOLDER).rmdir()
    written = [served.text(row, reading) for row, reading in zip(rows, readings, strict=True)]
    return translation_scores(written, [target for _, target in pairs])


def _card(
    name: str, run: Run, model: nn.Module, figures: dict[str, dict[str, Any]], seconds: float, begin: str | None
) -> str:
    count = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    source, target = name.split("-")[1:]
    test, validation = figures["test"], figures["validation"]
    sizes = f"{run.pieces:,} pieces for both languages, {run.reading} layers that read and {run.writing} that write"
    numbers = f"batches of {run.batch:,} tokens, label smoothing {run.smoothing}, dropout {run.dropout}"
    one, other = (f"chrF {part['chrf']:.2f}, BLEU {part['bleu']:.2f}" for part in (test, validation))
    option, weights = (f" --begin {begin}", f"the weights of {begin}") if begin else ("", "random weights")
    option += "" if run.epochs == (BEGUN if begin else Run()).epochs else f" --epochs {run.epochs}"
    return f"""# {name}

Translates everyday sentences, {source} to {target}: a Marian of {count:,} weights, float16.

- Data: the sentence pairs of the Tatoeba project, English and German (tatoeba.org, in the selection of
  manythings.org/anki of 2018-04-07), CC BY 2.0 FR; 164,157 pairs to train on.
- Recipe: `python -m adapters.pretraining.translator DATA --direction {source}-{target}{option}`, from {weights},
  seed {run.seed}: {sizes}, width {run.width};
  {run.epochs} epochs of AdamW up to a rate of {run.rate}, {numbers},
  running mean of the weights.
- Training took {seconds / 3600:.1f} hours.
- {one} on the 3,000 pairs of the test part ({other} on the 2,002 of the validation part), with
  {run.beams} beams as it is served, sentence by sentence, in float16.
- Weaknesses: it knows short sentences of daily life. Long ones, names, numbers and subjects of trades are beyond it;
  what it does not know it guesses fluently. It is meant to be tried and to be adapted.
"""


if __name__ == "__main__":
    main()
