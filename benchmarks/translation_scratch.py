"""The network of a starter that translates, with random weights, trained on other pairs: what the starter is worth.

`python -m benchmarks.translation_scratch TOKENIZER.json TRAIN.csv.gz TEST.csv.gz [--rows 2000] [--epochs 8] [--seed 0]`
prints one line of JSON with chrF and BLEU on the test part, and the CPU seconds of training. The loop is the one that
made the starter, and so are the pieces that texts are cut into: both favour this side.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
from tokenizers import Tokenizer

from adapters.pretraining.translator import measured, read, write
from adapters.pretraining.translator_training import Run, encoded, train
from benchmarks.corpora import some
from zoo.engine.threads import granted_threads

WARM_UP = 0.1  # of the updates, as far as the starter's own number is more


def main() -> None:
    """Train on one file, print the figures on the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("tokenizer", "train", "test"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--direction", default="en-de")
    parser.add_argument("--rows", type=int, default=0)
    parser.add_argument("--test-rows", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    torch.set_num_threads(granted_threads(0))
    source, target = asked.direction.split("-")
    pairs = some(read(asked.train, source, target), asked.rows, seed=asked.seed)
    test = some(read(asked.test, source, target), asked.test_rows)
    tokenizer = Tokenizer.from_file(str(asked.tokenizer))
    run = replace(Run(), epochs=asked.epochs, seed=asked.seed)
    updates = asked.epochs * sum(max(len(one.split()), len(other.split())) for one, other in pairs) / run.batch
    run = replace(run, warm_up=min(run.warm_up, round(WARM_UP * updates)))
    with tempfile.TemporaryDirectory() as place:
        model = train(
            encoded(tokenizer, pairs, run),
            tokenizer,
            run,
            Path(place) / "state.pt",
            say=lambda line: print(line, file=sys.stderr),
        )
        used = time.process_time()
        folder = Path(place) / "checkpoint"
        folder.mkdir()
        write(model, tokenizer, folder, run, source=source, target=target)
        figures = measured(folder, test)
    print(json.dumps({"chrf": figures["chrf"], "bleu": figures["bleu"], "cpu": used}))


if __name__ == "__main__":
    main()
