"""Environments for what comes from PyPI and npm, made from lock files and kept while they are the same."""

import hashlib
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.faults import Unavailable

_LOCKS = Path(__file__).resolve().parents[1]
_NODE_FILES = ("package.json", "package-lock.json", ".npmrc")
_TIMEOUT_S = 900
_WORDS_MAX = 400


def python_environment(name: str, cache: Path) -> Path:
    """Install what `bench/requirements/<name>.txt` lists; give the folder of its programs. Raises `Unavailable`."""
    lock = _LOCKS / "requirements" / f"{name}.txt"
    folder = cache / name
    wanted = _digest([lock], platform.python_version())
    if not _is_fresh(folder, wanted):
        shutil.rmtree(folder, ignore_errors=True)
        _run([sys.executable, "-m", "venv", "--without-pip", str(folder)], cache)
        # A lock is complete, so nothing is resolved; modules are compiled now, as a start is measured.
        pip = [
            sys.executable,
            "-m",
            "pip",
            "--disable-pip-version-check",
            "--quiet",
            "--python",
            f"{folder}/bin/python",
        ]
        _run([*pip, "install", "--require-hashes", "--only-binary", ":all:", "--no-deps", "-r", str(lock)], cache)
        (folder / ".stamp").write_text(wanted)
    return folder / "bin"


def node_environment(cache: Path) -> Path:
    """Install what `bench/node` lists; give the folder that holds `node_modules`. Raises `Unavailable`."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        raise Unavailable("it comes from npm: install Node 20 or later")
    files = [_LOCKS / "node" / name for name in _NODE_FILES]
    folder = cache / "node"
    wanted = _digest(files, "node")
    if not _is_fresh(folder, wanted):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for file in files:
            shutil.copy(file, folder)
        _run(["npm", "ci", "--ignore-scripts", "--silent"], folder)
        (folder / ".stamp").write_text(wanted)
    return folder


def version_of(name: str, package: str) -> str:
    """The version that a lock file holds."""
    lines = (_LOCKS / "requirements" / f"{name}.txt").read_text().splitlines()
    return next(line.split("==")[1].split()[0] for line in lines if line.startswith(f"{package}=="))


def _digest(files: Sequence[Path], of: str) -> str:
    digest = hashlib.sha256(of.encode())
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _is_fresh(folder: Path, wanted: str) -> bool:
    stamp = folder / ".stamp"
    return stamp.exists() and stamp.read_text() == wanted


def _run(command: Sequence[str], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run(
            list(command), cwd=folder, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"`{Path(command[0]).name}` did not end within {_TIMEOUT_S} s") from error
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip())[-_WORDS_MAX:]
        raise Unavailable(f"`{Path(command[0]).name}` could not install it: {words}")
