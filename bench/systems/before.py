"""Halley as it was at some commit, on SQLite, beside what is in the tree: what a change has brought."""

import shutil
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

from bench.faults import Unavailable
from bench.systems.base import ANSWERS, TASKS, Place, Running
from bench.systems.halley import SETTINGS, SqliteGateway, start

_ROOT = Path(__file__).resolve().parents[2]
_TIMEOUT_S = 60


class HalleyBefore:
    """Its source is taken out of git into the cache; it runs with the packages that are installed now."""

    name = "halley-before"
    kinds = ANSWERS | TASKS

    def __init__(self, reference: str) -> None:
        self._reference = reference
        self.title = f"Halley at {reference}"
        self._source = Path()

    def install(self, cache: Path) -> str:
        commit = _git("rev-parse", "--short=10", "--verify", f"{self._reference}^{{commit}}").decode().strip()
        folder = cache / "before" / commit
        if not folder.exists():
            partial = folder.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            _unpack(_git("archive", commit, "src"), partial)
            partial.rename(folder)
        self._source = folder / "src"
        return commit

    def start(self, place: Place) -> Running:
        return start(place, {"PYTHONPATH": str(self._source)}, SqliteGateway)

    def settings(self) -> dict[str, str]:
        return {**SETTINGS, "source": "of another commit"}


def _git(*arguments: str) -> bytes:
    try:
        done = subprocess.run(
            ["git", "-C", str(_ROOT), *arguments], capture_output=True, timeout=_TIMEOUT_S, check=False
        )
    except OSError as error:
        raise Unavailable(f"git could not be started: {error}") from error
    if done.returncode:
        raise Unavailable(done.stderr.decode(errors="replace").strip())
    return done.stdout


def _unpack(archive: bytes, folder: Path) -> None:
    with tarfile.open(fileobj=BytesIO(archive)) as source:
        source.extractall(folder, filter="data")
