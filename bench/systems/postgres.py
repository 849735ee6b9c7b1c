"""Halley on PostgreSQL: a server of the bench's own from PyPI, or one that `--database-url` names.

The own server runs on the gateway's core, and what it uses counts: the row is what one core does in all.
"""

import os
import warnings
from collections.abc import Callable
from contextlib import ExitStack, closing
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Protocol, cast
from urllib.parse import urlsplit, urlunsplit

import psycopg

import halley
from bench.faults import Failed, Unavailable
from bench.process import Child, pinned
from bench.systems.base import ANSWERS, TASKS, Counts, Place, Running
from bench.systems.halley import SETTINGS, Gateway, run_command, start

_SHOWN = ("server_version", "fsync", "synchronous_commit", "shared_buffers", "full_page_writes")
_NAME = "halley_bench"


class Server:
    """A PostgreSQL server in which databases are made and dropped."""

    def __init__(self, url: str, pid: int | None) -> None:
        self.url = url
        self.pid = pid
        self._names = count(1)
        self._made: list[str] = []

    def new(self) -> str:
        """Make an empty database and give its URL."""
        name = f"{_NAME}_{os.getpid()}_{next(self._names)}"
        self._run(f"CREATE DATABASE {name}")
        self._made.append(name)
        return _of_database(self.url, name)

    def drop_all(self) -> None:
        for name in self._made:
            self._run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        self._made.clear()

    def show(self) -> dict[str, str]:
        """The settings that the figures depend on."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            rows = [connection.execute(f"SHOW {name}".encode()).fetchone() for name in _SHOWN]
        return {name: str(row[0]) for name, row in zip(_SHOWN, rows, strict=True) if row is not None}

    def _run(self, sql: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql.encode())


class HalleyPostgres:
    """The same gateway; every row is in another process."""

    name = "halley-postgres"
    title = "Halley, PostgreSQL"
    kinds = ANSWERS | TASKS

    def __init__(self, url: str | None, core: int, stack: ExitStack) -> None:
        self._url = url
        self._core = core
        self._stack = stack
        self._server: Server | None = None
        self._databases: dict[Path, str] = {}

    def install(self, cache: Path) -> str:
        """Start the server, which lives as long as the run."""
        try:
            self._server = Server(self._url, None) if self._url else self._own_server(cache)
            self._server.show()
        except (psycopg.Error, OSError, RuntimeError) as error:
            raise Unavailable(f"no PostgreSQL: {error}") from error
        self._stack.callback(self._server.drop_all)
        return halley.__version__

    def start(self, place: Place) -> Running:
        assert self._server is not None, "installed before it is started"
        url = self._databases.get(place.folder)
        if url is None:
            url = self._databases[place.folder] = self._server.new()
            place.folder.mkdir(parents=True, exist_ok=True)
            done = run_command(["migrate"], place.folder, _environ(url))
            if done.returncode:
                raise Failed(f"`halley migrate` failed: {done.stdout}{done.stderr}")
        pids = () if self._server.pid is None else (self._server.pid,)
        return start(place, _environ(url), _maker(pids))

    def settings(self) -> dict[str, str]:
        assert self._server is not None, "installed before it is described"
        shown = self._server.show()
        version = shown.pop("server_version")
        where = (
            "on the gateway's core, counted with it" if self._server.pid else "as `--database-url` has it, not counted"
        )
        told = ", ".join(f"{name}={value}" for name, value in shown.items())
        return {**SETTINGS, "database": f"PostgreSQL {version} {where}; {told}"}

    def _own_server(self, cache: Path) -> Server:
        # As root it runs as a user of its own, who may not enter our folders.
        above = Path(gettempdir()) if os.geteuid() == 0 else cache
        above.mkdir(parents=True, exist_ok=True)
        folder = Path(self._stack.enter_context(TemporaryDirectory(prefix="halley-bench-pg-", dir=above)))
        folder.chmod(0o755)
        if "XDG_RUNTIME_DIR" not in os.environ:
            (folder / "run").mkdir(mode=0o700)
            os.environ["XDG_RUNTIME_DIR"] = str(folder / "run")  # read when pgserver is imported
        with pinned(self._core), warnings.catch_warnings(action="ignore"):
            from pgserver.postgres_server import get_server

            process = cast("Process", get_server(folder / "data", cleanup_mode="delete"))
        self._stack.callback(process.cleanup)
        return Server(process.get_uri(), process.get_pid())


class Process(Protocol):
    """What we use of pgserver's untyped server."""

    def get_uri(self) -> str: ...

    def get_pid(self) -> int: ...

    def cleanup(self) -> None: ...


class PostgresGateway(Gateway):
    """One process of ours, and the server's beside it."""

    def __init__(self, child: Child, port: int, place: Place, environ: dict[str, str]) -> None:
        super().__init__(child, port, place, environ)
        self._url = environ["HALLEY_DATABASE_URL"]
        self.server_pids: tuple[int, ...] = ()

    @property
    def roots(self) -> tuple[int, ...]:
        return (self.child.pid, *self.server_pids)

    @property
    def beside(self) -> tuple[int, ...]:
        return self.server_pids

    def read_books(self) -> Counts:
        return self.books(self._count)

    def _count(self, table: str) -> int:
        with closing(psycopg.connect(self._url)) as connection:
            row = connection.execute(f"SELECT COUNT(*) FROM {table}".encode()).fetchone()  # noqa: S608 - a name of ours
        assert row is not None, "a count has a row"
        return int(row[0])


def _maker(pids: tuple[int, ...]) -> Callable[[Child, int, Place, dict[str, str]], PostgresGateway]:
    def make(child: Child, port: int, place: Place, environ: dict[str, str]) -> PostgresGateway:
        gateway = PostgresGateway(child, port, place, environ)
        gateway.server_pids = pids
        return gateway

    return make


def _environ(url: str) -> dict[str, str]:
    return {"HALLEY_DATABASE_URL": url}


def _of_database(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
