"""Detectors of transformers that answer with a set of queries: DETR, YOLOS and RT-DETR, as they are to be served."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from transformers import AutoModelForObjectDetection
from transformers.models.rt_detr import modeling_rt_detr
from transformers.utils import logging as transformers_logging

from adapters.training import checkpoint as checkpoints
from adapters.training.detection.detr_backbone import own_backbone
from adapters.training.layouts.parts import unfit
from adapters.training.pictures.body import INPUT, example_pictures
from adapters.training.pictures.processor_config import of_processor
from adapters.training.recipe import Servable, Size
from zoo.errors import InvalidInput, Unsupported
from zoo.tasks.processors.image import Preprocessing, ShortestLongest

READERS = {"detr": "detr", "yolos": "detr", "rt_detr": "rt_detr"}
"""Model types that can be imported -> how their graphs are read (``zoo.tasks.object_detection``)."""

TRACED = 256  # pixels: what is compared beside the model's own size is small, as these networks are slow


class Queries(nn.Module):
    """Class logits (batch, queries, classes) and boxes (batch, queries, 4) of a transformers detector."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixel_values: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes are centre and size as shares of the picture."""
        answer = self.model(pixel_values=pixel_values)
        return answer.logits, answer.pred_boxes


class RankedQueries(Queries):
    """RT-DETR's, in the order of the places that they come from.

    The network takes its best places as queries, best first. Scores of neighbours in that order differ by less than
    two runtimes do, so that equal answers would come in another order; a score at each query ranks them anyway.
    """

    def forward(self, pixel_values: Tensor) -> tuple[Tensor, Tensor]:
        """As ``Queries``."""
        with _free_rows(), _ByPlace():
            return super().forward(pixel_values)


class _ByPlace(TorchFunctionMode):
    """Lets ``torch.topk`` answer in the order of the places."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        answer = func(*args, **(kwargs or {}))
        return (None, answer[1].sort(dim=1).values) if func is torch.topk else answer


@contextmanager
def _free_rows() -> Iterator[None]:
    """RT-DETR asks for ``len(tensor)``, which fixes the number of rows in the exported graph; its shape does not."""
    modeling_rt_detr.len = lambda one: one.shape[0] if isinstance(one, Tensor) else builtins.len(one)
    try:
        yield
    finally:
        del modeling_rt_detr.len


def load_queries(checkpoint: Path) -> Servable:
    """A DETR, YOLOS or RT-DETR; raises ``Unsupported`` for other types, ``InvalidInput`` for what does not fit."""
    kind, _ = checkpoints.architectures(checkpoint)
    if kind not in READERS:
        message = f"Detectors of the type {kind[:64]} are unknown; there are {', '.join(READERS)}."
        raise Unsupported(message, code="unsupported_architecture")
    settings = checkpoints.read_json(checkpoint / "preprocessor_config.json")
    if not settings:
        raise unfit("has no preprocessor_config.json, so nothing says how its pictures are prepared")
    how = of_processor(settings, kind)
    with own_backbone(checkpoint) as folder:
        model = _load(folder)
    config: Any = model.config
    sizes, axes, limits = _sizes(how)
    module = RankedQueries(model) if kind == "rt_detr" else Queries(model)
    return Servable(
        module=module.eval().requires_grad_(False),
        inputs=(INPUT,),
        outputs=("logits", "boxes"),
        example=example_pictures,
        sizes=sizes,
        axes=axes,
        least={"height": patch, "width": patch} if (patch := getattr(config, "patch_size", None)) else {},
        architecture=kind,
        labels=tuple(str(config.id2label[place]) for place in range(config.num_labels)),
        limits=limits,
        options={"detector": READERS[kind], "preprocessing": how.as_dict()},
    )


def _load(folder: Path) -> nn.Module:
    """From safetensors alone; the attention is left to transformers, as backbones have none to choose."""
    transformers_logging.disable_progress_bar()
    try:
        model, report = AutoModelForObjectDetection.from_pretrained(
            folder, use_safetensors=True, trust_remote_code=False, output_loading_info=True, dtype=torch.float32
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        message = "The weights cannot be loaded: the checkpoint needs a whole model.safetensors for its config.json."
        raise InvalidInput(message, code="invalid_checkpoint") from error
    missing = sorted(report["missing_keys"])
    if missing:
        raise unfit(f"lacks weights for {len(missing)} parts, such as {missing[0][:100]}")
    found: nn.Module = model
    return found


def _sizes(how: Preprocessing) -> tuple[tuple[Size, ...], dict[int, str], dict[str, int]]:
    """Sizes to try, axes that vary, and limits for the manifest."""
    if how.fixed is not None:
        return (how.fixed,), {0: "batch"}, {"height": how.fixed[0], "width": how.fixed[1]}
    if not isinstance(how.resize, ShortestLongest):
        message = "The checkpoint's detector takes pictures of any size, which this release cannot serve."
        raise Unsupported(message, code="unsupported_preprocessing")
    shortest, longest = how.resize.shortest, how.resize.longest
    side = min(shortest, TRACED)
    pictures = ((300, 400), (400, 300), (300, 300))
    small = ShortestLongest(side, max(side, min(longest, 2 * side)), how.resize.multiple)
    sizes = (*(small.of(*picture) for picture in pictures), how.resize.of(300, 400))
    return sizes, {0: "batch", 2: "height", 3: "width"}, {"shortest": shortest, "longest": longest}
