"""Memory that is free already, returned to the system."""

from __future__ import annotations

import ctypes
import sys


def trim() -> None:
    """Return free pages of the C library's heap, which it keeps otherwise; only glibc does, elsewhere nothing happens.

    ONNX Runtime frees its copy of a file when it has read the weights from it: as much as the graph itself.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)
