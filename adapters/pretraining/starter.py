"""Where the starters lie that ship with the zoo, and what every command that trains one is given."""

from __future__ import annotations

import argparse
from pathlib import Path

import zoo.catalogue


def starter_folder(name: str) -> Path:
    """The folder of a starter in this checkout, made if missing."""
    folder = Path(zoo.catalogue.__file__).parent / "starters" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def command(name: str, *, data: str) -> argparse.ArgumentParser:
    """``DATA``, the folder that ``data`` describes, and ``--state``, from which a run that was cut off goes on."""
    parser = argparse.ArgumentParser(description=f"Train the starter {name}.")
    parser.add_argument("data", type=Path, help=f"a folder with {data}")
    parser.add_argument("--state", type=Path, default=Path.home() / ".cache" / "adaptzoo-pretraining")
    return parser
