"""A text-to-text network with its answers before it: from what is read and was written to what should come next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from adapters.training.architectures.text_stacks import STACKS, Projection


class TaughtText(nn.Module):
    """Teacher forcing: logits of all tokens that are to be learnt, each from the true ones before it.

    ``body`` is transformers' network, under whose names the adapter is saved; there is no new head.
    """

    def __init__(self, body: Any) -> None:
        super().__init__()
        self.body = body
        self.head = nn.Identity()
        self._projection = (Projection(body),)  # in a tuple: its weights are the body's

    @property
    def model(self) -> Any:
        """transformers' network, with LoRA beside its layers or without."""
        body: Any = self.body
        return body.get_base_model() if hasattr(body, "get_base_model") else body

    def steps(self) -> Sequence[nn.Module]:
        """Layers of the encoder, then those of the decoder."""
        model, stack = self.model, STACKS[self.model.config.model_type]
        return [*stack(model.get_encoder()).layers, *stack(model.get_decoder()).layers]

    def forward(self, input_ids: Tensor, attention_mask: Tensor, tokens: Tensor, taught: Tensor) -> Tensor:
        """Logits (taught, vocabulary) at the places of ``tokens`` (batch, length) where ``taught`` is, row by row."""
        model = self.model
        read = model.get_encoder()(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        written = model.get_decoder()(
            input_ids=tokens, encoder_hidden_states=read, encoder_attention_mask=attention_mask, use_cache=False
        )
        logits: Tensor = self._projection[0](written.last_hidden_state[taught])
        return logits
