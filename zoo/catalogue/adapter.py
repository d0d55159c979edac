"""A LoRA adapter in peft's folder format, read without peft and without running anything of it."""

from __future__ import annotations

import itertools
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zoo.catalogue.lora_config import LoraSettings, parse_lora_config
from zoo.catalogue.tensors import FloatArray, read_floats
from zoo.errors import InvalidInput

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
HEAD = "head.safetensors"
MAX_CONFIG_BYTES = 1024 * 1024
MAX_WEIGHT_BYTES = 1024 * 1024 * 1024
MAX_FILES = 1000
_PREFIX = "base_model.model."
_FORBIDDEN = frozenset({".py", ".pyc", ".so", ".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".npy"})
_LORA = re.compile(r"(?P<module>[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*)\.lora_(?P<side>[AB])\.weight")
_PLAIN = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*")

Pair = tuple[FloatArray, FloatArray]


@dataclass(frozen=True, eq=False)
class LoraAdapter:
    """Low-rank changes of linear layers by module name, e.g. ``encoder.layer.0.attention.self.query``.

    A convolution of one pixel is a linear layer over channels. ``pairs``: A of shape (rank, in) and B of shape (out,
    rank). ``scales``: what B @ A is multiplied with. ``head``: tensors of layers that were trained whole, by parameter
    name, e.g. ``classifier.weight``.
    """

    rank: int
    alpha: float
    scale: float
    pairs: Mapping[str, Pair]
    scales: Mapping[str, float]
    head: Mapping[str, FloatArray]

    @classmethod
    def read(cls, folder: Path) -> LoraAdapter:
        """Read ``adapter_config.json``, ``adapter_model.safetensors`` and, if there, ``head.safetensors``.

        ``InvalidInput`` (``invalid_adapter``) names the file and what is wrong with it: code, pickles, links, settings
        other than plain LoRA, names that are there twice, shapes that do not fit, numbers that are not finite.
        """
        _check_folder(folder)
        try:
            settings = parse_lora_config((folder / CONFIG).read_text(encoding="utf-8"))
        except ValueError as error:
            raise _invalid(CONFIG, str(error)) from error
        pairs, head = _split(_read(folder, WEIGHTS), settings)
        for module, pair in pairs.items():
            _check_shapes(pair, settings.rank_of(module))
        if (folder / HEAD).exists():
            extra = _read(folder, HEAD)
            if set(extra) & set(head):
                raise _invalid(HEAD, f"it repeats a tensor of {WEIGHTS}")
            head.update(extra)
        scales = {module: settings.scale_of(module) for module in pairs}
        common = settings.scale_of("")
        return cls(settings.rank, settings.alpha, common, pairs, scales, head)

    def delta(self, module: str) -> FloatArray:
        """What is added to the weight of ``module``, shape (out, in); ``KeyError`` if the adapter leaves it alone."""
        a, b = self.pairs[module]
        return np.asarray(np.float32(self.scales[module]) * (b @ a), dtype=np.float32)


def _check_folder(folder: Path) -> None:
    paths = list(itertools.islice(folder.rglob("*"), MAX_FILES + 1))
    if len(paths) > MAX_FILES:
        raise _invalid("The folder", f"it holds more than {MAX_FILES} files")
    for path in paths:
        mode = os.lstat(path).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise _invalid("The folder", "a file in it is a link or no plain file: give copies")
        if path.suffix.casefold() in _FORBIDDEN:
            raise _invalid(
                "The folder", f"it holds a {path.suffix.casefold()} file: safetensors only, no code, no pickle"
            )
    for name, limit in ((CONFIG, MAX_CONFIG_BYTES), (WEIGHTS, MAX_WEIGHT_BYTES), (HEAD, MAX_WEIGHT_BYTES)):
        if not (folder / name).is_file():
            if name == HEAD:
                continue
            raise _invalid(name, "it is missing")
        if (folder / name).stat().st_size > limit:
            raise _invalid(name, f"it is larger than {limit // 1024**2} MiB")


def _read(folder: Path, name: str) -> dict[str, FloatArray]:
    try:
        return read_floats(folder / name)
    except ValueError as error:
        raise _invalid(name, str(error)) from error


def _split(tensors: Mapping[str, FloatArray], settings: LoraSettings) -> tuple[dict[str, Pair], dict[str, FloatArray]]:
    sides: dict[str, dict[str, FloatArray]] = {"A": {}, "B": {}}
    head: dict[str, FloatArray] = {}
    for key, array in tensors.items():
        name = key.removeprefix(_PREFIX)
        match = _LORA.fullmatch(name)
        if not key.startswith(_PREFIX) or not _PLAIN.fullmatch(name):
            raise _invalid(WEIGHTS, f"a tensor's name does not start with {_PREFIX} or is no module's name")
        if match:
            sides[match["side"]][match["module"]] = array
        elif settings.whole_module_of(name) is not None:
            head[name] = array
        else:
            raise _invalid(WEIGHTS, "a tensor is neither lora_A or lora_B of a linear layer nor of modules_to_save")
    if set(sides["A"]) != set(sides["B"]) or not sides["A"]:
        raise _invalid(WEIGHTS, "each adapted layer needs lora_A and lora_B")
    return {module: _as_linear(a, sides["B"][module]) for module, a in sides["A"].items()}, head


def _as_linear(a: FloatArray, b: FloatArray) -> Pair:
    """A pair as it is, that of a convolution of one pixel without its two axes of one place."""
    return (a[..., 0, 0], b[..., 0, 0]) if a.shape[2:] == b.shape[2:] == (1, 1) else (a, b)


def _check_shapes(pair: Pair, rank: int) -> None:
    a, b = pair
    if a.ndim != 2 or b.ndim != 2 or a.shape[0] != rank or b.shape[1] != rank or 0 in (a.shape[1], b.shape[0]):
        raise _invalid(
            WEIGHTS, "lora_A has to be (rank, in) and lora_B (out, rank), with the rank of the configuration"
        )


def _invalid(what: str, fault: str) -> InvalidInput:
    return InvalidInput(f"{what} of the adapter is refused: {fault}.", code="invalid_adapter")
