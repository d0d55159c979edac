"""The starter ``sentence-entailment``: ``python -m adapters.pretraining.sentence_entailment DATA``; see ``adapted``."""

from __future__ import annotations

from adapters.jobs import Hyperparameters
from adapters.pretraining.adapted import Recipe, main
from adapters.pretraining.texts import ALL_LAYERS, BASE, writer

RECIPE = Recipe(
    name="sentence-entailment",
    data="sick",
    files="{}.csv.gz",
    task="text-classification",
    columns={"text": "premise", "text_pair": "hypothesis", "label": "label"},
    about="Tells whether a first sentence entails a second, contradicts it, or neither.",
    licence="SICK, CC BY-NC-SA 3.0: non-commercial, and so are these weights.",
    weaknesses="short sentences about what can be seen in pictures; contradictions are mostly told by negations and "
    "opposites. Single sentences of the test part stand in training pairs, by the design of the set.",
    write=writer("text-classification"),
    asked=Hyperparameters(n_epochs=5, lora_rank=16, target_modules=ALL_LAYERS),
    base=BASE,
)

if __name__ == "__main__":
    main(RECIPE)
