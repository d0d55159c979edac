"""EfficientNet-Lite0 with random weights, trained on a few pictures: what adapting a pre-trained body is worth.

`python -m benchmarks.scratch TRAIN.zip TEST.zip [EPOCHS]` prints one line of JSON with the accuracy on the test part.
AdamW with one cosine, pictures of 128 pixels, mirrored and cut at random; every weight is trained.
"""

from __future__ import annotations

import io
import json
import math
import sys
import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from adapters.training.architectures.efficientnet_lite import EfficientNetLite

SIZE, BORDER, BATCH = 128, 16, 32


def read(path: Path) -> tuple[Tensor, list[str]]:
    """Pictures (rows, 3, 128, 128) and the names of their folders."""
    pixels, labels = [], []
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            if name.lower().endswith((".jpg", ".jpeg", ".png")):
                picture = Image.open(io.BytesIO(archive.read(name))).convert("RGB").resize((SIZE, SIZE))
                pixels.append((np.asarray(picture, dtype=np.float32) - 127) / 128)
                labels.append(Path(name).parent.name)
    return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).contiguous(), labels


def main(train: str, test: str, epochs: str = "20") -> None:
    """Train on one file, print the accuracy on the other."""
    torch.manual_seed(0)
    pixels, labels = read(Path(train))
    names = sorted(set(labels))
    classes = torch.tensor([names.index(label) for label in labels])
    network = EfficientNetLite(len(names)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.05)
    total = int(epochs) * math.ceil(len(pixels) / BATCH)
    step = 0
    for _ in range(int(epochs)):
        network.train()
        for places in torch.split(torch.randperm(len(pixels)), BATCH):
            for group in optimiser.param_groups:
                group["lr"] = 2e-3 * min(1, (step + 1) / (0.1 * total)) * 0.5 * (1 + math.cos(math.pi * step / total))
            step += 1
            if len(places) < 2:  # BatchNorm needs two
                continue
            top, left = torch.randint(0, 2 * BORDER + 1, (2,)).tolist()
            padded = functional.pad(pixels[places], (BORDER,) * 4, mode="reflect")
            batch = padded[:, :, top : top + SIZE, left : left + SIZE]
            batch = batch.flip(3) if torch.rand(()) < 0.5 else batch
            with torch.autocast("cpu", dtype=torch.bfloat16):
                logits = network(batch.to(memory_format=torch.channels_last))
            loss = functional.cross_entropy(logits.float(), classes[places])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    network.eval()
    others, wanted = read(Path(test))
    with torch.no_grad():
        predicted = torch.cat([network(part).argmax(1) for part in torch.split(others, BATCH)]).tolist()
    right = sum(names[place] == label for place, label in zip(predicted, wanted, strict=True))
    print(json.dumps({"accuracy": round(right / len(wanted), 4)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
