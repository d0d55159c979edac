"""Where the starters lie that ship with the zoo."""

from __future__ import annotations

from pathlib import Path

import zoo.catalogue


def starter_folder(name: str) -> Path:
    """The folder of a starter in this checkout, made if missing."""
    folder = Path(zoo.catalogue.__file__).parent / "starters" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder
