"""The starter ``blood-cells``: ``python -m adapters.pretraining.blood_cells DATA``; see ``adapted``."""

from __future__ import annotations

from adapters.jobs import Hyperparameters
from adapters.pretraining.adapted import Recipe, main
from adapters.pretraining.detector import write

RECIPE = Recipe(
    name="blood-cells",
    data="bccd",
    about="Finds red and white blood cells and platelets under the microscope.",
    licence="BCCD, MIT.",
    weaknesses="one stain and one magnification; crowded red cells are merged or missed. Not for diagnosis.",
    write=write,
    asked=Hyperparameters(n_epochs=14),
)

if __name__ == "__main__":
    main(RECIPE)
