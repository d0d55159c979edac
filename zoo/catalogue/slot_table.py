"""Which linear layers of a body can be adapted from slots, and where in its graph: ``body.json`` beside ``body.graph``.

The graph answers as the body does, and takes beside the body's inputs stacks of low-rank matrices and for each row the
place in them of the adapter that it is meant for. Serving reads adapters into these stacks by the names of modules,
without the library that made the graph.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from zoo.catalogue.adapter import LoraAdapter
from zoo.errors import ArtifactCorrupt

GRAPH = "body.graph"  # not .onnx: it is run with the adapters of other versions, and not among the graphs of its own
TABLE = "body.json"
ADAPTER = "slots.adapter"
"""The graph's input that names a place in the stacks for each row (batch,), or one for all rows (1,)."""


class SlotLinear(BaseModel):
    """One linear layer, ``inputs`` numbers to ``outputs``.

    ``down`` names the stack (slots, inputs, parts * rank) of what the layers that read the same share, of which this
    one has the part ``part``; ``up`` the stack (slots, rank, outputs).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    inputs: int = Field(ge=1)
    outputs: int = Field(ge=1)
    down: str
    up: str
    part: int = Field(0, ge=0)
    parts: int = Field(1, ge=1)


class SlotTable(BaseModel):
    """``linears`` by the name of the module; ``left_out``: what else an adapter may name, and why it has no slots."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    linears: dict[str, SlotLinear]
    left_out: dict[str, str] = Field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> SlotTable:
        """Of a body's folder; raises ``ArtifactCorrupt`` where it is missing or damaged."""
        try:
            return cls.model_validate_json((folder / TABLE).read_bytes())
        except (OSError, ValidationError) as error:
            raise ArtifactCorrupt(f"The body's {TABLE} cannot be read: import the model again.") from error

    def write(self, folder: Path) -> None:
        """Beside the graph."""
        (folder / TABLE).write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")

    def misfit(self, adapter: LoraAdapter) -> str | None:
        """Why an adapter cannot be held in slots; None where it can."""
        for module, (a, b) in adapter.pairs.items():
            linear = self.linears.get(module)
            if linear is None:
                known = self.left_out.get(module)
                return f"{module} has no slot in the body's graph" + (f": {known}" if known else "")
            if (a.shape[1], b.shape[0]) != (linear.inputs, linear.outputs):
                return f"{module} is adapted in another shape than the body's"
        return None

    def stacks(self, rank: int) -> dict[str, tuple[int, int]]:
        """Shape of one slot in each stack, by the name of the graph's input."""
        shapes: dict[str, tuple[int, int]] = {}
        for linear in self.linears.values():
            shapes[linear.down] = (linear.inputs, linear.parts * rank)
            shapes[linear.up] = (rank, linear.outputs)
        return shapes
