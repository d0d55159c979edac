"""The starter ``sentiment``: ``python -m adapters.pretraining.sentiment DATA``; see ``adapted``."""

from __future__ import annotations

from adapters.pretraining.adapted import Recipe, main
from adapters.pretraining.texts import BASE, writer

RECIPE = Recipe(
    name="sentiment",
    data="sst2",
    files="{}.csv.gz",
    about="Tells whether an English sentence is in favour of something or against it.",
    licence="Stanford Sentiment Treebank, research data whose licence is unclear: ask before commercial use.",
    weaknesses="sentences of film reviews, in lower case; there is no neutral, and irony is often missed.",
    write=writer("text-classification"),
    base=BASE,
)

if __name__ == "__main__":
    main(RECIPE)
