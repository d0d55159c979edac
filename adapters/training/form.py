"""A task's models as transformers has them: what peft's adapters that were made elsewhere stand in.

Recipes of tasks that have such models name theirs as ``FORM``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from adapters.training.recipe import load_recipe
from zoo.engine.head import Activation, Readout
from zoo.errors import InvalidInput, Unsupported

TASK_TYPES = {
    "SEQ_CLS": "text-classification",
    "TOKEN_CLS": "token-classification",
    "QUESTION_ANS": "question-answering",
    "FEATURE_EXTRACTION": "feature-extraction",
}
"""peft's names of tasks."""
UNREAD = {"QUESTION_ANS": ("token_type_ids",)}
"""Inputs that peft's models of a task take and do not hand on (peft 0.21): its adapters have learnt without them."""

# The layer that reads the first token's vector, below the one that names the classes: of BERT, RoBERTa and DistilBERT.
_INNER: tuple[tuple[str, Activation, str], ...] = (
    ("pooler.dense", "tanh", "classifier"),
    ("classifier.dense", "tanh", "classifier.out_proj"),
    ("pre_classifier", "relu", "classifier"),
)


@dataclass(frozen=True)
class HubHead:
    """A head as the body's slots are read with it: its tensors in ``head.safetensors``, and the modules they are of."""

    readout: Readout
    tensors: Mapping[str, Tensor]
    modules: tuple[str, ...]


@dataclass(frozen=True)
class Form:
    """``kind``: transformers' class of a task's models. ``network`` makes of one what answers as the exported graph.

    ``head`` reads the head off such a model; None where it is of another kind than slots are read with. ``headed``:
    whether there is one, ``labelled``: whether its outputs have names. ``request`` makes what a client would send of
    two texts.
    """

    kind: Any
    network: Callable[[nn.Module], nn.Module]
    head: Callable[[nn.Module], HubHead | None]
    headed: bool = True
    labelled: bool = True
    request: Callable[[str, str], object] = lambda text, other: text


def load_form(task: str) -> Form:
    """The form of a task; raises ``Unsupported`` where adapters made elsewhere are not imported."""
    form: Form | None = getattr(load_recipe(task), "FORM", None)
    if form is None:
        message = f"Adapters made elsewhere are not imported for {task}: {', '.join(TASK_TYPES.values())} are."
        raise Unsupported(message, code="unsupported_task", param="task")
    return form


def counted(labels: Sequence[str], count: int) -> tuple[str, ...]:
    """Labels that a request gives for so many classes; raises ``InvalidInput`` (``invalid_labels``) for others."""
    if len(labels) != count:
        message = f"The adapter tells {count} classes apart, {len(labels)} labels are given: give {count}."
        raise InvalidInput(message, code="invalid_labels", param="labels")
    return tuple(labels)


def body_prefix(model: nn.Module) -> str:
    """What names of modules of the body begin with inside of a model: ``bert.``, or nothing where it is the model."""
    name = str(getattr(model, "base_model_prefix", ""))
    return f"{name}." if name and hasattr(model, name) else ""


def outer_linears(model: nn.Module) -> list[str]:
    """Names of the linear layers that are none of the body's, in their order: the last one names the classes."""
    prefix = body_prefix(model)
    linears = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    return [name for name in linears if prefix and not name.startswith(prefix)]


def no_head(model: nn.Module) -> HubHead:
    """The vectors of the body's tokens are the answer, and what stands beside its pooler is read by nobody."""
    pooler = [name for name, _ in model.named_modules() if name == "pooler.dense"]
    return HubHead(Readout(linear=False), {}, tuple(pooler))


def token_head(model: nn.Module) -> HubHead | None:
    """One linear layer on each token's vector."""
    names = outer_linears(model)
    return _read(model, Readout(), {"": names[0]}) if len(names) == 1 else None


def first_token_head(model: nn.Module) -> HubHead | None:
    """Two linear layers on the first token's vector; whether they are that is for the slots' proof to find."""
    linears = {name for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    for inner, activation, outer in _INNER:
        names = [name for name in (inner, body_prefix(model) + inner) if name in linears]
        if names and outer_linears(model)[-1:] == [outer]:
            readout = Readout(pooling="cls", inner=activation)
            return _read(model, readout, {"inner.": names[0], "": outer})
    return None


def _read(model: nn.Module, readout: Readout, layers: Mapping[str, str]) -> HubHead | None:
    """The layers by what their tensors' names begin with; None where one has no bias."""
    tensors: dict[str, Tensor] = {}
    for prefix, name in layers.items():
        for kind in ("weight", "bias"):
            value = getattr(model.get_submodule(name), kind, None)
            if not isinstance(value, Tensor):
                return None
            tensors[prefix + kind] = value.detach().float().contiguous()
    return HubHead(readout, tensors, tuple(layers.values()))
