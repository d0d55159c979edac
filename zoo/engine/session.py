"""The only file that imports onnxruntime: a graph on disk becomes something that can be run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from zoo.catalogue.mapped_graph import mapped_graph
from zoo.engine.attention_fusion import fused_attention
from zoo.engine.memory import trim
from zoo.engine.providers import CPU, provider_name
from zoo.errors import ArtifactCorrupt

Array = NDArray[np.generic]
Run = Callable[..., list[Array]]
log = logging.getLogger("zoo.engine.session")


def offered_providers() -> list[str]:
    """The runtime's names of the hardware that this installation of it can use."""
    return list(ort.get_available_providers())


@dataclass(frozen=True)
class Placement:
    """Where a graph is loaded. ``providers``: the runtime's names, best first, the CPU last."""

    providers: tuple[str, ...] = (CPU,)


ON_CPU = Placement()


class Session:
    """One ONNX graph, loaded. ``run`` may be called from several threads at once and releases the GIL.

    On the CPU weights are mapped from the file instead of copied (minilm: 138 MB resident instead of 185, loaded in
    .08 s instead of .23): it must not be written to or cut short as long as the graph is there.
    ``lean``: what a run needed beside its answer is given back to the system after it, which costs a run of 30 s of
    speech 5 % of its time and leaves 40 MB instead of 300. Raises ``ArtifactCorrupt`` when the file is no graph that
    can be run. ``provider`` is the one that it got: ``cuda``, ``openvino``, ``coreml`` or ``cpu``.
    """

    def __init__(self, path: Path, *, threads: int, lean: bool = False, placement: Placement = ON_CPU) -> None:
        self._session = _placed(path, threads, placement)
        self.provider = provider_name(self._session.get_providers()[0])
        trim()
        self._run_options = ort.RunOptions()
        if lean:
            self._run_options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        self.inputs: tuple[str, ...] = tuple(node.name for node in self._session.get_inputs())
        self.outputs: tuple[str, ...] = tuple(node.name for node in self._session.get_outputs())

    def run(self, feeds: Mapping[str, Array], outputs: Sequence[str] | None = None) -> list[Array]:
        """The graph's outputs (all, or those named) for one batch; inputs that the graph lacks are left out."""
        wanted = {name: feeds[name] for name in self.inputs}
        return list(self._session.run(list(outputs) if outputs else None, wanted, self._run_options))


def _placed(path: Path, threads: int, placement: Placement) -> ort.InferenceSession:
    if placement.providers != (CPU,):
        try:
            return _opened(str(path), _options(threads, path), placement.providers)
        except Exception as error:  # onnxruntime's own exception classes share no public base
            fields = {"file": path.name, "provider": placement.providers[0], "error": type(error).__name__}
            log.warning("a provider cannot load a graph, which runs on the CPU", extra=fields)
    try:
        graph = mapped_graph(path) or path.read_bytes()
        fused = fused_attention(graph)
        if fused is not None:
            try:
                return _opened(fused, _options(threads, path), (CPU,))
            except Exception as error:  # numbers of 16 bits, say, which the operator does not take
                fields = {"file": path.name, "error": type(error).__name__}
                log.info("a graph runs with its attention as it was exported", extra=fields)
        return _opened(graph, _options(threads, path), (CPU,))
    except Exception as error:
        raise ArtifactCorrupt(f"{path.name} is not a graph that can be run: pull or adapt the model again.") from error


def _opened(graph: str | bytes, options: ort.SessionOptions, providers: Sequence[str]) -> ort.InferenceSession:
    # Without SkipLayerNormFusion the exporter's graphs run up to 11 % faster on CPU (MiniLM, fp32).
    return ort.InferenceSession(graph, options, providers=list(providers), disabled_optimizers=["SkipLayerNormFusion"])


def _options(threads: int, path: Path) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(path.parent.resolve()))
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Threads of a pool spin within a run, which a short text gains 8 % from, and sleep as soon as it ends: a pool that
    # spun on would burn the CPU that the other workers of this machine need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "1")
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return options


class Sessions:
    """The graphs of a version: ``main`` is run by calling this, others by their names. Safe as ``Session`` is.

    ``folder`` holds ``model.onnx`` and perhaps others; raises ``ArtifactCorrupt`` when one of them cannot be run. Where
    there are others, an encoder's decoder, they run many times for each time of the main one, which is then ``lean``.
    """

    def __init__(self, folder: Path, *, main: str, threads: int, placement: Placement = ON_CPU) -> None:
        others = sorted(path for path in folder.glob("*.onnx") if path.name != main)
        self._main = Session(folder / main, threads=threads, lean=bool(others), placement=placement)
        self.provider = self._main.provider
        self._others = {path.stem: Session(path, threads=threads, placement=placement) for path in others}

    def __call__(self, feeds: Mapping[str, Array], outputs: Sequence[str] | None = None) -> list[Array]:
        """As ``Session.run``, of the main graph."""
        return self._main.run(feeds, outputs)

    def __getitem__(self, graph: str) -> Run:
        """``Session.run`` of another graph; raises ``ArtifactCorrupt`` if the version lacks it."""
        if graph not in self._others:
            raise ArtifactCorrupt(f"The version has no {graph}.onnx: pull or adapt the model again.")
        return self._others[graph].run
