"""Names of languages in answers, and of those that users ask for."""

from __future__ import annotations

from transformers.models.whisper.tokenization_whisper import LANGUAGES

from api.languages import code_of, name_of


def test_every_language_of_whisper_has_its_name_and_its_code() -> None:
    for code, name in LANGUAGES.items():
        assert name_of(code) == name
        assert code_of(name.title()) == code_of(code.upper()) == code


def test_what_is_not_known_stays_itself() -> None:
    assert (name_of("xx"), name_of(None), code_of("Klingon")) == ("xx", None, "klingon")
