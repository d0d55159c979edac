"""How every server of the comparison cuts texts and writes vectors down."""

from __future__ import annotations

import base64

import numpy as np
from numpy.typing import NDArray

LIMIT = 512


def as_text(vector: NDArray[np.float32]) -> str:
    """Little-endian float32 in base64, the short form of OpenAI's embeddings."""
    return base64.b64encode(vector.astype("<f4").tobytes()).decode("ascii")
