"""The starter ``tweet-entities``: ``python -m adapters.pretraining.tweet_entities DATA``; see ``adapted``."""

from __future__ import annotations

from adapters.jobs import Hyperparameters
from adapters.pretraining.adapted import Recipe, main
from adapters.pretraining.texts import BASE, writer

RECIPE = Recipe(
    name="tweet-entities",
    data="broad_twitter",
    files="{}.jsonl.gz",
    about="Finds people, organisations and places in English tweets and other short texts.",
    licence="Broad Twitter Corpus, CC BY 4.0.",
    weaknesses="short and informal texts; the base reads lower case only, so a name that is also a common word is "
    "told by its neighbours alone.",
    write=writer("token-classification"),
    asked=Hyperparameters(n_epochs=4, lora_rank=16),
    base=BASE,
)

if __name__ == "__main__":
    main(RECIPE)
