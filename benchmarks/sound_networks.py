"""What a table of adapted sound classifiers is compared with: a probe on the frozen encoder, and the same from scratch.

`python -m benchmarks.sound_networks CHECKPOINT TRAIN.zip TEST.zip [--scratch]` prints one line of JSON with accuracies
on the test part. From scratch: AdamW with one cosine, every weight trained, clips shifted and made softer or louder.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence
from transformers import WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from adapters.training.architectures.clip_encoder import ClipEncoder
from adapters.training.sounds.body import read_encoder
from adapters.training.sounds.classification import ClipClassifier
from adapters.training.sounds.config import whisper_hearing
from benchmarks.labelled import SOUNDS, logistic, read
from zoo.engine.threads import granted_threads

BATCH, UPDATES, RATE = 32, 1200, 5e-4
SHIFT = 10  # frames, a tenth of a second


def spectra(path: Path, bins: int, positions: int) -> tuple[list[Tensor], list[str]]:
    """Log-mel (frames, bins) of each clip, and the names of their folders."""
    hearing = whisper_hearing(bins, positions, padded=False)
    clips = read(path, SOUNDS)
    return [torch.from_numpy(hearing.encode(content).values) for content, _ in clips], [label for _, label in clips]


def collated(clips: list[Tensor]) -> tuple[Tensor, Tensor]:
    """(batch, frames, bins) with zeros behind the shorter ones, and (batch, frames) 1 where they are."""
    heard = pad_sequence([torch.ones(len(clip), dtype=torch.long) for clip in clips], batch_first=True)
    return pad_sequence(clips, batch_first=True), heard


@torch.no_grad()
def in_batches(network: nn.Module, clips: list[Tensor]) -> Tensor:
    """What the network answers to each clip, in order."""
    order = sorted(range(len(clips)), key=lambda place: len(clips[place]))
    answers: dict[int, Tensor] = {}
    for start in range(0, len(order), BATCH):
        places = order[start : start + BATCH]
        answers.update(zip(places, network(*collated([clips[place] for place in places])), strict=True))
    return torch.stack([answers[place] for place in range(len(clips))])


def shifted(clip: Tensor) -> Tensor:
    """A part of the clip, a little softer or louder; a factor ten is one quarter in Whisper's spectra."""
    frames = len(clip)
    first, last = (2 * int(torch.randint(0, 1 + min(SHIFT, frames // 8) // 2, ())) for _ in range(2))
    return clip[first : frames - last] + 0.2 * (torch.rand(()) - 0.5)


def scratch(encoder: ClipEncoder, config: WhisperConfig, train: list[Tensor], classes: Tensor) -> nn.Module:
    """The architecture of ``encoder`` with random weights, trained."""
    torch.manual_seed(0)
    body = ClipEncoder(WhisperEncoder(config))
    network = ClipClassifier(body, nn.Linear(body.width, int(classes.max()) + 1))
    # the head sees vectors of unit length and would take a network's learning for its own without larger weights
    network.head.weight.data.mul_(10)
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=RATE, weight_decay=0.05)
    for step in range(UPDATES):
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1, (step + 1) / 100) * 0.5 * (1 + math.cos(math.pi * step / UPDATES))
        places = torch.randint(len(train), (BATCH,))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = network(*collated([shifted(train[place]) for place in places.tolist()]))
        loss = functional.cross_entropy(logits.float(), classes[places])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
    return network.eval()


def main() -> None:
    """Print the accuracies."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--scratch", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(granted_threads(0))
    read_in = read_encoder(asked.checkpoint)
    encoder = ClipEncoder(read_in).requires_grad_(False).eval()
    train, labels = spectra(asked.train, encoder.bins, encoder.positions)
    test, wanted = spectra(asked.test, encoder.bins, encoder.positions)
    vectors, others = in_batches(encoder, train).numpy(), in_batches(encoder, test).numpy()
    found = {"probe": round(logistic(vectors, labels, others, wanted), 4)}
    if asked.scratch:
        names = sorted(set(labels))
        network = scratch(encoder, read_in.config, train, torch.tensor([names.index(label) for label in labels]))
        predicted = in_batches(network, test).argmax(1).tolist()
        right = np.mean([names[place] == label for place, label in zip(predicted, wanted, strict=True)])
        found["scratch"] = round(float(right), 4)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
