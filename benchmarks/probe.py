"""Logistic regression on the frozen vectors of texts, or of pairs of them: the mark for an adapted classifier.

`python -m benchmarks.probe CHECKPOINT TRAIN.csv.gz TEST.csv.gz [--columns premise hypothesis label]`: accuracy on TEST
with each of three penalties, the first of which is scikit-learn's default, on length-one sentence vectors u; of pairs
on [u, v, |u - v|, u * v]. The best of them is chosen on TEST, which flatters it.
"""

from __future__ import annotations

import argparse
import csv
import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from tokenizers import Tokenizer
from torch.nn import functional

from adapters.training.sentences.sentence_encoder import SentenceEncoder, load_encoder, pooled

STRENGTHS = (1.0, 10.0, 100.0)
ROWS = 64


@torch.no_grad()
def vectors(encoder: SentenceEncoder, texts: Sequence[str]) -> NDArray[np.float32]:
    """(texts, width), each of length one."""
    tokenizer = Tokenizer.from_file(str(encoder.tokenizer))
    tokenizer.enable_truncation(encoder.max_tokens)
    tokenizer.enable_padding(pad_id=encoder.pad_token_id)
    made = []
    for start in range(0, len(texts), ROWS):
        encoded = tokenizer.encode_batch(texts[start : start + ROWS])
        batch = {"input_ids": torch.tensor([one.ids for one in encoded])}
        batch["attention_mask"] = torch.tensor([one.attention_mask for one in encoded])
        hidden = encoder.body(**batch).last_hidden_state
        made.append(functional.normalize(pooled(hidden, batch["attention_mask"], encoder.pooling), dim=-1))
    return torch.cat(made).numpy()


def read(path: Path, columns: Sequence[str]) -> list[list[str]]:
    """The columns of a compressed CSV, a list of texts each."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [[row[column] for row in rows] for column in columns]


def features(encoder: SentenceEncoder, texts: Sequence[Sequence[str]]) -> NDArray[np.float32]:
    """(rows, width) of one column of texts, (rows, 4 * width) of two."""
    u, *others = [vectors(encoder, column) for column in texts]
    return np.concatenate([u, *(part for v in others for part in (v, np.abs(u - v), u * v))], axis=1)


def main() -> None:
    """Print the accuracy with each penalty."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--columns", nargs="+", default=["premise", "hypothesis", "label"], help="the label is last")
    asked = parser.parse_args()
    encoder = load_encoder(asked.checkpoint)
    *learnt, labels = read(asked.train, asked.columns)
    *unseen, wanted = read(asked.test, asked.columns)
    train, test = features(encoder, learnt), features(encoder, unseen)
    for strength in STRENGTHS:
        model = LogisticRegression(C=strength, max_iter=3000).fit(train, labels)
        print(f"C {strength}: accuracy {model.score(test, wanted):.4f}", flush=True)


if __name__ == "__main__":
    main()
