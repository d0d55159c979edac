"""The starter ``sms-spam``: ``python -m adapters.pretraining.sms_spam DATA``; see ``adapted``."""

from __future__ import annotations

from adapters.pretraining.adapted import Recipe, main
from adapters.pretraining.texts import BASE, writer

RECIPE = Recipe(
    name="sms-spam",
    data="sms_spam",
    files="{}.csv.gz",
    about="Tells spam among short messages.",
    licence="SMS Spam Collection, CC BY 4.0.",
    weaknesses="messages of the 2000s, from Britain and Singapore; newer tricks and mail are unknown to it.",
    write=writer("text-classification"),
    base=BASE,
)

if __name__ == "__main__":
    main(RECIPE)
