"""What sentence-transformers does to a text before it is read: a prompt in front of it, small letters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from zoo.errors import InvalidInput

_SHOWN = 20  # names of prompts in a message


@dataclass(frozen=True)
class Prompts:
    """``texts``: name -> what is put in front. ``default`` is the name of the one that a request gets unasked."""

    texts: Mapping[str, str] = field(default_factory=dict)
    default: str | None = None
    lower_case: bool = False

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Prompts:
        """As a version's options have them, see ``hub_layout.prompts``."""
        return cls(options.get("prompts", {}), options.get("default_prompt"), bool(options.get("lower_case", False)))

    def check(self, name: str | None) -> None:
        """Raise ``InvalidInput`` for a prompt that the model does not have."""
        if name is None or name in self.texts:
            return
        known = f"it has {', '.join(list(self.texts)[:_SHOWN])}" if self.texts else "it has none, so leave it out"
        message = f"This model has no prompt of that prompt_name: {known}."
        raise InvalidInput(message, param="parameters.prompt_name")

    def written(self, text: str, name: str | None = None) -> str:
        """The text as it is read."""
        chosen = self.default if name is None else name
        whole = (self.texts[chosen] if chosen is not None else "") + text
        return whole.lower() if self.lower_case else whole
