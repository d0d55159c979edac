"""The starter ``spoken-digits``: ``python -m adapters.pretraining.spoken_digits DATA``; see ``adapted``."""

from __future__ import annotations

from adapters.pretraining.adapted import Recipe, main
from adapters.pretraining.sounds import BASE, write

RECIPE = Recipe(
    name="spoken-digits",
    data="fsdd",
    about="Tells the ten digits, spoken in English, one in a clip.",
    licence="Free Spoken Digit Dataset, CC BY-SA 4.0.",
    weaknesses="six speakers, who are in both parts: other voices, accents and microphones are understood less well. "
    "Any other word is taken for a digit.",
    write=write,
    base=BASE,
)

if __name__ == "__main__":
    main(RECIPE)
