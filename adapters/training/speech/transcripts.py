"""Transcripts as Whisper is asked for them and writes them: the tokens before the text, those of the text, the end."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from adapters.datasets import Example
from adapters.training.speech.recognition import refused
from adapters.training.teaching import Said
from zoo.tasks.decoding.whisper_tokens import WhisperTokens

STYLE_WORDS = 1_000  # of transcripts; where no numeral stands among so many, numbers are written in words


def without_numerals(checkpoint: Path, options: dict[str, Any], examples: Iterable[Example]) -> dict[str, Any]:
    """A version's ``options``, tokens with digits among those that are never written, if no transcript has any digit.

    Fine-tuning alone learns it late, from the few clips that have numbers. 891 words of a reader whose transcripts
    spell numbers out: whisper-tiny-en as it is gets 51 wrong, and 45 without numerals.
    """
    texts = [example.values["text"] for example in examples]
    if sum(len(text.split()) for text in texts) < STYLE_WORDS or any(_has_digit(text) for text in texts):
        return options
    tokenizer, ids = Tokenizer.from_file(str(checkpoint / "tokenizer.json")), WhisperTokens.of(options["whisper"])
    numerals = {token for token in range(ids.end) if _has_digit(tokenizer.decode([token]))}
    return options | {"whisper": options["whisper"] | {"suppressed": sorted(numerals | set(ids.suppressed))}}


def _has_digit(text: str) -> bool:
    return any(character.isdecimal() for character in text)


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
