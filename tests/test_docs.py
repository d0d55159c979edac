"""What can be set, asked, typed or added is documented, and links lead somewhere."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import tomllib
from collections import Counter
from pathlib import Path
from urllib.parse import unquote

import pytest

from adapters.datasets.fold import fold
from api.app import build
from api.cli import COMMANDS
from api.openapi import describe
from zoo.settings import Settings

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(
    [*DOCS.rglob("*.md"), *(ROOT / "examples").glob("*.md"), *(ROOT / "benchmarks").glob("*.md"), *ROOT.glob("*.md")]
)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def row_of(page: str, first_cell: str) -> list[str]:
    """The cells of the table row that starts with ``first_cell``."""
    rows = [line for line in page.splitlines() if line.startswith(f"| {first_cell} |")]
    assert len(rows) == 1, f"{first_cell} needs one row"
    return [cell.strip() for cell in rows[0].strip("|").split(" | ")]


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_a_setting_is_documented_with_variable_flag_default_and_meaning(name: str) -> None:
    _, variable, flag, default, meaning = row_of(read(DOCS / "configuration.md"), name)
    assert variable == f"`ZOO_{name.upper()}`"
    assert flag == f"`--{name.replace('_', '-')}`"
    assert default == spelled(Settings.model_fields[name].default)
    assert len(meaning) > 20


def spelled(value: object) -> str:
    """A default as the page writes it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Path):
        return f"`~/{value.relative_to(Path.home())}`"
    if isinstance(value, float):
        return f"`{value:g}`"
    return f"`{value}`" if value != "" else "empty"


def addresses(home: Path) -> set[str]:
    """All that a service answers to, as its own description says."""
    paths = describe(build(Settings(home=home, redis_url="", _env_file=None)).state.rest.made().app)["paths"]
    return {f"{method.upper()} {path}" for path, item in paths.items() for method in item}


def test_every_address_is_documented(tmp_path: Path) -> None:
    page = read(DOCS / "http-api.md")
    known = addresses(tmp_path)
    assert len(known) > 30
    assert [address for address in known if f"`{address}`" not in page] == []


def test_no_address_is_documented_that_does_not_exist(tmp_path: Path) -> None:
    written = set(re.findall(r"`((?:GET|POST|PUT|DELETE) /[^`?\s]*)`", read(DOCS / "http-api.md")))
    assert written - addresses(tmp_path) == {"GET /", "GET /openapi.json"}


def test_every_error_code_is_documented() -> None:
    """Those of the command line's own faults aside, which never leave it."""
    sources = [path for package in ("api", "zoo", "adapters") for path in (ROOT / package).rglob("*.py")]
    served = [
        path
        for path in sources
        if path.name not in ("client.py", "service_errors.py") and path.parent.name != "commands"
    ]
    codes = {code for path in served for code in re.findall(r'\bcode ?= ?"([a-z0-9_]+)"', read(path))}
    pages = read(DOCS / "http-api.md") + read(DOCS / "data-formats.md")
    assert len(codes) > 40
    # A broken catalogue stops a program at its start, before anybody can ask it.
    assert sorted(code for code in codes - {"invalid_catalogue"} if f"`{code}`" not in pages) == []


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_command_has_its_section_and_is_named_in_the_readme(name: str) -> None:
    assert re.search(rf"^### `zoo {name}\b", read(DOCS / "command-line.md"), re.MULTILINE)
    assert f"`zoo {name}`" in read(ROOT / "README.md")


@pytest.mark.parametrize("page", ["command-line.md", "quickstart.md"])
def test_a_page_names_only_commands_that_exist(page: str) -> None:
    assert set(re.findall(r"^(?:### `)?zoo ([a-z-]+)", read(DOCS / page), re.MULTILINE)) <= set(COMMANDS)


def task_files() -> list[str]:
    return sorted(path.stem for path in (ROOT / "zoo" / "tasks").glob("[!_]*.py") if path.stem not in ("task", "ops"))


@pytest.mark.parametrize("stem", task_files())
def test_a_task_is_documented_where_it_is_asked_and_where_it_lives(stem: str) -> None:
    task = stem.replace("_", "-")
    assert f"| `{task}` |" in read(DOCS / "http-api.md")
    assert f"`zoo/tasks/{stem}.py`" in read(DOCS / "architecture.md")


def test_every_task_with_a_data_format_is_in_the_page_on_formats() -> None:
    for path in (ROOT / "adapters" / "datasets" / "schemas").glob("[!_]*.py"):
        assert f"| `{path.stem.replace('_', '-')}` |" in read(DOCS / "data-formats.md")


@pytest.mark.parametrize("path", sorted((ROOT / "zoo" / "catalogue" / "entries").glob("*.toml")), ids=lambda p: p.stem)
def test_a_catalogue_entry_names_itself_and_its_licence(path: Path) -> None:
    entry = tomllib.loads(read(path))
    assert entry["name"] == path.stem
    assert entry["licence"].strip()


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_leads_to_a_file_of_the_project(page: Path) -> None:
    local = [link for link in LINK.findall(read(page)) if not re.match(r"[a-z]+:", link)]
    missing = [link for link in local if not (page.parent / unquote(link.partition("#")[0])).exists()]
    assert missing == []


def test_every_page_is_reachable_from_the_contents() -> None:
    linked = {(DOCS / link).resolve() for link in LINK.findall(read(DOCS / "README.md"))}
    assert {path for path in DOCS.glob("*.md") if path.name != "README.md"} - linked == set()


def test_every_decision_is_listed_numbered_and_at_most_30_lines_long() -> None:
    contents = read(DOCS / "decisions" / "README.md")
    pages = sorted(path for path in (DOCS / "decisions").glob("*.md") if path.name != "README.md")
    assert [int(path.name[:4]) for path in pages] == list(range(1, len(pages) + 1))
    for path in pages:
        assert f"]({path.name})" in contents
        assert len(read(path).splitlines()) <= 30


def test_the_changelog_has_a_section_for_what_is_not_released_yet() -> None:
    assert "\n## [Unreleased]\n" in read(ROOT / "CHANGELOG.md")


def test_every_target_of_the_makefile_is_named_in_the_readme() -> None:
    (phony,) = re.findall(r"^\.PHONY: (.*)$", read(ROOT / "Makefile"), re.MULTILINE)
    readme = read(ROOT / "README.md")
    assert [target for target in phony.split() if target != "clean" and f"`make {target}`" not in readme] == []


# ---- examples


def tickets() -> list[tuple[str, str]]:
    with (ROOT / "examples" / "tickets.csv").open(encoding="utf-8", newline="") as stream:
        return [(row["text"], row["label"]) for row in csv.DictReader(stream)]


def test_the_example_tickets_are_400_different_texts_80_of_each_label() -> None:
    rows = tickets()
    assert Counter(label for _, label in rows) == dict.fromkeys(
        ("account", "billing", "delivery", "returns", "technical"), 80
    )
    assert len({fold(text) for text, _ in rows}) == 400


def test_the_new_tickets_are_not_among_those_that_are_trained_on() -> None:
    new = {fold(line) for line in read(ROOT / "examples" / "tickets_new.txt").splitlines()}
    assert len(new) == 6
    assert not new & {fold(text) for text, _ in tickets()}


@pytest.mark.parametrize("name", ["openai_client.py", "hub_client.py", "pictures.py"])
def test_an_example_program_compiles_and_is_short(name: str) -> None:
    source = read(ROOT / "examples" / name)
    compile(source, name, "exec")
    assert len(source.splitlines()) <= 40


def test_the_example_script_is_valid_bash() -> None:
    script = ROOT / "examples" / "predict.sh"
    assert os.access(script, os.X_OK)
    done = subprocess.run(["bash", "-n", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
