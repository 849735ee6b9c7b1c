"""Fixtures for tests that need a database: each runs on SQLite and on a real PostgreSQL, migrated and empty.

A conftest takes them by name: `from tests.database import clock, database_url, db, ids, postgres_server, wakeups`.
A test that needs two replicas opens a second `Database` on `database_url` with `opened`.
"""

import asyncio
import fcntl
import hashlib
import os
import shutil
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

import psycopg
import pytest

from halley.db import Database, Wakeups, migrate, open_database
from halley.kernel.clock import Clock
from halley.kernel.failpoints import Failpoints
from halley.kernel.ids import base32, uuid7
from halley.testing.clock import FakeClock

__all__ = ["FakeIds", "clock", "database_url", "db", "ids", "opened", "postgres_server", "sqlite_template", "wakeups"]

_TEMPLATE = "halley_template"
_ALPHANUMERIC = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_CLOSE_TURN_S = 0.02


class FakeIds:
    """Ids that count upwards and secrets that follow from the count: the same in each run."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._count = count(1)

    def new(self) -> str:
        return base32(uuid7(self._clock.now() // 1_000, next(self._count)))

    def secret(self, length: int) -> str:
        digest = hashlib.shake_256(str(next(self._count)).encode()).digest(length)
        return "".join(_ALPHANUMERIC[byte % len(_ALPHANUMERIC)] for byte in digest)


class PostgresServer:
    """A running server and a migrated template in it; databases are made from the template in a few milliseconds."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._names = count(1)
        self._connection = psycopg.connect(uri, autocommit=True)
        # A test's database need not outlive a power cut; what survives a killed process is not changed by this.
        for setting in (b"fsync = off", b"full_page_writes = off"):
            self._connection.execute(b"ALTER SYSTEM SET " + setting)
        self._connection.execute(b"SELECT pg_reload_conf()")
        self._connection.execute(f"CREATE DATABASE {_TEMPLATE}".encode())
        migrate.upgrade(self.url(_TEMPLATE))

    def url(self, name: str) -> str:
        return self._uri.replace("/postgres?", f"/{name}?")

    def new(self) -> str:
        """Make a database and give its name."""
        name = f"halley_{next(self._names)}"
        self._connection.execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}".encode())
        return name

    def new_empty(self) -> str:
        """Make a database without a schema and give its name."""
        name = f"halley_{next(self._names)}"
        self._connection.execute(f"CREATE DATABASE {name}".encode())
        return name

    def drop(self, name: str) -> None:
        self._connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())

    def close(self) -> None:
        self._connection.close()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Start one server for this process of the test run; it and its files are gone afterwards."""
    # Not below pytest's own folder: the server runs as a user of its own when the tests run as root.
    with TemporaryDirectory(prefix="halley-pg-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        with _runtime_folder(folder), _one_start_at_a_time():
            from pgserver.postgres_server import get_server  # reads XDG_RUNTIME_DIR when it is imported

            process = get_server(folder / "data", cleanup_mode="delete")
        server = PostgresServer(process.get_uri())
        yield server
        server.close()
        process.cleanup()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    migrate.upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give a fresh, migrated database of each kind."""
    if request.param == "sqlite":
        path = tmp_path / "halley.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = server.new()
    yield server.url(name)
    server.drop(name)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ids(clock: FakeClock) -> FakeIds:
    return FakeIds(clock)


@pytest.fixture
async def wakeups(clock: FakeClock) -> Wakeups:
    return Wakeups(asyncio.get_running_loop(), clock)


@pytest.fixture
async def db(database_url: str, wakeups: Wakeups) -> AsyncIterator[Database]:
    async with opened(database_url, wakeups) as database:
        yield database


@asynccontextmanager
async def opened(url: str, wakeups: Wakeups, failpoints: Failpoints | None = None) -> AsyncGenerator[Database]:
    """Open one more `Database`, as another replica would, and close it without blocking the loop."""
    database = await asyncio.to_thread(open_database, url, wakeups, failpoints)
    try:
        yield database
    finally:
        await asyncio.to_thread(_close, database, url)


def _close(database: Database, url: str) -> None:
    """Close it. On PostgreSQL its listener is nudged, which else ends its turn of waiting only after a second."""
    closing = threading.Thread(target=database.close)
    closing.start()
    if database.kind == "postgresql":
        with psycopg.connect(url, autocommit=True) as connection:
            while closing.is_alive():
                connection.execute(b"NOTIFY halley, 'closing'")
                closing.join(_CLOSE_TURN_S)
    closing.join()


@contextmanager
def _runtime_folder(folder: Path) -> Generator[None]:
    """Say where a user's sockets and locks go: without it pgserver's library warns, and here a warning is an error."""
    with pytest.MonkeyPatch.context() as patch:
        if "XDG_RUNTIME_DIR" not in os.environ:
            (folder / "run").mkdir(mode=0o700)
            patch.setenv("XDG_RUNTIME_DIR", str(folder / "run"))
        yield


@contextmanager
def _one_start_at_a_time() -> Generator[None]:
    """Let parallel workers start their servers in turn: each may have to add the user that the server runs as."""
    with (Path(gettempdir()) / f"halley-pg-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
