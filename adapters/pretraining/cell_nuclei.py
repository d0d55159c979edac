"""The starter ``cell-nuclei``: ``python -m adapters.pretraining.cell_nuclei DATA``; see ``adapted``."""

from __future__ import annotations

from pathlib import Path

from adapters.pretraining.adapted import Recipe, main
from adapters.training.layouts.segmenter import write_own_segmenter
from adapters.training.learning import Learnt
from zoo.tasks.processors.image import Preprocessing


def write(learnt: Learnt, folder: Path) -> None:
    """The segmenter's folder."""
    adaptation = learnt.adaptation
    how = Preprocessing.of(adaptation.servable().options["preprocessing"])
    write_own_segmenter(folder, adaptation.network, labels=adaptation.labels, preprocessing=how)  # type: ignore[arg-type]


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
