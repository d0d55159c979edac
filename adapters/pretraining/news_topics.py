"""The starter ``news-topics``: ``python -m adapters.pretraining.news_topics DATA``; see ``adapted``."""

from __future__ import annotations

from adapters.pretraining.adapted import Recipe, main
from adapters.pretraining.texts import BASE, writer

RECIPE = Recipe(
    name="news-topics",
    data="ag_news",
    files="{}.csv.gz",
    about="Sorts news into four topics.",
    licence="AG News (part of its test set, split again), non-commercial, and so are these weights.",
    weaknesses="news of 2004 and 2005 with title and first sentences; business and technology are taken for "
    "each other most.",
    write=writer("text-classification"),
    base=BASE,
    whole=False,
)

if __name__ == "__main__":
    main(RECIPE)
