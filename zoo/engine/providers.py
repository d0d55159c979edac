"""Which hardware a graph runs on: what the runtime offers, best first, and the CPU for what that cannot do."""

from __future__ import annotations

import logging
from collections.abc import Sequence

# By the names of the setting ZOO_PROVIDERS, in the order in which they are tried.
PROVIDERS = {
    "cuda": "CUDAExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
CPU = PROVIDERS["cpu"]
log = logging.getLogger("zoo.engine.providers")


def chosen_providers(offered: Sequence[str], wanted: str = "") -> tuple[str, ...]:
    """The runtime's names of what to use, the CPU last; ``wanted``: names of the setting in the order of preference.

    What is wanted but not offered is left out with a warning in the log.
    """
    names = [name for part in wanted.split(",") if (name := part.strip())] or list(PROVIDERS)
    missing = [name for name in names if PROVIDERS[name] not in offered]
    if wanted and missing:
        log.warning("this installation of onnxruntime lacks a provider", extra={"providers": ",".join(missing)})
    found = [PROVIDERS[name] for name in names if name not in missing and PROVIDERS[name] != CPU]
    return (*found, CPU)


def provider_name(runtime_name: str) -> str:
    """The setting's name of a provider, from the runtime's."""
    return next((name for name, theirs in PROVIDERS.items() if theirs == runtime_name), runtime_name)
