"""What ``tokenizer.json`` and its settings say of how a text-to-text model reads, writes and names languages."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from zoo.catalogue.hub_layout import read_json, unfit
from zoo.tasks.processors.tokenizer_file import open_tokenizer
from zoo.tasks.ready_made.description import TOKENIZER

MARIAN_CODE = re.compile(r">>([^<>\s]{1,40})<<")
_LANGUAGE = re.compile(r"(?:__([a-z]{2,3})__|([a-z]{3}_[A-Z][a-z]{3}))")  # of M2M-100, of NLLB


def tokenizer_settings(checkpoint: Path) -> dict[str, Any]:
    """Of a ``tokenizer.json`` that reads and writes: fields of ``TextSettings``.

    Its special tokens are those that it puts around a text. Raises ``InvalidInput`` for one that cannot be read.
    """
    settings = read_json(checkpoint / "tokenizer_config.json")
    tokenizer = opened(checkpoint)
    languages = {}
    for token, added in tokenizer.get_added_tokens_decoder().items():
        if found := _LANGUAGE.fullmatch(added.content):
            languages[found[1] or found[2]] = token
    reads_language = bool(languages)
    if not languages:
        languages = {
            found[1]: token for piece, token in tokenizer.get_vocab().items() if (found := MARIAN_CODE.fullmatch(piece))
        }
    whole, bare = tokenizer.encode("a").ids, tokenizer.encode("a", add_special_tokens=False).ids
    first = next((at for at in range(len(whole)) if whole[at : at + len(bare)] == bare), 0)
    unknown = json.loads(tokenizer.to_str())["model"].get("unk_token") or settings.get("unk_token")
    return {
        "unknown": tokenizer.token_to_id(unknown) if isinstance(unknown, str) else None,
        "before": tuple(token for token in whole[:first] if token not in languages.values()),
        "after": tuple(token for token in whole[first + len(bare) :] if token not in languages.values()),
        "languages": languages,
        "reads_language": reads_language,
        # Marian calls its own pair otherwise; where it writes several languages, the request says which.
        "source": known_language(language(settings, "src_lang"), languages) or language(settings, "source_lang"),
        "target": known_language(language(settings, "tgt_lang"), languages)
        or (None if languages else language(settings, "target_lang")),
        "clean_up": cleans_up(settings),
        "sentences": reads_sentences(settings),
    }


def opened(checkpoint: Path) -> Tokenizer:
    """Its ``tokenizer.json``; raises ``InvalidInput`` (``invalid_checkpoint``) for one that cannot be read."""
    try:
        return open_tokenizer(checkpoint / TOKENIZER)
    except ValueError:
        raise unfit(f"has a {TOKENIZER} that cannot be read") from None


def language(settings: Mapping[str, Any], name: str) -> str | None:
    """What ``tokenizer_config.json`` says under a name."""
    value = settings.get(name)
    return value[:40] if isinstance(value, str) and value else None


def known_language(code: str | None, languages: Mapping[str, int]) -> str | None:
    """The code unless the model has other languages."""
    return code if code in languages or not languages else None


def cleans_up(settings: Mapping[str, Any]) -> bool:
    """Whether spaces before signs are taken out of what is written."""
    return settings.get("clean_up_tokenization_spaces") is True


def reads_sentences(settings: Mapping[str, Any]) -> bool:
    """Whether a text of several sentences is given to the model one by one. A setting of this project's checkpoints."""
    return settings.get("single_sentences") is True
