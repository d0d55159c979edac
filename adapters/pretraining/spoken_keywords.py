"""The starter ``spoken-keywords``: ``python -m adapters.pretraining.spoken_keywords DATA``; see ``adapted``."""

from __future__ import annotations

from adapters.pretraining.adapted import Recipe, main
from adapters.pretraining.sounds import BASE, write

RECIPE = Recipe(
    name="spoken-keywords",
    data="speech_commands_small",
    about="Tells three spoken English words: bed, cat, happy.",
    licence="Speech Commands (three of its words), CC BY 4.0.",
    weaknesses="three words, clips of a second. Any other word, and silence, is taken for one of the three.",
    write=write,
    base=BASE,
)

if __name__ == "__main__":
    main(RECIPE)
