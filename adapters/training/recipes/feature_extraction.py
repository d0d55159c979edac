"""feature-extraction: text encoders that answer with one vector for each token; pooled where they are served."""

from __future__ import annotations

from pathlib import Path

from transformers import AutoModel

from adapters.training.form import Form, no_head
from adapters.training.recipe import Servable
from adapters.training.sentences.sentence_encoder import TokenVectors, read_encoder

FORM = Form(AutoModel, TokenVectors, no_head, headed=False, labelled=False)


def load(checkpoint: Path) -> Servable:
    """The checkpoint's encoder without any head."""
    return read_encoder(checkpoint)
