"""SQLite: one writing connection in WAL mode at `synchronous=FULL`, reading ones per thread, checkpoints beside."""

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

from halley.db.engine import NO_PARAMS, Params, Row, Tx
from halley.db.wakeups import Wakeups

T = TypeVar("T")
CHECKPOINT_EVERY_S = 5.0
BUSY_TIMEOUT_S = 10.0
READERS_MAX = 2
_DISK_TROUBLE = ("disk is full", "disk I/O error", "unable to open")


class SqliteTx:
    """A transaction on one connection."""

    kind: Literal["sqlite"] = "sqlite"
    skip_locked = ""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.topics: set[str] = set()

    def all(self, sql: str, params: Params = NO_PARAMS) -> Sequence[Row]:
        return self._connection.execute(sql, params).fetchall()

    def one(self, sql: str, params: Params = NO_PARAMS) -> Row | None:
        return self._connection.execute(sql, params).fetchone()

    def run(self, sql: str, params: Params = NO_PARAMS) -> int:
        return self._connection.execute(sql, params).rowcount

    def many(self, sql: str, rows: Sequence[Params]) -> None:
        self._connection.executemany(sql, rows)

    def wake(self, topic: str) -> None:
        self.topics.add(topic)


class SqliteConnection:
    """The writer's connection."""

    def __init__(self, path: str) -> None:
        self._connection = _connect(path)
        self._tx = SqliteTx(self._connection)
        self._marked: set[str] = set()

    def begin(self) -> Tx:
        self._connection.execute("BEGIN IMMEDIATE")
        self._tx.topics = set()
        return self._tx

    def savepoint(self) -> None:
        self._connection.execute("SAVEPOINT unit")
        self._marked = set(self._tx.topics)

    def release(self) -> None:
        self._connection.execute("RELEASE unit")

    def undo(self) -> None:
        self._connection.execute("ROLLBACK TO unit")
        self._connection.execute("RELEASE unit")
        self._tx.topics = set(self._marked)

    def commit(self) -> frozenset[str]:
        self._connection.execute("COMMIT")
        return frozenset(self._tx.topics)

    def rollback(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def clashed(self, error: Exception) -> bool:
        return isinstance(error, sqlite3.OperationalError) and "locked" in str(error)

    def close(self) -> None:
        self._connection.close()


class SqliteDriver:
    """Opens connections to one file."""

    kind: Literal["sqlite"] = "sqlite"
    readers_max = READERS_MAX

    def __init__(self, path: str) -> None:
        self._path = path
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._stop = threading.Event()
        self._checkpoints = threading.Thread(target=self._checkpoint, name="halley-checkpoint", daemon=True)
        self._checkpoints.start()

    def writer(self) -> SqliteConnection:
        return SqliteConnection(self._path)

    def read(self, query: Callable[[Tx], T]) -> T:
        connection = self._reader()
        connection.execute("BEGIN")
        try:
            return query(SqliteTx(connection))
        finally:
            connection.execute("ROLLBACK")

    def listen(self, wakeups: Wakeups) -> None:
        """Nothing to do: there is one process, and it publishes itself."""

    def unavailable(self, error: Exception) -> bool:
        return isinstance(error, sqlite3.OperationalError) and any(words in str(error) for words in _DISK_TROUBLE)

    def close(self) -> None:
        self._stop.set()
        self._checkpoints.join()
        for connection in self._opened:
            connection.close()

    def _reader(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = _connect(self._path)
            connection.execute("PRAGMA query_only=ON")
            self._local.connection = connection
            self._opened.append(connection)
        return connection

    def _checkpoint(self) -> None:
        while not self._stop.wait(CHECKPOINT_EVERY_S):
            with contextlib.suppress(sqlite3.OperationalError):  # locked or full: the log grows until the next time
                self._checkpoint_once()

    def _checkpoint_once(self) -> None:
        with contextlib.closing(_connect(self._path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")


def _connect(path: str) -> sqlite3.Connection:
    # Opened on one thread, closed on another when the process stops; never used by two at once.
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "wal_autocheckpoint=0",
        "cache_size=-16000",
    ):
        connection.execute(f"PRAGMA {pragma}")
    return connection
