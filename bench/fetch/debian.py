"""nginx and wrk: from the path, or from Debian's packages, unpacked and not installed, with the libraries they lack."""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.faults import Unavailable

_TIMEOUT_S = 120
_LACKS = re.compile(r"^\s*(\S+) => not found", re.MULTILINE)
_LIBRARIES = {
    "libcrypt.so.1": ("libcrypt1",),
    "libcrypto.so.3": ("libssl3t64", "libssl3"),
    "libluajit-5.1.so.2": ("libluajit-5.1-2",),
    "libpcre.so.3": ("libpcre3",),
    "libpcre2-8.so.0": ("libpcre2-8-0",),
    "libssl.so.3": ("libssl3t64", "libssl3"),
    "libz.so.1": ("zlib1g",),
}
"""Packages that have a library, in the order in which their names are tried."""


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """A program and the folders of the libraries that the machine lacks, as `LD_LIBRARY_PATH` lists them."""

    path: Path
    library: str = ""


def fetch(name: str, cache: Path) -> Program:
    """Find a program, or unpack its package. Raises `Unavailable`."""
    installed = shutil.which(name, path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin")
    if installed is not None:
        return Program(path=Path(installed))
    root = cache / "debian"
    found = _unpacked(name, root)
    if found is None:
        _unpack((name,), root)
        found = _unpacked(name, root)
    if found is None:
        raise Unavailable(f"Debian's package `{name}` has no program of that name")
    for library in _lacking(found, root):
        _unpack(_LIBRARIES.get(library, ()), root)
    lacking = _lacking(found, root)
    if lacking:
        raise Unavailable(f"`{name}` lacks {', '.join(lacking)}; install it: apt-get install {name}")
    return Program(path=found, library=_library_path(root))


def _unpacked(name: str, root: Path) -> Path | None:
    return next((path for path in (root / "usr/sbin" / name, root / "usr/bin" / name) if path.exists()), None)


def _library_path(root: Path) -> str:
    folders = {path.parent for pattern in ("usr/lib/**/*.so*", "lib/**/*.so*") for path in root.glob(pattern)}
    return ":".join(str(folder.resolve()) for folder in sorted(folders))


def _lacking(program: Path, root: Path) -> list[str]:
    listed = subprocess.run(
        ["ldd", str(program)],
        env={"LD_LIBRARY_PATH": _library_path(root), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    return _LACKS.findall(listed.stdout)


def _unpack(packages: Sequence[str], root: Path) -> None:
    """Unpack the first of the packages that can be had. Raises `Unavailable`."""
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise Unavailable("this machine has no `apt-get`; install nginx and wrk by its own means")
    folder = root / "packages"
    folder.mkdir(parents=True, exist_ok=True)
    words = "nothing was asked for"
    for options in ((), _own_lists(root)):
        if options:
            _run(["apt-get", "-qq", *options, "update"], folder)
        for package in packages:
            words = _run(["apt-get", "-qq", *options, "download", package], folder)
            found = sorted(folder.glob(f"{package}_*.deb"))
            if found:
                _run(["dpkg", "-x", str(found[-1]), str(root)], folder)
                return
    raise Unavailable(f"`apt-get download {' '.join(packages)}` failed: {words or 'no such package'}")


def _own_lists(root: Path) -> tuple[str, ...]:
    """For a machine that has no lists of packages: lists of our own, which takes no root and changes nothing of its."""
    for name in ("state/lists/partial", "cache/archives/partial"):
        (root / "apt" / name).mkdir(parents=True, exist_ok=True)
    places = {
        "Dir::State": root / "apt" / "state",
        "Dir::State::status": "/var/lib/dpkg/status",
        "Dir::Cache": root / "apt" / "cache",
    }
    options = [f"{name}={place}" for name, place in places.items()]
    if os.geteuid() == 0:
        options.append("APT::Sandbox::User=root")  # its own user may not enter our folders
    return tuple(word for option in options for word in ("-o", option))


def _run(command: Sequence[str], folder: Path) -> str:
    """Run it and give the last line of what it said."""
    try:
        done = subprocess.run(
            list(command), cwd=folder, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"`{' '.join(command[:3])}` did not end within {_TIMEOUT_S} s") from error
    return (done.stderr.strip() or done.stdout.strip()).rpartition("\n")[2]
