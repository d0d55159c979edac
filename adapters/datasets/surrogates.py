"""Halves of surrogate pairs: JSON's escapes can write one alone, and neither a report nor a file can hold it."""

from __future__ import annotations


def has_surrogate(text: str) -> bool:
    """Whether a text holds half of a surrogate pair."""
    return not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text)
