"""The starter ``bank-intents``: ``python -m adapters.pretraining.bank_intents DATA``; see ``adapted``."""

from __future__ import annotations

from adapters.jobs import Hyperparameters
from adapters.pretraining.adapted import Recipe, main
from adapters.pretraining.texts import BASE, writer

RECIPE = Recipe(
    name="bank-intents",
    data="banking77",
    files="{}.csv.gz",
    about="Tells what a customer asks a bank for, as one of 77 intents.",
    licence="BANKING77, CC BY 4.0.",
    weaknesses="one intent for each question; questions that are not for a bank get one of the 77 all the same.",
    write=writer("text-classification"),
    asked=Hyperparameters(
        n_epochs=8,
        batch_size=16,
        learning_rate=5e-4,
        lora_rank=16,
        lora_alpha=32,
        lora_dropout=0.1,
        target_modules=("query", "key", "value", "dense"),
    ),
    base=BASE,
)

if __name__ == "__main__":
    main(RECIPE)
