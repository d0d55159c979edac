"""The few settings of a peft ``adapter_config.json`` that decide what a LoRA adapter computes; all else is dropped.

peft's own loader imports modules that the file names. Nothing of the file is passed on to it from here.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MAX_RANK = 64
_PATTERN = re.compile(r"\^?[A-Za-z0-9_.]{1,256}")
# How training started, what it was for, and switches that need no arithmetic of ours.
_WITHOUT_EFFECT = frozenset(
    ("base_model_name_or_path", "ensure_weight_tying", "eva_config", "exclude_modules", "inference_mode")
    + ("init_lora_weights", "layers_pattern", "layers_to_transform", "lora_dropout", "lora_ga_config")
    + ("peft_version", "qalora_group_size", "revision", "runtime_config", "target_modules", "task_type")
)
_READ = frozenset(
    ("peft_type", "r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern", "modules_to_save", "bias")
    + ("megatron_core",)
)
# These start from changed base weights, so the adapter does not fit the original ones.
_CHANGED_BASE = ("pissa", "olora", "loftq", "corda", "lora_ga")


@dataclass(frozen=True)
class LoraSettings:
    """Rank and scale, for all modules and for single ones; modules that are trained whole."""

    rank: int
    alpha: float
    rank_stabilised: bool = False
    ranks: Mapping[str, int] = field(default_factory=dict)
    alphas: Mapping[str, float] = field(default_factory=dict)
    whole_modules: tuple[str, ...] = ()

    def rank_of(self, module: str) -> int:
        """Rank of one module: that of the first pattern that its name ends with, else the common one."""
        return next((rank for pattern, rank in self.ranks.items() if _ends_with(module, pattern)), self.rank)

    def scale_of(self, module: str) -> float:
        """What B @ A is multiplied with: alpha / rank, or alpha / sqrt(rank) where rank-stabilised."""
        alpha = next((alpha for pattern, alpha in self.alphas.items() if _ends_with(module, pattern)), self.alpha)
        rank = self.rank_of(module)
        return alpha / (math.sqrt(rank) if self.rank_stabilised else rank)

    def whole_module_of(self, tensor: str) -> str | None:
        """The entry of ``whole_modules`` that a tensor is trained for.

        As peft has it, any end of a module's name counts: ``classifier`` means ``pre_classifier``, too.
        """
        parts = tensor.split(".")[:-1]
        modules = [".".join(parts[: place + 1]) for place in range(len(parts))]
        return next((one for one in self.whole_modules if any(name.endswith(one) for name in modules)), None)


def parse_lora_config(text: str) -> LoraSettings:
    """Read ``adapter_config.json``; ``ValueError`` says which setting cannot be taken and why."""
    config = _load(text)
    if config.get("peft_type") != "LORA":
        raise ValueError('peft_type has to be "LORA"')
    _refuse_code(config)
    _refuse_other_arithmetic(config)
    return LoraSettings(
        rank=_rank(config.get("r"), "r"),
        alpha=_alpha(config.get("lora_alpha"), "lora_alpha"),
        rank_stabilised=_flag(config, "use_rslora"),
        ranks={name: _rank(value, "rank_pattern") for name, value in _patterns(config, "rank_pattern").items()},
        alphas={name: _alpha(value, "alpha_pattern") for name, value in _patterns(config, "alpha_pattern").items()},
        whole_modules=_names(config.get("modules_to_save")),
    )


def _load(text: str) -> dict[str, Any]:
    try:
        config = json.loads(text, object_pairs_hook=_unique)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError("it is not valid JSON") from error
    if not isinstance(config, dict):
        raise ValueError("it is not a JSON object")
    return config


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("it holds a key twice")
    return found


def _refuse_code(config: Mapping[str, Any]) -> None:
    if config.get("auto_mapping"):
        raise ValueError("auto_mapping names Python modules to import, which is never done: remove it")
    if config.get("megatron_config") or config.get("megatron_core") not in (None, "megatron.core"):
        raise ValueError("megatron_config and megatron_core name Python modules to import, which is never done")


def _refuse_other_arithmetic(config: Mapping[str, Any]) -> None:
    if config.get("use_dora"):
        raise ValueError("use_dora: DoRA is not supported; train with plain LoRA")
    if config.get("bias") not in (None, "none"):
        raise ValueError('bias has to be "none": biases trained with the adapter are not supported')
    start = config.get("init_lora_weights")
    if isinstance(start, str) and start.startswith(_CHANGED_BASE):
        raise ValueError(
            "init_lora_weights changes the base weights: convert the adapter to plain LoRA with peft first"
        )
    unknown = [key for key, value in config.items() if key not in _READ | _WITHOUT_EFFECT and value]
    if unknown:
        known = unknown[0] if re.fullmatch(r"[a-z_]{1,40}", unknown[0]) else "one of its settings"
        raise ValueError(f"{known} is not supported: train with plain LoRA on linear layers")


def _rank(value: object, key: str) -> int:
    if type(value) is not int or not 1 <= value <= MAX_RANK:
        raise ValueError(f"{key}: a rank is a whole number from 1 to {MAX_RANK}")
    return value


def _alpha(value: object, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1e4:
        raise ValueError(f"{key}: alpha is a number above 0, at most 10000")
    return float(value)


def _flag(config: Mapping[str, Any], key: str) -> bool:
    value = config.get(key, False)
    if not isinstance(value, bool):
        raise ValueError(f"{key} has to be true or false")
    return value


def _patterns(config: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = config.get(key) or {}
    if not isinstance(value, dict) or not all(_PATTERN.fullmatch(name) for name in value):
        # peft takes regular expressions here; one from outside can be made to run for ever.
        raise ValueError(f"{key} has to map plain module names, no regular expressions")
    return value


def _names(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(name, str) and _PATTERN.fullmatch(name) for name in value):
        raise ValueError("modules_to_save has to be a list of module names")
    return tuple(value)


def _ends_with(module: str, pattern: str) -> bool:
    if pattern.startswith("^"):
        return module == pattern[1:]
    return module == pattern or module.endswith(f".{pattern}")
