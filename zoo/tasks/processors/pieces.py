"""Text in the pieces that a text-to-text model reads and writes, with nothing but the ``tokenizers`` library."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from zoo.errors import ArtifactCorrupt
from zoo.tasks.processors.tokenizer_file import open_tokenizer

WRITER, READER = "tokenizer.json", "source.json"
MOST_CHARACTERS = 100_000  # of a text: some fifty windows, a minute or two of work on a core


class Pieces:
    """The vocabulary of one model, ``count`` tokens. Thread-safe once built.

    ``folder`` holds ``tokenizer.json``, by which texts are written, and by which they are read too unless
    ``source.json`` lies beside it: some models cut what they read in another way. Raises ``ArtifactCorrupt`` when one
    of them cannot be read. ``unknown`` stands for what has no token.
    """

    def __init__(self, folder: Path, *, count: int, unknown: int | None) -> None:
        self._count = count
        self._unknown = unknown
        self._writer = _read(folder / WRITER)
        self._reader = _read(folder / READER) if (folder / READER).is_file() else None

    def read(self, text: str) -> list[int]:
        """Token ids of a text, without special tokens."""
        if self._reader is None:
            return self._known(self._writer.encode(text, add_special_tokens=False).ids)
        # A piece that only the writer knows is looked up by its text, as Marian does it, in the letters of the reader.
        plain = self._reader.normalizer.normalize_str(text) if self._reader.normalizer is not None else text
        encoding = self._reader.encode(plain, add_special_tokens=False)
        spans = zip(encoding.ids, encoding.offsets, strict=True)
        return self._known([
            self._looked_up(plain[slice(*span)]) if token == self._unknown else token for token, span in spans
        ])  # fmt: skip

    def write(self, ids: Sequence[int]) -> str:
        """The text of token ids; special tokens leave no trace."""
        return str(self._writer.decode(list(ids), skip_special_tokens=True))

    def _looked_up(self, surface: str) -> int | None:
        token = self._writer.token_to_id(surface)
        return self._unknown if token is None else int(token)

    def _known(self, ids: Sequence[int | None]) -> list[int]:
        """Those without a token of the model's are unknown, or left out if it has none for that."""
        known = [token if token is not None and token < self._count else self._unknown for token in ids]
        return [token for token in known if token is not None]


def cleaned(text: str) -> str:
    """Without the spaces in front of signs and short forms that some tokenizers leave, as transformers does it."""
    for spaced in (" .", " ?", " !", " ,", " ' ", " n't", " 'm", " 's", " 've", " 're"):
        text = text.replace(spaced, spaced.strip(" "))
    return text


def _read(path: Path) -> Tokenizer:
    try:
        tokenizer = open_tokenizer(path)
    except ValueError as error:
        raise ArtifactCorrupt(f"{path.name} cannot be read: pull or adapt the model again.") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer
