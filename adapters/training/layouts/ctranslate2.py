"""CTranslate2's binary layout (``model.bin``): named arrays one behind the other, float, half or int8 with scales.

A data format, not a pickle: nothing in it can run. Version 6 is what its converters have written since 2021.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adapters.training.layouts.parts import unfit
from zoo.errors import InvalidInput

WEIGHTS_FILE = "model.bin"
_VERSIONS = range(5, 7)  # 5 came without aliases' table being read, and has the same fields
_TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
_BFLOAT16 = 5  # numpy has no such type: its bits are the upper half of a float32's
_SCALE = "_scale"
_MOST_AXES = 8


@dataclass(frozen=True)
class Stored:
    """What one file holds: the kind of network (``WhisperSpec``), its revision, and the arrays by name.

    The arrays lie in the file, which is mapped and not read. ``aliases`` are other names for some of them.
    """

    kind: str
    revision: int
    arrays: Mapping[str, NDArray[np.generic]]
    aliases: Mapping[str, str]

    def number(self, name: str, default: int = 0) -> int:
        """A setting that is stored as an array without axes; ``default`` where there is none."""
        found = self.arrays.get(name)
        return default if found is None or found.size != 1 else int(found.reshape(())[()])

    def weights(self) -> Iterator[tuple[str, Tensor]]:
        """Every weight in float32, those of int8 and int16 divided by their scales; settings and aliases are not."""
        for name, array in self.arrays.items():
            if array.ndim and not name.endswith(_SCALE) and name not in self.aliases:
                yield name, self._weight(name)

    def _weight(self, name: str) -> Tensor:
        array = self.arrays[name]
        value = np.array(array, dtype=np.float32)
        if array.dtype.kind == "f":
            return torch.from_numpy(value)
        scale = self.arrays.get(name + _SCALE)
        if scale is None or scale.ndim > 1 or (scale.ndim == 1 and scale.size not in (1, len(value))):
            raise unfit(f"has {name} as whole numbers without a {name.rpartition('/')[2]}{_SCALE} for each row")
        divisor = np.asarray(scale, dtype=np.float32)
        if not (np.isfinite(divisor) & (divisor > 0)).all():
            raise unfit(f"has a {name}{_SCALE} that is not a number above zero")
        value /= divisor.reshape(-1, *(1,) * (value.ndim - 1))
        return torch.from_numpy(value)


def is_ctranslate2(checkpoint: Path) -> bool:
    """Whether the folder holds such a file, by its first bytes: a small number, then a name that ends in ``Spec``."""
    try:
        with (checkpoint / WEIGHTS_FILE).open("rb") as file:
            start = np.frombuffer(file.read(300), dtype=np.uint8)
        reader = _Reader(start)
        return reader.number(4) in _VERSIONS and reader.text().endswith("Spec")
    except (OSError, InvalidInput):
        return False


def read_arrays(path: Path) -> Stored:
    """Raises ``InvalidInput`` (``invalid_checkpoint``) for a file that is cut off or contradicts itself."""
    try:
        reader = _Reader(np.memmap(path, dtype=np.uint8, mode="r"))
    except (OSError, ValueError) as error:
        raise unfit(f"has a {path.name} that cannot be read") from error
    if reader.number(4) not in _VERSIONS:
        raise unfit(f"has a {path.name} of another version of CTranslate2 than 5 or 6: convert the model anew")
    kind, revision = reader.text(), reader.number(4)
    arrays = dict(_arrays(reader, reader.number(4)))
    aliases = {reader.text(): reader.text() for _ in range(reader.number(4) if reader.left else 0)}
    for alias, name in aliases.items():
        if name not in arrays:
            raise unfit(f"has a {path.name} whose {alias} stands for {name}, which is not there")
    return Stored(kind, revision, arrays, aliases)


def _arrays(reader: _Reader, count: int) -> Iterator[tuple[str, NDArray[np.generic]]]:
    for _ in range(count):
        name, axes = reader.text(), reader.number(1)
        if axes > _MOST_AXES:
            raise unfit(f"has a {WEIGHTS_FILE} with {axes} axes for {name}")
        shape = tuple(reader.number(4) for _ in range(axes))
        kind, size = reader.number(1), reader.number(4)
        yield name, _array(name, kind, shape, reader.take(size))


def _array(name: str, kind: int, shape: tuple[int, ...], data: NDArray[np.uint8]) -> NDArray[np.generic]:
    # copies nothing but bfloat16: an array in the file may start at any byte, and np.array makes an aligned one later.
    dtype = np.dtype(np.uint16 if kind == _BFLOAT16 else _TYPES.get(kind, np.void))
    expected = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if dtype.kind == "V" or len(data) != expected:
        raise unfit(f"has a {WEIGHTS_FILE} whose {name} is of an unknown type or of another size than its shape")
    values = data.view(dtype.newbyteorder("<"))
    if kind == _BFLOAT16:
        values = (values.astype(np.uint32) << 16).view(np.float32)
    return values.reshape(shape)


class _Reader:
    """Little-endian fields from the front of some bytes; raises ``InvalidInput`` where they end too soon."""

    def __init__(self, data: NDArray[np.uint8]) -> None:
        self._data = data
        self._place = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._place

    def take(self, count: int) -> NDArray[np.uint8]:
        if count > self.left:
            raise unfit(f"has a {WEIGHTS_FILE} that is cut off: copy it again")
        start, self._place = self._place, self._place + count
        return self._data[start : self._place]

    def number(self, width: int) -> int:
        return int.from_bytes(self.take(width).tobytes(), "little")

    def text(self) -> str:
        """A length, then as many bytes, the last of them zero."""
        written = self.take(self.number(2)).tobytes()
        try:
            return written.removesuffix(b"\0").decode("utf-8")
        except UnicodeDecodeError:
            raise unfit(f"has a {WEIGHTS_FILE} with a name that is no text") from None
