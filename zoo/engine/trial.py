"""Ready-made graphs are looked into and first run in a process of their own: a hostile one ends nothing but that."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.catalogue.entry import ModelEntry
from zoo.catalogue.hub_layout import unfit
from zoo.catalogue.onnx_file import read_onnx
from zoo.engine.predictor import Predictor
from zoo.engine.session import Array, Sessions
from zoo.errors import InvalidInput, Unsupported, ZooError
from zoo.tasks.ready_made.description import MAIN, Description, load_description
from zoo.tasks.task import ROWS_ALONE

Doubles = NDArray[np.float64]
MOST_SECONDS = 600.0
# Address space of the process: a graph that asks for more than this beside its weights is not one of a text network.
ROOM = 8 * 1024**3
COPIES = 8  # of the weights, while a graph is loaded and made faster
ROWS = (1, 2, 5)
LENGTHS = (17, 1, 5, 64, 33)
ALONE_MOVES = 1e-3  # how far an exact answer may, for outputs up to 10, when others are computed beside it
LEAST_COSINE = 0.9999  # of an answer of 8 bits with itself, computed beside others and alone
MOST_THREADS = 4  # each takes address space of its own
POLL = 0.25

PROGRAM = """
import json, sys
order = json.load(sys.stdin)
sys.path[:] = order.pop("path")
from zoo.engine.trial import main
main(order)
"""


@dataclass(frozen=True)
class Tried:
    """What can be published, and the rows that it answered."""

    entry: ModelEntry
    rows: int


def try_ready_made(
    staged: Path, checkpoint: Path, draft: ModelEntry, *, threads: int, tick: Callable[[], None] = lambda: None
) -> Tried:
    """Look into every graph of ``staged``, find out how its task reads it, and run it; files that are served are added.

    ``tick`` is called often and may raise. ``InvalidInput`` or ``Unsupported`` says what is wrong with the graphs:
    ``unsafe_graph`` for those that must not be opened or that end the process, ``invalid_graph`` for those that answer
    with something else than their task reads.
    """
    order = {"staged": str(staged), "checkpoint": str(checkpoint), "threads": min(threads, MOST_THREADS)}
    told = _run({**order, "path": sys.path, "draft": draft.model_dump(mode="json")}, tick)
    if "error" in told:
        kind = Unsupported if told.pop("error") == Unsupported.__name__ else InvalidInput
        raise kind(told["message"], code=told["code"], param=told["param"])
    return Tried(ModelEntry.model_validate(told["entry"]), int(told["rows"]))


def _run(order: dict[str, Any], tick: Callable[[], None]) -> dict[str, Any]:
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=output, stderr=subprocess.DEVNULL
        )
        try:
            code = _wait(process, json.dumps(order).encode(), tick)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        output.seek(0)
        lines = output.read().splitlines()
    if code == 0 and lines:
        told: dict[str, Any] = json.loads(lines[-1])
        return told
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    message = f"The graph is refused: the process that opened it ended with {how}. Use another export of the model."
    raise InvalidInput(message, code="unsafe_graph", param="source")


def _wait(process: subprocess.Popen[bytes], order: bytes, tick: Callable[[], None]) -> int:
    assert process.stdin is not None
    try:
        process.stdin.write(order)
        process.stdin.close()
    except BrokenPipeError:
        pass  # it died at once; its exit code says how
    deadline = time.monotonic() + MOST_SECONDS
    while time.monotonic() < deadline:
        tick()
        try:
            return process.wait(timeout=POLL)
        except subprocess.TimeoutExpired:
            continue
    message = f"The graph is refused: it was not opened and run in {MOST_SECONDS / 60:.0f} minutes."
    raise InvalidInput(message, code="unsafe_graph", param="source")


def main(order: dict[str, Any]) -> None:
    """The child's side: prints one line of JSON, what was found or the error."""
    try:
        told = _tried(Path(order["staged"]), Path(order["checkpoint"]), order["draft"], int(order["threads"]))
    except ZooError as error:
        told = {"error": type(error).__name__, "code": error.code, "message": error.message, "param": error.param}
    except MemoryError:
        told = _refused("it asks for more memory than any network of its size needs", "unsafe_graph")
    print(json.dumps(told), flush=True)


def _tried(staged: Path, checkpoint: Path, given: dict[str, Any], threads: int) -> dict[str, Any]:
    draft = ModelEntry.model_validate(given)
    graphs = {path.name: read_onnx(path) for path in sorted(staged.glob("*.onnx"))}
    _bound(sum(graph.weights for graph in graphs.values()))
    try:
        description = load_description(draft.task).describe(checkpoint, graphs)
    except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:  # of settings that nobody foresaw
        raise unfit(f"has settings that cannot be read ({type(error).__name__}: {str(error)[:200]})") from error
    for name, path in description.files.items():
        shutil.copyfile(path, staged / name)
    options = description.manifest_options()
    try:
        exact = draft.precision == "fp32"
        # What a decoder of 8 bits writes beside others cannot be compared step by step: it always writes alone.
        rows, alone = _answered(description, staged, threads, exact=exact) if description.answer else (0, not exact)
        options |= {ROWS_ALONE: True} if alone else {}
        update = {"labels": description.labels, "limits": description.limits, "options": options}
        entry = draft.model_copy(update=update)
        Predictor(entry, staged, threads=threads).warm()
    except ZooError as error:
        raise InvalidInput(f"The graph cannot be run: {error.message}", code="invalid_graph") from error
    except MemoryError:
        raise
    except Exception as error:  # onnxruntime's own exception classes share no public base
        return _refused("ONNX Runtime cannot run it on texts of its task", "invalid_graph", error)
    return {"entry": entry.model_dump(mode="json"), "rows": max(1, rows)}


def _refused(fault: str, code: str, error: Exception | None = None) -> dict[str, Any]:
    if error is not None and "alloc" in str(error):
        return _refused("it asks for more memory than any network of its size needs", "unsafe_graph")
    message = f"The graph is refused: {fault}. Use another export of the model."
    return {"error": InvalidInput.__name__, "code": code, "message": message, "param": "source"}


def _bound(weights: int) -> None:
    """Keep this process from taking the whole memory of the machine."""
    most = ROOM + COPIES * weights
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _answered(description: Description, staged: Path, threads: int, *, exact: bool) -> tuple[int, bool]:
    """Run the main graph on texts of all lengths; the number of rows, and whether they have to be run one by one.

    Raises ``InvalidInput`` for other answers. Graphs of 8 bits are not ``exact``: most round all rows of a batch by one
    scale, so that an answer would depend on whom it is computed beside.
    """
    runs = Sessions(staged, main=MAIN, threads=threads)
    rows = 0
    for feeds in _examples(description):
        answer = description.answers.of(runs, feeds)
        _check(answer, feeds, description)
        rows += len(answer)
    feeds = next(_examples(description, rows=3))
    pairs = list(_beside_and_alone(description.answers.of(runs, feeds), feeds, partial(description.answers.of, runs)))
    if exact:
        for beside, alone in pairs:
            _check_alone(beside, alone)
    return rows, not exact and min(_cosine(beside, alone) for beside, alone in pairs) < LEAST_COSINE


def _examples(description: Description, rows: int | None = None) -> Iterator[dict[str, Array]]:
    """Random texts, the first of each batch whole, the others padded; the longest that is read comes last, alone."""
    longest = description.limits["max_tokens"]
    draw = np.random.default_rng(0)
    for place, length in enumerate((*(min(length, longest) for length in LENGTHS), longest)):
        count = rows or (1 if length == longest else ROWS[place % len(ROWS)])
        lengths = [max(1, length - row * max(1, length // count)) for row in range(count)]
        mask = np.array([[1] * one + [0] * (length - one) for one in lengths], dtype=np.int64)
        ids = draw.integers(min(5, description.vocabulary - 1), description.vocabulary, (count, length))
        places = np.zeros((count, 2), dtype=np.int64)
        yield {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids), "masks": places}


def _check(answer: Array, feeds: dict[str, Array], description: Description) -> None:
    known = {"rows": feeds["input_ids"].shape[0], "tokens": feeds["input_ids"].shape[1], "places": 2}
    wanted = tuple(known.get(axis, axis) if isinstance(axis, str) else axis for axis in description.answer)
    fits = len(wanted) == answer.ndim and all(
        one in ("any", other) for one, other in zip(wanted, answer.shape, strict=True)
    )
    if not fits:
        message = f"The graph answers {answer.shape} where its task reads {wanted}."
        raise InvalidInput(message, code="invalid_graph")
    if not np.isfinite(answer).all():
        raise InvalidInput("The graph answers with values that are no numbers.", code="invalid_graph")


def _beside_and_alone(
    answers: Array, feeds: dict[str, Array], run: Callable[[dict[str, Array]], Array]
) -> Iterator[tuple[Doubles, Doubles]]:
    """Each text's answer from a batch, and from a run of its own without padding."""
    for row, mask in enumerate(feeds["attention_mask"]):
        length = int(mask.sum())
        cut = {name: values[row : row + 1] if name == "masks" else values[row : row + 1, :length]
               for name, values in feeds.items()}  # fmt: skip
        (alone,) = run(cut)
        yield answers[row][: len(alone)].astype(np.float64), alone.astype(np.float64)


def _check_alone(beside: Doubles, alone: Doubles) -> None:
    """A text is answered alike, whatever it shares a batch with and however long that is."""
    worst = float(np.abs(beside - alone).max())
    if worst > ALONE_MOVES * max(1.0, float(np.abs(alone).max()) / 10):
        message = f"The graph answers a text otherwise beside longer ones: by {worst:.2g}. It ignores its mask."
        raise InvalidInput(message, code="invalid_graph")


def _cosine(one: Doubles, other: Doubles) -> float:
    lengths = float(np.linalg.norm(one)) * float(np.linalg.norm(other))
    return float(np.sum(one * other)) / max(1e-30, lengths)
