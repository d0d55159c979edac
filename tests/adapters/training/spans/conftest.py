"""A zoo with an encoder, ``mini``, made once."""

from __future__ import annotations

import pytest

from tests.conftest import TinyZoo
from tests.imports import Imports
from tests.tiny_spans import write_tokens_checkpoint


@pytest.fixture(scope="session")
def bodies(imports: Imports, tmp_path_factory: pytest.TempPathFactory) -> TinyZoo:
    """Shared: look, don't touch."""
    made = TinyZoo(tmp_path_factory.mktemp("bodies"), tmp_path_factory.mktemp("body-checkpoints"))
    write_tokens_checkpoint(made.checkpoints / "mini", scale=1.0)  # of small weights, by which words are told apart
    imports.bring(made.home, "mini", made.checkpoints / "mini")
    return made
