"""A zoo with an encoder, ``mini``, made once."""

from __future__ import annotations

import pytest

from tests.adapters.training.spans.span_jobs import imported
from tests.conftest import TinyZoo


@pytest.fixture(scope="session")
def bodies(tmp_path_factory: pytest.TempPathFactory) -> TinyZoo:
    """Shared: look, don't touch."""
    made = TinyZoo(tmp_path_factory.mktemp("bodies"), tmp_path_factory.mktemp("body-checkpoints"))
    imported(made, "mini")
    return made
