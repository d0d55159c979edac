"""image-feature-extraction: any picture network that answers with the vector its classifier sees, or would see."""

from __future__ import annotations

from pathlib import Path

from adapters.training.pictures.body import INPUT, example_pictures, load_body
from adapters.training.recipe import Servable


def load(checkpoint: Path) -> Servable:
    """The checkpoint's network without its classifier."""
    body = load_body(checkpoint)
    return Servable(
        module=body,
        inputs=(INPUT,),
        outputs=("vectors",),
        example=example_pictures,
        sizes=(body.size,),
        axes={0: "batch"},
        architecture=body.architecture,
        limits={"width": body.width},
        options={"preprocessing": body.preprocessing.as_dict(), "normalise": False},
        body=body,
    )
