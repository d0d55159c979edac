"""What a checkpoint says of how its texts are searched for, as far as it is served: equal to transformers' generate."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from zoo.catalogue.hub_layout import read_json, unfit
from zoo.errors import Unsupported
from zoo.tasks.decoding.generation import Generation
from zoo.tasks.decoding.text_settings import Direction

# What would change the text and is not served; that of drawing is left out, as texts are searched for.
_MISSING = (
    "encoder_repetition_penalty",
    "encoder_no_repeat_ngram_size",
    "exponential_decay_length_penalty",
    "sequence_bias",
    "guidance_scale",
    "diversity_penalty",
    "penalty_alpha",
    "watermarking_config",
)
MOST_WITHOUT_PLACES = 512  # tokens that a T5, which has distances instead of places, reads and writes at the most
_NEUTRAL = (None, False, 0, 0.0, 1.0)


def generation_of(settings: Mapping[str, Any]) -> Generation:
    """From transformers' generation settings of a model; raises ``Unsupported`` for a search that is not served."""
    for name in _MISSING:
        if settings.get(name) not in _NEUTRAL:
            message = f"The checkpoint's generation_config.json sets {name}, which this release does not have."
            raise Unsupported(message, code="unsupported_generation")
    return _checked({name: settings.get(name) for name in Generation.model_fields})


def directions_of(checkpoint: Path, tasks: re.Pattern[str]) -> dict[str, Direction]:
    """What a model of several tasks is told, and how it searches, for those whose names are of the form ``tasks``.

    From ``task_specific_params`` of ``config.json``, as T5 has them. They are called by the groups of the form, as
    ``en-de``; without groups the name is "".
    """
    given = read_json(checkpoint / "config.json").get("task_specific_params")
    return dict(_directions(given if isinstance(given, dict) else {}, tasks))


def _directions(given: dict[str, Any], tasks: re.Pattern[str]) -> Iterator[tuple[str, Direction]]:
    for name, settings in given.items():
        found = tasks.fullmatch(name)
        if found is None or not isinstance(settings, dict):
            continue
        search = {key: value for key, value in settings.items() if key in Generation.model_fields}
        _checked(search)
        prefix = settings.get("prefix") or ""
        yield "-".join(found.groups()), Direction(prefix=str(prefix), generation=search)


def one_token(value: Any, name: str) -> int:
    """A token id that may stand in a list of its own; raises ``InvalidInput`` if there is none or more than one."""
    value = value[0] if isinstance(value, list) and len(value) == 1 else value
    if not isinstance(value, int) or value < 0:
        raise unfit(f"names no single {name}")
    return value


def _checked(given: dict[str, Any]) -> Generation:
    found = {name: value for name, value in given.items() if value is not None}
    for name in ("forced_bos_token_id", "forced_eos_token_id"):
        if name in found:
            found[name] = one_token(found[name], name)
    try:
        return Generation.model_validate(found)
    except ValidationError as error:
        field = error.errors(include_input=False)[0]["loc"][0]
        raise unfit(f"has settings of generation that are not served: {field}") from None
