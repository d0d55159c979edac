"""What a careful beginner writes: peft and the Hugging Face Trainer, every default left alone.

The yardstick for adaptation on text: `python -m benchmarks.plain_trainer CHECKPOINT TRAIN.csv TEST.csv` prints one
line of JSON with the accuracy on the test rows; the caller measures the wall time of the whole process.
"""

from __future__ import annotations

import csv
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from peft import LoraConfig, TaskType, get_peft_model
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
)


def rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file with the columns text and label."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def main(checkpoint: str, train_path: str, test_path: str) -> None:
    """Train on one file, print the accuracy on the other."""
    train, test = rows(Path(train_path)), rows(Path(test_path))
    labels = sorted({row["label"] for row in train})
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)

    def encode(part: list[dict[str, str]]) -> list[dict[str, Any]]:
        return [
            {**tokenizer(row["text"], truncation=True, max_length=256), "labels": labels.index(row["label"])}
            for row in part
            if row["label"] in labels
        ]

    model = AutoModelForSequenceClassification.from_pretrained(checkpoint, num_labels=len(labels))
    model = get_peft_model(model, LoraConfig(task_type=TaskType.SEQ_CLS))
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model=model,
            args=TrainingArguments(output_dir=folder, report_to=[], disable_tqdm=True),
            train_dataset=encode(train),
            data_collator=DataCollatorWithPadding(tokenizer),
        )
        trainer.train()
        predicted = trainer.predict(encode(test))
    right = (predicted.predictions.argmax(-1) == predicted.label_ids).mean()
    print(json.dumps({"accuracy": round(float(right), 4)}))


if __name__ == "__main__":
    main(*sys.argv[1:4])
