"""The starter ``cell-nuclei``: ``python -m adapters.pretraining.cell_nuclei DATA``; see ``adapted``."""

from __future__ import annotations

from pathlib import Path

from adapters.pretraining.adapted import Recipe, main
from adapters.training.architectures.unet import UNetDecoder
from adapters.training.layouts.adapted import write_adapted
from adapters.training.layouts.segmenter import ARCHITECTURE
from adapters.training.learning import Learnt


def write(learnt: Learnt, folder: Path) -> None:
    """Adapter, decoder and ``config.json``; the body is fetched with them when the starter is pulled."""
    adaptation = learnt.adaptation
    assert isinstance(adaptation.head, UNetDecoder)
    write_adapted(
        folder,
        learnt.wrapped,
        adaptation.head,
        labels=adaptation.labels,
        architecture=ARCHITECTURE,
        task="image-segmentation",
        channels=list(adaptation.head.channels),
        preprocessing=adaptation.servable().options["preprocessing"],
    )


RECIPE = Recipe(
    name="cell-nuclei",
    data="dsb2018",
    about="Tells the nuclei of cells from the background under several kinds of microscopes.",
    licence="Data Science Bowl 2018, stage 1, with corrected masks (BBBC038), CC0.",
    weaknesses="touching nuclei are one area, and clusters of very small ones merge. Not for diagnosis.",
    write=write,
)

if __name__ == "__main__":
    main(RECIPE)
