"""transformers' layout: config.json with a ``model_type``, weights as safetensors, preprocessor_config.json."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModel, AutoModelForImageClassification
from transformers.utils import logging as transformers_logging

from adapters.training import checkpoint as checkpoints
from adapters.training.layouts.parts import WEIGHTS_FILE, Parts, unfit
from adapters.training.pictures.processor_config import of_processor
from zoo.errors import Unsupported, ZooError

_ENDINGS = ("ForImageClassification", "ForImageClassificationWithTeacher")


@dataclass(frozen=True)
class Family:
    """One model type: names of its steps, and its pooled vector from what the model answers."""

    steps: Callable[[nn.Module], list[str]]
    pooled: Callable[[Any], Tensor]


class HubNetwork(nn.Module):
    """A model of transformers without its classifier."""

    def __init__(self, model: nn.Module, pool: Callable[[Any], Tensor]) -> None:
        super().__init__()
        self.model = model
        self._pool = pool

    def pooled(self, pixels: Tensor) -> Tensor:
        """(batch, width): what the checkpoint's own classifier sees."""
        return self._pool(self.model(pixel_values=pixels))


def read_hub(checkpoint: Path) -> Parts:
    """A network of one of ``FAMILIES``, with its classifier if the checkpoint has one.

    Raises ``Unsupported`` for other model types, ``InvalidInput`` for files that contradict each other.
    """
    kind, names = checkpoints.architectures(checkpoint)
    if kind not in FAMILIES:
        message = f"Picture models of the type {kind[:64]} are unknown; there are {', '.join(FAMILIES)}."
        raise Unsupported(message, code="unsupported_architecture")
    family = FAMILIES[kind]
    headed = any(name.endswith(_ENDINGS) for name in names)
    settings = checkpoints.read_json(checkpoint / "preprocessor_config.json")
    if not settings:
        raise unfit("has no preprocessor_config.json, so nothing says how its pictures are prepared")
    preprocessing = of_processor(settings, kind)
    model = _load(AutoModelForImageClassification if headed else AutoModel, checkpoint)
    config = model.config
    distilled = hasattr(model, "distillation_classifier")
    body = model.base_model
    classifier = _classifier(model) if headed else None
    return Parts(
        network=HubNetwork(body, _two_tokens if distilled else family.pooled),
        steps=tuple(f"model.{name}" for name in family.steps(body)),
        classifier=classifier,
        labels=tuple(str(config.id2label[place]) for place in range(config.num_labels)) if classifier else (),
        architecture=kind,
        preprocessing=preprocessing,
        function_to_apply=_function(config),
    )


def _load(kind: Any, checkpoint: Path) -> Any:
    transformers_logging.disable_progress_bar()  # jobs report their progress by other means
    if not (checkpoint / WEIGHTS_FILE).is_file() and not (checkpoint / f"{WEIGHTS_FILE}.index.json").is_file():
        raise unfit(f"has no {WEIGHTS_FILE}")
    try:
        model, report = kind.from_pretrained(
            checkpoint,
            config=checkpoints.load_config(checkpoint),
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # so that they are reported by name
            dtype=torch.float32,
        )
    except ZooError:
        raise
    except Exception as error:  # settings that make no sense raise anything, ZeroDivisionError for a patch of 0
        message = f"cannot be loaded: it needs a whole {WEIGHTS_FILE} for its config.json"
        raise unfit(message) from error
    _refuse_gaps(report, headed=kind is AutoModelForImageClassification)
    return model


def _refuse_gaps(report: dict[str, Any], *, headed: bool) -> None:
    """A pooler is used by no task here; without a head what belongs to other heads is of no use either."""
    missing = sorted(key for key in report["missing_keys"] if "pooler." not in key)
    misshapen = sorted(str(entry[0]) for entry in report["mismatched_keys"])
    extra = sorted(key for key in report["unexpected_keys"] if headed and "pooler." not in key)
    if missing:
        raise unfit(f"lacks weights for {len(missing)} parts, such as {missing[0]}")
    if misshapen:
        raise unfit(f"has {misshapen[0]} of another shape than its config.json says")
    if extra:
        raise unfit(f"has weights for {len(extra)} parts that its architecture lacks, such as {extra[0]}")


def _classifier(model: Any) -> nn.Linear | None:
    """The head as one linear layer on the pooled vector."""
    if hasattr(model, "distillation_classifier"):
        return _averaged(model.cls_classifier, model.distillation_classifier)
    layers = [layer for layer in model.classifier.modules() if isinstance(layer, nn.Linear)]
    return layers[0] if layers else None


def _averaged(first: nn.Linear, second: nn.Linear) -> nn.Linear:
    """The mean of two heads on two tokens as one head on both tokens side by side."""
    joined = nn.Linear(first.in_features + second.in_features, first.out_features)
    with torch.no_grad():
        joined.weight.copy_(torch.cat((first.weight, second.weight), dim=1) / 2)
        joined.bias.copy_((first.bias + second.bias) / 2)
    return joined


def _function(config: Any) -> str:
    """What makes scores of logits, as transformers' pipeline decides it."""
    problem = getattr(config, "problem_type", None)
    if problem == "regression":
        return "none"
    return "sigmoid" if problem == "multi_label_classification" or config.num_labels == 1 else "softmax"


def _pooler_output(answer: Any) -> Tensor:
    return torch.flatten(answer.pooler_output, start_dim=1)


def _first_token(answer: Any) -> Tensor:
    """The class token after the last norm; a pooler behind it is made for other tasks."""
    hidden: Tensor = answer.last_hidden_state
    return hidden[:, 0]


def _two_tokens(answer: Any) -> Tensor:
    """Class and distillation token side by side (Touvron et al., DeiT, 2020)."""
    hidden: Tensor = answer.last_hidden_state
    return torch.flatten(hidden[:, :2], start_dim=1)


def _numbered(model: nn.Module, stack: str) -> list[str]:
    return [f"{stack}.{name}" for name, _ in model.get_submodule(stack).named_children()]


def _tokens(model: nn.Module) -> list[str]:
    return ["embeddings", *_numbered(model, "layers")]


def _residual_stages(model: nn.Module) -> list[str]:
    return [
        "embedder",
        *(name for stage in _numbered(model, "encoder.stages") for name in _numbered(model, f"{stage}.layers")),
    ]


def _convnext_stages(model: nn.Module) -> list[str]:
    names = ["embeddings"]
    for stage in _numbered(model, "encoder.stages"):
        names += [*_numbered(model, f"{stage}.downsampling_layer"), *_numbered(model, f"{stage}.layers")]
    return names


def _mobile_layers(model: nn.Module) -> list[str]:
    return ["conv_stem", *_numbered(model, "layer"), "conv_1x1"]


FAMILIES = {
    "resnet": Family(_residual_stages, _pooler_output),
    "vit": Family(_tokens, _first_token),
    "deit": Family(_tokens, _first_token),
    "convnext": Family(_convnext_stages, _pooler_output),
    "mobilenet_v2": Family(_mobile_layers, _pooler_output),
}
