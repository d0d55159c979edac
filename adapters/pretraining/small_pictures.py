"""Training a classifier of 32-pixel pictures from nothing: what the two starters for small pictures share."""

from __future__ import annotations

import io
import json
import math
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from adapters.pretraining.starter import command, starter_folder

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
SIZE = 32
BORDER = 4  # pixels that a crop may be moved by
AVERAGE = 0.99  # decay of the running mean of the weights, which is what is kept
WARM_UP = 0.2  # share of a cycle in which the rate climbs


@dataclass(frozen=True)
class Pictures:
    """``pixels`` (rows, 3, 32, 32) as bytes, ``classes`` (rows,), and the classes' names in order."""

    pixels: Tensor
    classes: Tensor
    names: tuple[str, ...]


class Cycle(NamedTuple):
    """See ``Run``."""

    epochs: int
    rate: float
    hole: int = 0


@dataclass(frozen=True)
class Run:
    """Every number of a run. A cycle is so many epochs up to a rate and down to nothing; ``hole`` is the side in pixels
    of a square that is left out of each picture."""

    cycles: tuple[Cycle, ...]
    batch_size: int = 250
    weight_decay: float = 5e-4
    smoothing: float = 0.1
    seed: int = 0

    @property
    def epochs(self) -> int:
        """Of all cycles."""
        return sum(cycle.epochs for cycle in self.cycles)

    def at(self, epoch: int) -> tuple[Cycle, int]:
        """An epoch's cycle, and the epochs before that."""
        before = 0
        for cycle in self.cycles:
            if epoch < before + cycle.epochs:
                return cycle, before
            before += cycle.epochs
        raise IndexError(epoch)


@dataclass(frozen=True)
class Recipe:
    """One starter: its name, what ``config.json`` says, and how its network is made; ``stem`` names its first layer."""

    name: str
    architecture: str
    arguments: dict[str, Any]
    network: Callable[[int], nn.Module]
    stem: str
    run: Run


def main(recipe: Recipe) -> None:
    """Train, measure on the test part, and write the starter's folder."""
    parser = command(recipe.name, data="cifar10/train.tar.xz and cifar10/test.tar.xz")
    parser.add_argument("--threads", type=int, default=0, help="0: all")
    asked = parser.parse_args()
    if asked.threads:
        torch.set_num_threads(asked.threads)
    run = recipe.run
    torch.manual_seed(run.seed)
    data = read(asked.data / "cifar10" / "train.tar.xz")
    network = recipe.network(len(data.names))
    stem = network.get_submodule(recipe.stem)
    assert isinstance(stem, nn.Conv2d)
    whiten(stem, data)
    started = time.monotonic()
    network = train(network, data, run, asked.state / f"{recipe.name}.pt")
    seconds = time.monotonic() - started
    folder = starter_folder(recipe.name)
    weights = {name: value.half() for name, value in network.state_dict().items() if value.is_floating_point()}
    save_file({name: value.contiguous() for name, value in weights.items()}, str(folder / "model.safetensors"))
    (folder / "config.json").write_text(config(recipe.architecture, recipe.arguments, data.names) + "\n")
    network.load_state_dict({name: value.float() for name, value in weights.items()}, strict=False)
    score = accuracy(network, read(asked.data / "cifar10" / "test.tar.xz"))
    (folder / "README.md").write_text(_card(recipe, run, network, score, seconds))
    print(f"{recipe.name}: {score:.4f} on the test part")


def read(archive: Path) -> Pictures:
    """Pictures of a tar file with one folder per class, in the order of their paths."""
    found: list[tuple[str, bytes]] = []
    with tarfile.open(archive) as tar:
        for member in tar:
            stream = tar.extractfile(member) if member.isfile() else None
            if stream is not None and member.name.lower().endswith((".jpg", ".jpeg", ".png")):
                found.append((member.name, stream.read()))
    found.sort()
    names = tuple(sorted({Path(name).parent.name for name, _ in found}))
    arrays = [np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) for _, data in found]
    pixels = torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).contiguous()
    return Pictures(pixels, torch.tensor([names.index(Path(name).parent.name) for name, _ in found]), names)


def train(network: nn.Module, data: Pictures, run: Run, state: Path, say: Callable[[str], None] = print) -> nn.Module:
    """SGD with a rate that goes up and down in cycles; returns the mean of the weights over the last updates.

    ``state`` is written after each epoch: a run that is cut off and started again goes on behind the last whole epoch.
    """
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    groups = [[w for w in network.parameters() if w.ndim > 1], [w for w in network.parameters() if w.ndim <= 1]]
    optimiser = torch.optim.SGD(
        [{"params": groups[0], "weight_decay": run.weight_decay}, {"params": groups[1], "weight_decay": 0.0}],
        lr=run.cycles[0].rate,
        momentum=0.9,
        nesterov=True,
    )
    average = torch.optim.swa_utils.get_ema_multi_avg_fn(AVERAGE)  # type: ignore[no-untyped-call]
    mean = torch.optim.swa_utils.AveragedModel(network, multi_avg_fn=average, use_buffers=True)
    batches = len(data.pixels) // run.batch_size
    first = _restore(state, network, optimiser, mean)
    for epoch in range(first, run.epochs):
        generator = torch.Generator().manual_seed(run.seed * 1009 + epoch)
        network.train()
        started, seen, right = time.monotonic(), 0, 0
        cycle, before = run.at(epoch)
        for step, (pixels, classes) in enumerate(_batches(data, run.batch_size, generator, epoch, hole=cycle.hole)):
            rate = cycle.rate * _one_cycle(((epoch - before) * batches + step) / (cycle.epochs * batches))
            for group in optimiser.param_groups:
                group["lr"] = rate
            with torch.autocast("cpu", dtype=torch.bfloat16):
                logits = network(pixels)
            loss = functional.cross_entropy(logits.float(), classes, label_smoothing=run.smoothing)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            mean.update_parameters(network)
            seen, right = seen + len(classes), right + int((logits.argmax(1) == classes).sum())
        say(f"epoch {epoch + 1} of {run.epochs}: training {right / seen:.4f}, {time.monotonic() - started:.0f} s")
        _save(state, network, optimiser, mean, epoch + 1)
    result: nn.Module = mean.module
    return result.eval()


@torch.no_grad()
def whiten(stem: nn.Conv2d, data: Pictures) -> None:
    """Start the first 3×3 convolution as the principal components of 3×3 patches, each with both signs."""
    patches = functional.unfold(normalise(data.pixels[:2000]), 3).transpose(1, 2).reshape(-1, 27)
    _, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
    filters = vectors.T.flip(0).reshape(27, 3, 3, 3)
    count = min(27, stem.out_channels // 2)
    stem.weight[:count], stem.weight[count : 2 * count] = filters[:count], -filters[:count]


@torch.no_grad()
def accuracy(network: nn.Module, data: Pictures) -> float:
    """Share of pictures whose class is named first, their mirror images looked at too, as the starters are served."""
    network.eval()
    right = 0
    for at in range(0, len(data.pixels), 500):
        pixels = normalise(data.pixels[at : at + 500])
        logits = network(pixels) + network(pixels.flip(3))
        right += int((logits.argmax(1) == data.classes[at : at + 500]).sum())
    return right / len(data.pixels)


def normalise(pixels: Tensor) -> Tensor:
    """Bytes to what the network sees."""
    shape = (1, 3, 1, 1)
    return (pixels.float() / 255 - torch.tensor(MEAN).view(shape)) / torch.tensor(STD).view(shape)


def config(architecture: str, arguments: dict[str, Any], names: tuple[str, ...]) -> str:
    """``config.json`` in timm's hub layout."""
    return json.dumps(
        {
            "architecture": architecture,
            "num_classes": len(names),
            "label_names": list(names),
            "mirrored": True,
            "model_args": arguments,
            "pretrained_cfg": {
                "input_size": [3, SIZE, SIZE],
                "interpolation": "bicubic",
                "crop_pct": 1.0,
                "mean": MEAN,
                "std": STD,
            },
        },
        indent=2,
    )


def _batches(
    data: Pictures, size: int, generator: torch.Generator, epoch: int, *, hole: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Shuffled, each picture moved by up to ``BORDER`` pixels; mirrored in every other epoch, drawn for the first.

    (Alternating flip: Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", 2024, as is the start of the stem.)
    """
    order = torch.randperm(len(data.pixels), generator=generator)
    for at in range(0, len(order) - size + 1, size):
        places = order[at : at + size]
        pixels = functional.pad(normalise(data.pixels[places]), (BORDER,) * 4, mode="reflect")
        moves = torch.randint(0, 2 * BORDER + 1, (size, 2), generator=generator).tolist()
        mirrored = (places * 2654435761 % 1024 + epoch * 512) % 1024 < 512
        batch = torch.empty(size, 3, SIZE, SIZE)
        for row, (down, right) in enumerate(moves):
            batch[row] = pixels[row, :, down : down + SIZE, right : right + SIZE]
        batch[mirrored] = batch[mirrored].flip(3)
        if hole:
            for row, (down, right) in enumerate(torch.randint(0, SIZE - hole, (size, 2), generator=generator).tolist()):
                batch[row, :, down : down + hole, right : right + hole] = 0
        yield batch.to(memory_format=torch.channels_last), data.classes[places]


def _one_cycle(share: float) -> float:
    """Up in a straight line, then down to zero as half a cosine."""
    if share < WARM_UP:
        return share / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (share - WARM_UP) / (1 - WARM_UP)))


def _save(path: Path, network: nn.Module, optimiser: torch.optim.Optimizer, mean: nn.Module, epoch: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    torch.save(
        {
            "network": network.state_dict(),
            "optimiser": optimiser.state_dict(),
            "mean": mean.state_dict(),
            "epoch": epoch,
        },
        temporary,
    )
    temporary.rename(path)


def _restore(path: Path, network: nn.Module, optimiser: torch.optim.Optimizer, mean: nn.Module) -> int:
    """The number of whole epochs done."""
    if not path.is_file():
        return 0
    state = torch.load(path, weights_only=True)
    network.load_state_dict(state["network"])
    optimiser.load_state_dict(state["optimiser"])
    mean.load_state_dict(state["mean"])
    return int(state["epoch"])


def _card(recipe: Recipe, run: Run, network: nn.Module, score: float, seconds: float) -> str:
    count = sum(weight.numel() for weight in network.parameters())
    return f"""# {recipe.name}

Ten kinds of things in pictures of 32 pixels; {count:,} weights, float16.

- Data: CIFAR-10 (Krizhevsky, 2009), 50,000 pictures for training, as JPEG of low quality. Its licence is unclear: it is
  public research data. The pictures are not part of this.
- Recipe: `python -m adapters.pretraining.{recipe.name.replace("-", "_")} DATA`, from random weights, seed {run.seed}:
  SGD in cycles, one after the other: {"; ".join(_words(cycle) for cycle in run.cycles)}.
  Batches of {run.batch_size}, mirrored and moved by up to {BORDER} pixels,
  label smoothing {run.smoothing}, running mean of the weights.
- Training took {seconds / 60:.0f} minutes on one core (bfloat16).
- Accuracy on the 10,000 pictures of the test part: {score:.4f}, as float16. The picture and its
  mirror image are both looked at, as when it is served.
- Weaknesses: it has seen 32 pixels and ten classes. Larger photographs are shrunk to that; what is none of the ten
  still gets one of their names. It is meant to be tried and to be adapted to other small pictures.
"""


def _words(cycle: Cycle) -> str:
    hole = f", a square of {cycle.hole} pixels left out" if cycle.hole else ""
    return f"{cycle.epochs} epochs at a rate of up to {cycle.rate}{hole}"
