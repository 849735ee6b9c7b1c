import asyncio
import logging
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from traceback import format_exception

import pytest
import structlog
from click.testing import CliRunner, Result
from tests.database import postgres_server, sqlite_template

from halley.cli import main
from halley.console.lock import DataLock
from halley.console.protocol import SOCKET_NAME
from halley.console.server import ConsoleServer
from halley.console.services import open_services
from halley.settings import Settings

__all__ = ["postgres_server", "sqlite_template"]


@pytest.fixture(autouse=True)
def _umask_stays() -> Iterator[None]:
    """Commands narrow the process's umask; other tests of this process must not notice."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)


@pytest.fixture(autouse=True)
def _logs_stay() -> Iterator[None]:
    """`halley serve` says how the process logs; other tests of this process must not notice."""
    root, config = logging.getLogger(), structlog.get_config()
    level = root.level
    yield
    structlog.configure(**config)
    root.setLevel(level)
    for handler in [one for one in root.handlers if isinstance(one.formatter, structlog.stdlib.ProcessorFormatter)]:
        root.removeHandler(handler)


@pytest.fixture
def data_dir(tmp_path: Path, sqlite_template: Path) -> Path:
    """A data folder with a migrated database."""
    folder = tmp_path / "data"
    folder.mkdir()
    shutil.copy(sqlite_template, folder / "halley.db")
    return folder


class Halley:
    """Runs `halley …` in a folder of its own."""

    def __init__(self, folder: Path, data_dir: Path) -> None:
        self.folder = folder
        self.data_dir = data_dir
        self.environ: dict[str, str] = {"HALLEY_DATA_DIR": str(data_dir)}

    def __call__(self, *args: str, code: int = 0) -> Result:
        result = CliRunner().invoke(main, args, env=self.environ, prog_name="halley")
        assert result.exit_code == code, f"{result.exit_code}: {result.output}\n" + "".join(
            format_exception(result.exception)
        )
        return result


@pytest.fixture
def halley(tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Halley:
    monkeypatch.chdir(tmp_path)
    return Halley(tmp_path, data_dir)


@pytest.fixture
def serving(data_dir: Path) -> Iterator[None]:
    """A process that owns the data folder and answers its local socket, on a thread of its own."""
    settings = Settings(data_dir=data_dir)
    started = threading.Event()
    stopping: list[asyncio.Event] = []

    async def serve() -> None:
        async with open_services(settings) as services:
            console = ConsoleServer(data_dir / SOCKET_NAME, services)
            await console.start()
            stopping.append(asyncio.Event())
            started.set()
            await stopping[0].wait()
            await console.stop()

    with DataLock(data_dir, "halley serve") as lock:
        lock.announce("http://127.0.0.1:1")
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
        thread.start()
        assert started.wait(10)
        yield
        loop.call_soon_threadsafe(stopping[0].set)
        thread.join(10)
        loop.close()
