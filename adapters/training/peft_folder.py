"""An adapter that peft saved elsewhere: what its folder holds, and the model of transformers that it makes of a base.

peft itself computes what is expected of the served version. Its loader is not used, which imports modules that a folder
names: peft gets a configuration of known fields and tensors from a file that has been checked.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model, set_peft_model_state_dict
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import nn

from adapters.training import checkpoint as checkpoints
from adapters.training import lora
from adapters.training.encoder import load_weights
from adapters.training.form import TASK_TYPES, Form, counted, outer_linears
from zoo.catalogue.adapter import CONFIG, WEIGHTS, LoraAdapter
from zoo.catalogue.lora_config import LoraSettings, parse_lora_config
from zoo.errors import InvalidInput, Unsupported

_TRUSTED = "transformers.models."
_PROBLEMS = ("regression", "single_label_classification", "multi_label_classification")


@dataclass(frozen=True, eq=False)
class PeftFolder:
    """``task_type`` is peft's name of the task, None where its models take every input. ``made_for``: the model that
    its maker names. ``config``: that of the whole model, where it lies beside."""

    path: Path
    adapter: LoraAdapter
    settings: LoraSettings
    task: str
    task_type: str | None
    made_for: str
    config: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path, *, task: str | None) -> PeftFolder:
        """A folder of checked files; ``task`` instead of the one that it names.

        Raises ``InvalidInput`` (``invalid_adapter``) for what no adapter may hold, ``Unsupported`` for other tasks.
        """
        written = checkpoints.read_json(path / CONFIG)
        mapping = written.get("auto_mapping")
        if isinstance(mapping, dict) and str(mapping.get("parent_library", "")).startswith(_TRUSTED):
            # What peft writes where no type of task was given; the class is known by the task here.
            (path / CONFIG).write_text(json.dumps({**written, "auto_mapping": None}), encoding="utf-8")
        adapter = LoraAdapter.read(path)
        kind = written.get("task_type")
        asked = task or _task(kind)
        return cls(
            path,
            adapter,
            parse_lora_config((path / CONFIG).read_text(encoding="utf-8")),
            asked,
            next((known for known, name in TASK_TYPES.items() if (known, name) == (kind, asked)), None),
            _name(written.get("base_model_name_or_path")),
            checkpoints.read_json(path / "config.json"),
        )

    @property
    def problem_type(self) -> str | None:
        """What transformers makes scores by, if the configuration beside the adapter says it."""
        written = self.config.get("problem_type")
        return written if written in _PROBLEMS else None

    def labels(self, count: int, given: Sequence[str] | None) -> tuple[str, ...]:
        """The names of so many classes, ``given`` or those beside the adapter; raises ``InvalidInput`` without them."""
        if given is not None:
            return counted(given, count)
        named = self.config.get("id2label")
        if isinstance(named, dict) and sorted(named) == sorted(map(str, range(count))):
            return tuple(str(named[str(place)]) for place in range(count))
        message = (
            f"The adapter tells {count} classes apart, and no config.json beside it names them: give their names in "
            "the order of its outputs, labels on HTTP or --labels a,b,c on the command line."
        )
        raise InvalidInput(message, code="labels_missing", param="labels")


def peft_model(folder: PeftFolder, checkpoint: Path, form: Form, *, base: str) -> PeftModel:
    """The base's checkpoint with the adapter beside it, as peft runs it; ``base`` is its name.

    Raises ``InvalidInput`` (``adapter_misfit``) that names a part in which the two do not fit.
    """
    _compare_vocabularies(folder.path, checkpoint, base)
    adapter, config = folder.adapter, checkpoints.load_config(checkpoint)
    outputs = _outputs(form, config, base)
    if (weight := adapter.head.get(f"{outputs}.weight")) is not None:
        config.num_labels = len(weight)
    try:
        model = load_weights(
            form.kind, checkpoint, config=config, given=adapter.head.keys(), ignore_mismatched_sizes=True
        )
    except InvalidInput as error:
        raise misfit(base, f"{error.message} Save the adapter with its head in modules_to_save") from error
    _check_fit(adapter, model, base)
    return _wrapped(model, folder, base)


def _outputs(form: Form, config: Any, base: str) -> str:
    """The name of the layer whose outputs are the classes; empty where there is no head."""
    try:
        with torch.device("meta"):
            model = form.kind.from_config(config)
    except ValueError:
        message = f"{base} is of the type {str(config.model_type)[:64]}, of which transformers has no such model."
        raise Unsupported(message, code="unsupported_architecture", param="base") from None
    return next(reversed(outer_linears(model)), "")


def _check_fit(adapter: LoraAdapter, model: nn.Module, base: str) -> None:
    modules = dict(model.named_modules())
    for name, (a, b) in adapter.pairs.items():
        layer = modules.get(name)
        if not isinstance(layer, nn.Linear):
            raise misfit(base, f"it adapts {name[:100]}, which is no linear layer of the base's model")
        if (a.shape[1], b.shape[0]) != (layer.in_features, layer.out_features):
            shapes = f"{a.shape[1]} numbers to {b.shape[0]}, the base's {layer.in_features} to {layer.out_features}"
            raise misfit(base, f"its {name[:100]} takes {shapes}")
    weights = model.state_dict()
    for name, tensor in adapter.head.items():
        if name not in weights:
            raise misfit(base, f"it holds {name[:100]}, which the base's model lacks")
        if weights[name].shape != tensor.shape:
            raise misfit(base, f"its {name[:100]} is {list(tensor.shape)}, the base's {list(weights[name].shape)}")


def _wrapped(model: nn.Module, folder: PeftFolder, base: str) -> PeftModel:
    settings, names = folder.settings, list(folder.adapter.pairs)
    whole = {settings.whole_module_of(tensor) for tensor in folder.adapter.head}
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        use_rslora=settings.rank_stabilised,
        rank_pattern=dict(settings.ranks),
        alpha_pattern=dict(settings.alphas),
        target_modules=names,
        exclude_modules=lora.unmeant(model, names),
        modules_to_save=[one for one in settings.whole_modules if one in whole] or None,
        task_type=folder.task_type,
    )
    with warnings.catch_warnings():
        # peft 0.21 asks transformers 5.23 for an attribute under its old name
        warnings.simplefilter("ignore", FutureWarning)
        wrapped = get_peft_model(model, config)
        try:
            report = set_peft_model_state_dict(wrapped, load_file(folder.path / WEIGHTS))
        except (RuntimeError, KeyError, ValueError) as error:
            raise misfit(base, "peft cannot put its weights into the base's model") from error
    if report.unexpected_keys:
        raise misfit(base, f"peft finds no place for {str(report.unexpected_keys[0])[:100]}")
    return wrapped.eval().requires_grad_(False)


def _name(written: object) -> str:
    """A model's name without the folder that it was in on its maker's machine."""
    name = str(written or "")
    return (PurePath(name).name if PurePath(name).is_absolute() or name.startswith((".", "~")) else name)[:200]


def _task(written: object) -> str:
    if isinstance(written, str) and written in TASK_TYPES:
        return TASK_TYPES[written]
    named = f"names the task_type {written[:40]}" if isinstance(written, str) else "names no task_type"
    message = f"The adapter {named}: give the task, one of {', '.join(TASK_TYPES.values())}."
    raise Unsupported(message, code="unsupported_task", param="task")


def _compare_vocabularies(folder: Path, checkpoint: Path, base: str) -> None:
    """A body of the same sizes may read other words; where the adapter's tokenizer lies beside it, that shows."""
    files = [path / "tokenizer.json" for path in (folder, checkpoint)]
    if not all(path.is_file() for path in files):
        return
    try:
        theirs, ours = (Tokenizer.from_file(str(path)) for path in files)
    except Exception as error:  # tokenizers raises nothing narrower
        raise _invalid("tokenizer.json beside the adapter cannot be read") from error
    if theirs.get_vocab() != ours.get_vocab():
        raise misfit(base, "the tokenizer.json beside it has another vocabulary than the base's")


def misfit(base: str, fault: str) -> InvalidInput:
    """That an adapter was made for another model than the one named."""
    message = f"The adapter does not fit {base}: {fault.removesuffix('.')}. Name the base that it was made for."
    return InvalidInput(message, code="adapter_misfit", param="base")


def _invalid(fault: str) -> InvalidInput:
    return InvalidInput(f"{fault}.", code="invalid_adapter")
