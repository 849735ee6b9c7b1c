"""SQLite: one writing connection in WAL mode at `synchronous=FULL`, reading ones per thread, checkpoints beside."""

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import chain
from itertools import count as number_from
from typing import Literal, TypeVar

import msgspec

from halley.db.engine import NO_PARAMS, Params, Row, Taken, Tx, Value, Values
from halley.db.wakeups import Wakeups
from halley.kernel.background import stand_back

T = TypeVar("T")
_taken = msgspec.json.Decoder(list[tuple[str, int, int]])
CHECKPOINT_EVERY_S = 5.0
"""The log is copied into the database at least so often."""
CHECKPOINT_ROWS = 2_000
"""Rows changed since the last time that make it due earlier: two hundred calls. A log that begins anew often is written
over where it lies, which costs a commit half of what a log that grows does."""
LOG_FRAMES_MAX = 1_000
"""Pages in the log from which on it is worth a pause of the writer to begin it anew."""
LOG_ROWS_MAX = 10 * CHECKPOINT_ROWS
"""Rows changed since the writer last copied the log itself from which on it does so again, whatever the thread beside
it is about: that one gives way to all, and on a machine that is busy with others it may not get to work for long."""
LOG_BYTES_MAX = 64 * 1024 * 1024
"""What the log's file is cut to when it begins anew; it is not made smaller, since growing costs more than reusing."""
BUSY_TIMEOUT_S = 10.0
READERS_MAX = 2
STATEMENTS_CACHED = 1024
"""Prepared statements kept per connection: each number of rows is a statement of its own."""
SHARING_ROWS_MIN = 8
"""From here on it is worth looking for columns that are the same in all rows."""
ROWS_MAX = 64
"""Rows in one statement. Each number up to here is prepared once; more rows are cut into pieces of this size."""
_UNAVAILABLE = ("disk is full", "disk I/O error", "unable to open", "database is locked", "locking protocol")


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

    def run_later(self, sql: str, params: Params) -> None:
        self._connection.execute(sql, params)

    def expect(self, sql: str, params: Params, doubt: Exception) -> None:
        if self._connection.execute(sql, params).rowcount != 1:
            raise doubt

    def many(self, sql: str, rows: Sequence[Params]) -> int:
        return max(self._connection.executemany(sql, rows).rowcount, 0)

    def insert(self, table: str, columns: tuple[str, ...], rows: Sequence[Values]) -> None:
        if len(rows) == 1:
            self._connection.execute(_spelled(table, columns, 1, ()), rows[0])
            return
        # One statement for many rows: sqlite3 gives up and takes back the interpreter's lock around each step.
        for start in range(0, len(rows), ROWS_MAX):
            sql, values = _insertion(table, columns, rows[start : start + ROWS_MAX])
            self._connection.execute(sql, values)

    def take(
        self, table: str, columns: tuple[str, str, str], keys: Sequence[str], expected: Taken, doubt: Exception
    ) -> None:
        taken: dict[str, tuple[int, int]] = {}
        for start in range(0, len(keys), ROWS_MAX):
            piece = keys[start : start + ROWS_MAX]
            # All rows as one, for the same reason. This connection is the only one that writes: none comes between.
            reading, deleting = _taking(table, columns, len(piece))
            for value, count, total in _taken.decode(self._connection.execute(reading, piece).fetchone()[0]):
                before = taken.get(value, (0, 0))
                taken[value] = (before[0] + count, before[1] + total)
            self._connection.execute(deleting, piece)
        if taken != expected:
            raise doubt

    def wake(self, topic: str) -> None:
        self.topics.add(topic)


class SqliteConnection:
    """The writer's connection."""

    def __init__(self, path: str, log: "_Log | None" = None) -> None:
        self._connection = _connect(path)
        self._connection.execute(f"PRAGMA journal_size_limit={LOG_BYTES_MAX}")
        self._execute = self._connection.execute
        self._tx = SqliteTx(self._connection)
        self._log = log or _Log()
        self._copied = 0
        self._emptied = 0
        self._marked: set[str] = set()

    def begin(self) -> Tx:
        if self._log.behind or self._connection.total_changes - self._emptied > LOG_ROWS_MAX:
            self._empty_log()
        self._execute("BEGIN IMMEDIATE")
        self._tx.topics = set()
        return self._tx

    def savepoint(self) -> None:
        self._execute("SAVEPOINT unit")
        self._marked = set(self._tx.topics)

    def finish(self) -> None:
        """Nothing waits."""

    def release(self) -> None:
        self._execute("RELEASE unit")

    def undo(self) -> bool:
        # On a full disk or an I/O error SQLite takes back all by itself: https://sqlite.org/lang_transaction.html
        if not self._connection.in_transaction:
            return False
        self._execute("ROLLBACK TO unit")
        self._execute("RELEASE unit")
        self._tx.topics = set(self._marked)
        return True

    def commit(self) -> frozenset[str]:
        self._execute("COMMIT")
        if self._connection.total_changes - self._copied > CHECKPOINT_ROWS:
            self._copied = self._connection.total_changes
            self._log.due.set()
        return frozenset(self._tx.topics)

    def rollback(self) -> None:
        if self._connection.in_transaction:
            self._execute("ROLLBACK")

    def clashed(self, error: Exception) -> bool:
        # One that has begun is alone, and one that cannot begin has waited: each of its units would wait as long again.
        del error
        return False

    def close(self) -> None:
        self._connection.close()

    def _empty_log(self) -> None:
        """Copy what is left of the log, so that the next commit begins it anew, unless a reader is still in it."""
        self._emptied = self._connection.total_changes
        self._log.behind = False
        with self._log.copying:
            self._execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()


class _Log:
    """What the writer and the thread that empties its log tell each other."""

    def __init__(self) -> None:
        self.due = threading.Event()
        """Much was written."""
        self.behind = False
        """Only the writer itself can copy the rest, while it writes nothing: then it begins the log anew."""
        self.copying = threading.Lock()
        """One copies at a time: SQLite turns the second away, and the log would go on growing."""


class SqliteDriver:
    """Opens connections to one file."""

    kind: Literal["sqlite"] = "sqlite"
    readers_max = READERS_MAX

    def __init__(self, path: str) -> None:
        self._path = path
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._log = _Log()
        self._stopped = False
        self._checkpoints = threading.Thread(target=self._checkpoint, name="halley-checkpoint", daemon=True)
        self._checkpoints.start()

    def writer(self) -> SqliteConnection:
        return SqliteConnection(self._path, self._log)

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
        return isinstance(error, sqlite3.OperationalError) and any(words in str(error) for words in _UNAVAILABLE)

    def close(self) -> None:
        self._stopped = True
        self._log.due.set()
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
        stand_back()
        while not self._stopped:
            with contextlib.suppress(sqlite3.OperationalError):  # locked or full: the log grows until the next time
                self._checkpoint_when_due()

    def _checkpoint_when_due(self) -> None:
        self._log.due.wait(CHECKPOINT_EVERY_S)
        with contextlib.closing(_connect(self._path)) as connection:
            while not self._stopped:
                self._log.due.clear()
                self._checkpoint_once(connection)
                self._log.due.wait(CHECKPOINT_EVERY_S)

    def _checkpoint_once(self, connection: sqlite3.Connection) -> None:
        with self._log.copying:
            _, frames, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        # Under load new pages come while others are copied, and a log that is never copied whole grows without end.
        self._log.behind = frames > LOG_FRAMES_MAX


def _connect(path: str) -> sqlite3.Connection:
    # Opened on one thread, closed on another when the process stops; never used by two at once.
    connection = sqlite3.connect(
        path,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=STATEMENTS_CACHED,
    )
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


def _insertion(table: str, columns: tuple[str, ...], rows: Sequence[Values]) -> tuple[str, tuple[Value, ...]]:
    """Give a statement and what is bound to it. What is the same in all of many rows is bound once."""
    count = len(rows)
    if count < SHARING_ROWS_MIN:
        return _spelled(table, columns, count, ()), tuple(chain.from_iterable(rows))
    shared: list[Value] = []
    places: list[int] = []
    varying: list[tuple[Value, ...]] = []
    for place, column in enumerate(zip(*rows, strict=True)):
        first = column[0]
        # Most that vary do so between the first and the last.
        if first == column[-1] and column.count(first) == count:
            shared.append(first)
            places.append(place)
        else:
            varying.append(column)
    return _spelled(table, columns, count, tuple(places)), (*shared, *chain.from_iterable(zip(*varying, strict=True)))


@lru_cache(maxsize=STATEMENTS_CACHED)
def _spelled(table: str, columns: tuple[str, ...], count: int, shared: tuple[int, ...]) -> str:
    numbers = number_from(len(shared) + 1)
    names = {place: f"?{number}" for number, place in enumerate(shared, 1)}
    rows = (", ".join(names.get(place) or f"?{next(numbers)}" for place in range(len(columns))) for _ in range(count))
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({'), ('.join(rows)})"  # noqa: S608 - constants


@lru_cache(maxsize=STATEMENTS_CACHED)
def _taking(table: str, columns: tuple[str, str, str], count: int) -> tuple[str, str]:
    key, value, amount = columns
    where = f"WHERE {key} IN ({', '.join('?' * count)})"
    sums = f"SELECT {value} AS value, count(*) AS n, sum({amount}) AS total FROM {table} {where} GROUP BY {value}"  # noqa: S608 - constants
    reading = f"SELECT json_group_array(json_array(value, n, total)) FROM ({sums})"  # noqa: S608 - constants
    return reading, f"DELETE FROM {table} {where}"  # noqa: S608 - constants
