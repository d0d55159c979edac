"""The tokenizer of a text-to-text checkpoint, whatever files it comes in: those that transformers is needed for."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer
from transformers import T5Tokenizer

from adapters.training import checkpoint as checkpoints
from zoo.catalogue.hub_layout import unfit
from zoo.catalogue.sentencepiece_file import read_sentencepiece
from zoo.tasks.processors.pieces import READER, WRITER
from zoo.tasks.ready_made.vocabulary import FOLDER, TARGET, Vocabulary, is_made_of_pieces, vocabulary_of


def read_vocabulary(checkpoint: Path) -> Vocabulary:
    """As ``vocabulary_of``, also where there is no ``tokenizer.json`` and transformers makes one of other files."""
    if not is_made_of_pieces(checkpoint):
        kind, _ = checkpoints.architectures(checkpoint)
        if kind == "t5" and (checkpoint / "spiece.model").is_file() and not (checkpoint / "tokenizer.json").is_file():
            _write_t5(checkpoint)
        checkpoints.ensure_tokenizer(checkpoint)
    return vocabulary_of(checkpoint)


def target_tokenizer(checkpoint: Path) -> Tokenizer:
    """By which texts are cut that the model is to write, of a checkpoint that has been read."""
    files = (checkpoint / FOLDER / name for name in (TARGET, READER, WRITER))
    return Tokenizer.from_file(str(next(path for path in files if path.is_file())))


def _write_t5(checkpoint: Path) -> None:
    """``tokenizer.json`` from SentencePiece's file, with transformers' own parts around it."""
    model = read_sentencepiece(checkpoint / "spiece.model")
    extra = checkpoints.read_json(checkpoint / "tokenizer_config.json").get("extra_ids", 100)
    if not isinstance(extra, int) or not 0 <= extra <= 10_000:
        raise unfit("has a tokenizer_config.json whose extra_ids is no number of tokens")
    pieces = [(piece.text, piece.score) for piece in model.pieces]
    pieces += [(f"<extra_id_{place}>", 0.0) for place in reversed(range(extra))]
    tokenizer = T5Tokenizer(vocab=pieces, _spm_precompiled_charsmap=model.table or None, extra_ids=extra)
    tokenizer.backend_tokenizer.save(str(checkpoint / "tokenizer.json"))
