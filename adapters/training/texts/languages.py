"""Which languages a model of many is adapted for: those by whose codes the data's columns are named."""

from __future__ import annotations

from collections.abc import Mapping

from zoo.catalogue.entry import ModelEntry
from zoo.errors import InvalidInput
from zoo.tasks.decoding.text_settings import TextSettings

_OPTION = "text_to_text"


def between(base: ModelEntry, columns: Mapping[str, str]) -> ModelEntry:
    """``base``, told the pair that ``columns`` (role -> column) name; other models, and other names, change nothing.

    Checkpoints of M2M-100 and NLLB mostly name no pair of their own, and one pair is what a data file holds.
    """
    if base.options.get(_OPTION) is None or not {"source", "target"} <= columns.keys():
        return base
    settings = TextSettings.of(base.options[_OPTION])
    source, target = columns["source"], columns["target"]
    if not settings.reads_language or not {source, target} <= settings.languages.keys():
        return base
    told = settings.model_copy(update={"source": source, "target": target})
    return base.model_copy(update={"options": {**base.options, _OPTION: told.model_dump(mode="json")}})


def check(base: ModelEntry, settings: TextSettings) -> None:
    """A model of many languages learns one pair; raises ``InvalidInput`` (``not_adaptable``) where nobody names it."""
    if settings.reads_language and (settings.source is None or settings.target is None):
        some = " and ".join(sorted(settings.languages)[:2])
        message = (
            f"{base.name} knows many languages and does not say from which to which: name the two columns of the data"
            f" by the languages' codes, as the model has them (such as {some})."
        )
        raise InvalidInput(message, code="not_adaptable", param="training_file")
