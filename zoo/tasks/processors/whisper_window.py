"""A clip as Whisper hears it: a window of 30 s, whose silent rest is stood for by few positions.

Whisper was trained on windows of 30 s and goes astray on shorter ones: it repeats itself instead of coming to an end
(asr_kathleen's test part, greedy, encoded at the clips' own length: 6.6 errors a word, with half a second more 4.0;
whole windows .057). But most of the 1,500 positions of a short clip's window hear the same silence. Of those beyond a
second after the clip one in sixteen is computed, and counts sixteen times.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zoo.tasks.processors.log_mel import LogMel

PLACES = 1500  # positions of a window: 20 ms each
MARGIN = 50  # of silence that is heard in full
STRIDE = 16
NOTHING = -1e9  # the weight of a position that only fills a batch
EDGE = 2  # positions more, so that none of those kept hears what the convolutions put behind the features
FRAMES = 2  # a position


@dataclass(frozen=True, eq=False)
class Window:
    """Features (bins, frames) with frames even, and sources, places and weights (positions,) of the encoder's graph.

    ``heard``: how many positions the clip itself has.
    """

    features: NDArray[np.float32]
    sources: NDArray[np.int64]
    places: NDArray[np.int64]
    weights: NDArray[np.float32]
    heard: int

    @property
    def cost(self) -> int:
        """Positions."""
        return len(self.places)


def window(samples: NDArray[np.float32], mel: LogMel, *, places: int = PLACES, whole: bool = False) -> Window:
    """The window of a clip that is no longer than ``places`` positions; ``whole`` computes each of them."""
    heard = -(-len(samples) // (FRAMES * mel.hop))
    kept = places if whole else min(places, heard + MARGIN)
    rest = np.arange(kept, places, STRIDE)
    counts = np.minimum(STRIDE, places - rest)
    features = mel(samples, FRAMES * min(places, kept + EDGE))
    silent = kept - 1  # a result of the convolutions that hears neither the clip nor the edge
    return Window(
        features,
        sources=np.concatenate([np.arange(kept), np.full(len(rest), silent)]).astype(np.int64),
        places=np.concatenate([np.arange(kept), rest + counts // 2]).astype(np.int64),
        weights=np.concatenate([np.zeros(kept), np.log(counts)]).astype(np.float32),
        heard=min(places, heard),
    )


def stacked(windows: list[Window]) -> dict[str, NDArray[np.generic]]:
    """The encoder's inputs for several windows; what fills shorter ones up is heard by nobody."""
    frames = max(window.features.shape[1] for window in windows)
    positions = max(len(window.places) for window in windows)
    # The value of silence is each window's own, and stands at its last frame.
    features = [np.pad(window.features, ((0, 0), (0, frames - window.features.shape[1])), "edge") for window in windows]

    def filled(name: str, value: float) -> NDArray[np.generic]:
        rows = [getattr(window, name) for window in windows]
        return np.stack([np.pad(row, (0, positions - len(row)), constant_values=value) for row in rows])

    return {
        "features": np.stack(features),
        "sources": filled("sources", 0),
        "places": filled("places", 0),
        "weights": filled("weights", NOTHING),
    }
