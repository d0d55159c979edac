"""Transcripts as Whisper is asked for them and writes them: the tokens before the text, those of the text, the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor

from adapters.datasets import Example
from adapters.training.speech.recognition import refused
from zoo.tasks.decoding.whisper_tokens import WhisperTokens


@dataclass(frozen=True, eq=False)
class Said:
    """What is to be learnt from a clip: ``taught`` marks those of ``tokens`` behind which one of ``wanted`` comes."""

    example: Example
    tokens: Tensor
    taught: Tensor
    wanted: Tensor


class Transcripts:
    """Writes transcripts in the tokens of a model; ``language`` is the one that a multilingual model is to write."""

    def __init__(self, checkpoint: Path, ids: WhisperTokens, *, language: str | None) -> None:
        self._ids = ids
        self._language = language
        self._tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
        self._never = set(ids.never.tolist())

    def prompt(self, language: str | None) -> list[int]:
        """The tokens before a text without times."""
        ids = self._ids
        spoken = [ids.languages[language], ids.transcribe or 0] if language is not None else []
        return [ids.start, *spoken, ids.no_times]

    def __call__(self, example: Example) -> Said:
        """Tokens that the model never writes are left out; ``InvalidInput`` (``invalid_dataset``) if it is too long."""
        ids = self._ids
        # the model's own texts begin with a space
        text = " " + " ".join(example.values["text"].split())
        written = [token for token in self._tokenizer.encode(text, add_special_tokens=False).ids if token < ids.end]
        written = [token for token in written if token not in self._never]
        before = self.prompt(self._language)
        tokens = [*before, *written]
        if len(tokens) >= ids.most_tokens:
            most = ids.most_tokens - len(before) - 1
            fault = f"its transcript has {len(written)} tokens; the model writes at most {most} for a clip. Cut both."
            raise refused(example, fault)
        wanted = [*tokens[1:], ids.end]
        taught = torch.zeros(len(tokens), dtype=torch.bool)
        taught[len(before) - 1 :] = True
        taught[0] = taught[0] or self._language is not None  # the language is heard, too
        return Said(example, torch.tensor(tokens), taught, torch.tensor(wanted)[taught])


def stacked(said: Sequence[Said], filler: int) -> tuple[Tensor, Tensor]:
    """``tokens`` and ``taught`` of several clips, (rows, longest)."""
    shape = len(said), max(len(one.tokens) for one in said)
    tokens, taught = torch.full(shape, filler), torch.zeros(shape, dtype=torch.bool)
    for row, one in enumerate(said):
        tokens[row, : len(one.tokens)], taught[row, : len(one.tokens)] = one.tokens, one.taught
    return tokens, taught
