"""A ``tokenizer.json``, opened so that whatever is wrong with it is an error like any other."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer


def open_tokenizer(path: Path) -> Tokenizer:
    """Raises ``ValueError`` for a file that is not there or cannot be read."""
    try:
        return Tokenizer.from_file(str(path))
    except BaseException as error:  # the library raises bare Exception, and panics of Rust's, which are none
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise ValueError(f"{path.name} cannot be read") from error
