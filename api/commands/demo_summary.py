"""What `zoo demo` measured, as one table, and the commands to go on with."""

from __future__ import annotations

import os
import shlex
import shutil
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from api.client import Json, reference
from api.commands.metrics import figures_of, parity, spelled, start_of
from api.commands.terminal import duration, figure, printable, size, table

STAGES = {  # in the order that they are shown in; a demo has names for its own beside these
    "start": "service started and ready",
    "import": "pre-trained model imported",
    "embed": "",
    "listen": "",
    "translate": "",
    "photographs": "",
    "draw": "",
    "upload": "data uploaded and checked",
    "adapt": "adapted: queued, trained, exported, checked, published",
    "predict": "new data predicted (the new model is loaded here)",
    "subtitles": "",
    "latency": "predictions timed",
    "total": "all of it",
}


@dataclass
class Measured:
    """What one run found out: seconds per stage, the models as the service describes them, seconds per request.

    ``compared``: what the demo itself measured, before and after.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    body: Json = field(default_factory=dict)
    job: Json = field(default_factory=dict)
    model: Json = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    compared: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def reference(self) -> str:
        """The new model's version, e.g. ``tickets@1``."""
        return reference(self.model)

    @property
    def p50_ms(self) -> float | None:
        """Median milliseconds of one request."""
        return statistics.median(self.latencies) * 1000 if self.latencies else None

    def data(self) -> Json:
        """All figures, for `--json`."""
        metrics = self.model.get("metrics") or {}
        return {
            "model": self.reference,
            "job": self.job.get("id"),
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
            "job_seconds": metrics.get("seconds"),
            "before": start_of(self.model) or None,
            "after": {name: (metrics.get("heldout") or {}).get(name) for name in ("rows", *figures_of(self.model))},
            "compared": {name: {"before": one, "after": two} for name, (one, two) in self.compared.items()},
            "parity": self.model.get("parity"),
            "adapter_bytes": bytes_of(self.model, start="adapter/"),
            "onnx_bytes": bytes_of(self.model, end=".onnx"),
            "latency_ms": {
                "p50": self.p50_ms,
                "slowest": max(self.latencies, default=0.0) * 1000,
                "requests": len(self.latencies),
            },
        }


def summary(measured: Measured, stages: Mapping[str, str]) -> list[RenderableType]:
    """The closing table: time per stage, then what the new model is worth, weighs and takes."""
    times = table("what took how long", "", numbers=("",))
    for name, title in (STAGES | dict(stages)).items():
        if name in measured.seconds:
            times.add_row(title, duration(measured.seconds[name]))
    return [Text("What was measured", style="bold"), times, "", _worth(measured)]


def _worth(measured: Measured) -> Table:
    metrics = measured.model.get("metrics") or {}
    before, after = start_of(measured.model), metrics.get("heldout") or {}
    rows: list[tuple[str, str]] = [
        *(
            (f"{spelled(name)} on held-out rows, before → after", _pair(before.get(name), after.get(name)))
            for name in figures_of(measured.model)
        ),
        ("held-out rows", str(after.get("rows", "–"))),
        *((f"{name}, before → after", _pair(*pair)) for name, pair in measured.compared.items()),
        ("served against trained model", parity(measured.model) or "–"),
        ("size of the adapter (what was learnt)", size(bytes_of(measured.model, start="adapter/"))),
        ("size of the served ONNX model", size(bytes_of(measured.model, end=".onnx"))),
        ("one prediction over HTTP, median", figure(measured.p50_ms, "{:.1f} ms".format)),
    ]
    inside = metrics.get("seconds")
    if isinstance(inside, dict):
        rows.append(("inside the job", ", ".join(f"{name} {duration(float(value))}" for name, value in inside.items())))
    made = table(f"what {printable(measured.reference)} is worth", "")
    for name, value in rows:
        made.add_row(name, value)
    return made


def next_steps(home: Path, lines: Sequence[RenderableType]) -> list[RenderableType]:
    """Commands that work as they stand, typed in this folder; ``lines`` are those of one demo."""
    serve = f"  {zoo_command()} serve --home {shlex.quote(shown_path(home))}"
    return [
        Text("Go on with", style="bold"),
        Text(f"{serve}        # serve what the demo made; then, in another terminal:"),
        *lines,
        Text("  make serve        # or start with an empty zoo in a folder of its own (ZOO_HOME)"),
    ]


def zoo_command() -> str:
    """How to call `zoo` from here: by name where the shell finds it, else by the path of this one."""
    if shutil.which("zoo") is not None:
        return "zoo"
    script = Path(sys.executable).parent / "zoo"
    return os.path.relpath(script) if script.is_relative_to(Path.cwd()) else str(script)


def bytes_of(model: Json, *, start: str = "", end: str = "") -> int:
    """Bytes of the model's files whose paths begin and end so."""
    files: list[dict[str, Any]] = model.get("files") or []
    paths = [(str(one.get("path", "")), int(one.get("size") or 0)) for one in files]
    return sum(count for path, count in paths if path.startswith(start) and path.endswith(end))


def _pair(before: object, after: object) -> str:
    return f"{figure(before)} → {figure(after)}"


def shown_path(path: Path) -> str:
    """Relative to this folder if it lies below, so that the line stays short."""
    return os.path.relpath(path) if path.is_absolute() and path.is_relative_to(Path.cwd()) else str(path)
