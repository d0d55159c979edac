"""What a checkpoint in the hub's layout says about itself: type, lengths, pooling, labels. Never runs its code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.catalogue.entry import is_relative_file
from zoo.errors import InvalidInput, Unsupported

# RoBERTa's positions start behind the padding id, so two of them are never used.
_OFFSET_POSITIONS = {"roberta", "xlm-roberta", "camembert", "mpnet"}
_MODULES_OF = "sentence_transformers."
UNBOUNDED = 100_000  # tokenizers write 10^30 for "no limit"


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object, empty where there is no such file; raises ``InvalidInput`` for anything else."""
    if not path.is_file():
        return {}
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        raise InvalidInput(f"{path.name} of the checkpoint is not JSON.", code="invalid_checkpoint") from None
    if not isinstance(loaded, dict):
        raise InvalidInput(f"{path.name} of the checkpoint holds no JSON object.", code="invalid_checkpoint")
    return loaded


def architectures(checkpoint: Path) -> tuple[str, tuple[str, ...]]:
    """Model type and class names of ``config.json``; raises ``InvalidInput`` without one or with remote code."""
    config = read_json(checkpoint / "config.json")
    if not config.get("model_type"):
        raise InvalidInput("The checkpoint has no config.json with a model_type.", code="invalid_checkpoint")
    refuse_remote_code(checkpoint)
    return str(config["model_type"]), tuple(str(name) for name in config.get("architectures") or ())


def refuse_remote_code(checkpoint: Path) -> None:
    """As ``refuse_code`` for the ``config.json`` of a checkpoint; every file of it was checked when it came in."""
    if (checkpoint / "config.json").is_file():
        refuse_code(checkpoint / "config.json")


def refuse_code(path: Path) -> None:
    """Raise ``InvalidInput`` (``remote_code``) for a JSON file that asks for Python code of its repository.

    That is ``auto_map``, and in ``modules.json`` a class that sentence-transformers does not have itself.
    """
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:  # no UTF-8, no JSON, or a number of more than 4,300 digits
        raise InvalidInput(f"{path.name} is not valid JSON", code="invalid_checkpoint") from error
    asking = "auto_map" if isinstance(content, dict) and "auto_map" in content else ""
    if path.name == "modules.json" and isinstance(content, list):
        kinds = [str(module.get("type")) for module in content if isinstance(module, dict)]
        asking = asking or next((kind[:64] for kind in kinds if not kind.startswith(_MODULES_OF)), "")
    if asking:
        raise InvalidInput(
            f"{path.name} asks for Python code of the repository ({asking}), which is never run. Use a model whose"
            " architecture is built in",
            code="remote_code",
        )


def max_tokens(checkpoint: Path) -> int:
    """The most tokens, special ones included, that model, tokenizer and sentence settings all allow."""
    config = read_json(checkpoint / "config.json")
    positions = _length(config, "max_position_embeddings", default=512)
    if config.get("model_type") in _OFFSET_POSITIONS:
        positions -= 2
    tokenizer = read_json(checkpoint / "tokenizer_config.json")
    sentence = read_json(checkpoint / "sentence_bert_config.json")
    return min(positions, _length(tokenizer, "model_max_length"), _length(sentence, "max_seq_length"))


def _length(settings: dict[str, Any], key: str, *, default: int = UNBOUNDED) -> int:
    value = settings.get(key)
    if value is None:
        return default
    if not isinstance(value, int | float) or not value >= 8:
        raise InvalidInput(f"{key} of the checkpoint is no number of tokens from 8 up.", code="invalid_checkpoint")
    return int(min(value, UNBOUNDED))


def pooling(checkpoint: Path) -> tuple[str, bool]:
    """How the checkpoint's own modules make one vector of many: (``mean``, ``cls`` or ``max``; length one?).

    A checkpoint without modules is pooled by the mean and left at its length. Raises ``Unsupported`` for modules and
    poolings that would be left out in silence, ``InvalidInput`` for a file that cannot be read.
    """
    kinds = _modules(checkpoint)
    unknown = [kind for kind in kinds if kind not in _MODULES]
    if unknown:
        message = f"The checkpoint has a module that this release does not have: {unknown[0][:64]}."
        raise Unsupported(message, code="unsupported_pooling")
    settings = read_json(checkpoint / kinds.get("Pooling", "1_Pooling") / "config.json")
    chosen = [key.removeprefix(_FLAG) for key, value in settings.items() if key.startswith(_FLAG) and value]
    if settings.get("pooling_mode"):  # one name in place of a flag for each mode
        chosen = [str(settings["pooling_mode"])]
    modes = [_POOLING.get(name) for name in chosen or ["mean"]]
    if len(modes) > 1 or modes[0] is None:
        raise Unsupported("The checkpoint pools in a way that this release does not have.", code="unsupported_pooling")
    return modes[0], "Normalize" in kinds


def _modules(checkpoint: Path) -> dict[str, str]:
    """Kinds of the modules that a sentence encoder is made of, and the folder of each."""
    path = checkpoint / "modules.json"
    if not path.is_file():
        return {}
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
        found = {str(module["type"]).rpartition(".")[2]: str(module.get("path", "")) for module in loaded}
    except (ValueError, TypeError, KeyError, AttributeError):
        message = "modules.json of the checkpoint is no list of modules."
        raise InvalidInput(message, code="invalid_checkpoint") from None
    return {kind: folder if is_relative_file(folder) else f"1_{kind}" for kind, folder in found.items()}


def prompts(checkpoint: Path) -> dict[str, Any]:
    """What a sentence encoder's settings say is done to a text first, as options of a version; mostly nothing.

    ``prompts`` (name -> what is put in front), ``default_prompt`` (a name), ``lower_case``. Raises ``InvalidInput`` for
    settings that contradict themselves, ``Unsupported`` where prompts are read but not pooled.
    """
    settings = read_json(checkpoint / "config_sentence_transformers.json")
    found, default = settings.get("prompts") or {}, settings.get("default_prompt_name")
    strings = isinstance(found, dict) and all(isinstance(text, str) for text in found.values())
    if not strings or not (default is None or (isinstance(default, str) and default in found)):
        raise unfit("has a config_sentence_transformers.json whose prompts cannot be read")
    pooled = read_json(checkpoint / _modules(checkpoint).get("Pooling", "1_Pooling") / "config.json")
    if any(found.values()) and pooled.get("include_prompt") is False:
        message = "The checkpoint leaves its prompts out when it pools, which this release does not."
        raise Unsupported(message, code="unsupported_pooling")
    lower = read_json(checkpoint / "sentence_bert_config.json").get("do_lower_case") is True
    options = {"prompts": found, "default_prompt": default, "lower_case": lower}
    return {name: value for name, value in options.items() if value}


_MODULES = ("Transformer", "Pooling", "Normalize")
_FLAG = "pooling_mode_"
_POOLING = {"mean": "mean", "cls": "cls", "max": "max", "mean_tokens": "mean", "cls_token": "cls", "max_tokens": "max"}


def unfit(fault: str) -> InvalidInput:
    """The error for a checkpoint that contradicts itself, e.g. ``lacks a config.json``."""
    return InvalidInput(f"The checkpoint {fault}.", code="invalid_checkpoint")


def labels(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the classes in the order of the outputs, as transformers gives them where a config has none."""
    named = config.get("id2label")
    count = len(named) if isinstance(named, dict) and named else config.get("num_labels", 2)
    if not isinstance(count, int) or not 0 < count <= UNBOUNDED:
        raise InvalidInput("config.json of the checkpoint names no classes.", code="invalid_checkpoint")
    if not isinstance(named, dict) or not named:
        return tuple(f"LABEL_{place}" for place in range(count))
    try:
        return tuple(str(named[str(place)]) for place in range(count))
    except KeyError:
        message = "id2label of the checkpoint's config.json does not number its classes from 0 on."
        raise InvalidInput(message, code="invalid_checkpoint") from None


def function_to_apply(config: Mapping[str, Any], classes: int) -> str:
    """What transformers' pipelines make of a classifier's numbers: ``softmax``, ``sigmoid`` or ``none``."""
    problem = config.get("problem_type")
    if problem == "regression":
        return "none"
    return "sigmoid" if problem == "multi_label_classification" or classes == 1 else "softmax"
