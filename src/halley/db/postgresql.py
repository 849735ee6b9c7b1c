"""PostgreSQL through psycopg 3: a writing connection, reading ones per thread, and LISTEN for wake-ups."""

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, TypeVar

import psycopg
from psycopg import errors
from psycopg.pq import TransactionStatus
from psycopg.rows import DictRow, dict_row

from halley.db.engine import NO_PARAMS, Params, Row, Tx, Value, Values
from halley.db.wakeups import Wakeups

T = TypeVar("T")
READERS_MAX = 4
CHANNEL = "halley"
LISTEN_TURN_S = 1.0
RECONNECT_AFTER_S = 1.0
_PARAMETER = re.compile(r"(?<!:):([a-z_][a-z0-9_]*)")
_BEGIN_READ = b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_TYPES = """
    SELECT attname AS name, format_type(atttypid, NULL) AS type FROM pg_attribute
    WHERE attrelid = to_regclass(:table) AND attnum > 0 AND NOT attisdropped
"""
_Connection = psycopg.Connection[DictRow]


class PostgresTx:
    """A transaction on one connection."""

    kind: Literal["postgresql"] = "postgresql"
    skip_locked = " FOR UPDATE SKIP LOCKED"

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self._columns: dict[str, dict[str, str]] = {}
        self._unsent: list[tuple[bytes, Sequence[str] | None]] = []
        self.topics: set[str] = set()

    def all(self, sql: str, params: Params = NO_PARAMS) -> Sequence[Row]:
        return self._execute(sql, params).fetchall()

    def one(self, sql: str, params: Params = NO_PARAMS) -> Row | None:
        return self._execute(sql, params).fetchone()

    def run(self, sql: str, params: Params = NO_PARAMS) -> int:
        return self._execute(sql, params).rowcount

    def many(self, sql: str, rows: Sequence[Params]) -> int:
        if len(rows) == 1:
            return self.run(sql, rows[0])
        # Not `executemany`: within a pipeline it tells the number of rows of the last statement only.
        with self._connection.pipeline():
            self._send()
            cursors = [self._connection.execute(_spelled(sql), row) for row in rows]
        return sum(max(cursor.rowcount, 0) for cursor in cursors)

    def insert(self, table: str, columns: tuple[str, ...], rows: Sequence[Values]) -> None:
        # One statement whatever the number of rows, so that it is prepared once: a column is an array.
        sql = _insertion(table, tuple(zip(columns, self._types(table, columns), strict=True)))
        self.later(sql, [_array(column) for column in zip(*rows, strict=True)])

    def take(self, table: str, columns: tuple[str, str, str], keys: Sequence[str]) -> Mapping[str, tuple[int, int]]:
        cursor = self._at_once(_taking(table, columns), (_array(keys),))
        return {row["value"]: (row["n"], row["total"]) for row in cursor.fetchall()}

    def wake(self, topic: str) -> None:
        self.topics.add(topic)

    def _types(self, table: str, columns: tuple[str, ...]) -> tuple[str, ...]:
        types = self._columns.get(table)
        if types is None:
            types = {row["name"]: row["type"] for row in self.all(_TYPES, {"table": table})}
            self._columns[table] = types
        return tuple(types[column] for column in columns)

    def later(self, sql: bytes, params: Sequence[str] | None = None) -> None:
        """Send a statement only with the next one whose result is asked for: both take one round trip."""
        self._unsent.append((sql, params))

    def send(self) -> None:
        """Send what waits, and raise what it raises."""
        if self._rows_wait():
            with self._connection.pipeline():
                self._send()
        else:
            self._mark()

    def forget(self, *, but_control: bool = False) -> None:
        """Drop what waits; or only what changes rows, not what begins or marks."""
        self._unsent = [(sql, params) for sql, params in self._unsent if but_control and params is None]

    def _execute(self, sql: str, params: Params) -> psycopg.Cursor[DictRow]:
        return self._at_once(_spelled(sql), params)

    def _at_once(self, sql: bytes, params: Params | Sequence[str]) -> psycopg.Cursor[DictRow]:
        if not self._rows_wait():
            self._mark()
            return self._connection.execute(sql, params)
        with self._connection.pipeline():
            self._send()
            return self._connection.execute(sql, params)

    def _rows_wait(self) -> bool:
        return any(params is not None for _, params in self._unsent)

    def _mark(self) -> None:
        """Send what only begins, marks or ends: as one text, for so little a pipeline costs more than it spares."""
        unsent, self._unsent = self._unsent, []
        if unsent:
            self._connection.execute(b"; ".join(sql for sql, _ in unsent), prepare=False)

    def _send(self) -> None:
        unsent, self._unsent = self._unsent, []
        for sql, params in unsent:
            self._connection.execute(sql, params, prepare=params is not None)


class PostgresConnection:
    """The writer's connection."""

    def __init__(self, url: str) -> None:
        self._connection = _connect(url)
        self._tx = PostgresTx(self._connection)
        self._marked: set[str] = set()

    def begin(self) -> Tx:
        if self._connection.closed or self._connection.broken:
            raise psycopg.OperationalError("the connection was lost")
        self._tx.forget()
        self._tx.later(b"BEGIN")
        self._tx.topics = set()
        return self._tx

    def savepoint(self) -> None:
        self._tx.later(b"SAVEPOINT unit")
        self._marked = set(self._tx.topics)

    def finish(self) -> None:
        self._tx.send()

    def release(self) -> None:
        self._tx.later(b"RELEASE SAVEPOINT unit")

    def undo(self) -> None:
        self._tx.forget(but_control=True)
        self._tx.send()
        self._connection.execute(b"ROLLBACK TO SAVEPOINT unit; RELEASE SAVEPOINT unit")
        self._tx.topics = set(self._marked)

    def commit(self) -> frozenset[str]:
        for topic in sorted(self._tx.topics):
            self._tx.later(b"SELECT pg_notify(%s, %s)", (CHANNEL, topic))
        self._tx.later(b"COMMIT")
        self._tx.send()
        return frozenset(self._tx.topics)

    def rollback(self) -> None:
        self._tx.forget()
        status = self._connection.info.transaction_status
        if status not in (TransactionStatus.IDLE, TransactionStatus.UNKNOWN):
            # As a statement, since psycopg then forgets what it holds for prepared: an error may have come before that.
            self._connection.execute(b"ROLLBACK")

    def clashed(self, error: Exception) -> bool:
        return isinstance(error, (errors.DeadlockDetected, errors.SerializationFailure, errors.LockNotAvailable))

    def close(self) -> None:
        self._connection.close()


class PostgresDriver:
    """Opens connections to one server."""

    kind: Literal["postgresql"] = "postgresql"
    readers_max = READERS_MAX

    def __init__(self, url: str) -> None:
        self._url = url
        self._local = threading.local()
        self._opened: list[_Connection] = []
        self._stop = threading.Event()
        self._listener: threading.Thread | None = None

    def writer(self) -> PostgresConnection:
        return PostgresConnection(self._url)

    def read(self, query: Callable[[Tx], T]) -> T:
        connection = self._reader()
        try:
            connection.execute(_BEGIN_READ)
        except psycopg.OperationalError:
            # It was lost while it was idle; a new one is tried once.
            connection = self._reader()
            connection.execute(_BEGIN_READ)
        try:
            return query(PostgresTx(connection))
        finally:
            if not connection.broken:
                connection.execute(b"ROLLBACK")

    def listen(self, wakeups: Wakeups) -> None:
        self._listener = threading.Thread(target=self._hear, args=(wakeups,), name="halley-listener", daemon=True)
        self._listener.start()

    def unavailable(self, error: Exception) -> bool:
        return isinstance(error, psycopg.OperationalError)

    def close(self) -> None:
        self._stop.set()
        if self._listener is not None:
            self._listener.join()
        for connection in self._opened:
            connection.close()

    def _reader(self) -> _Connection:
        connection: _Connection | None = getattr(self._local, "connection", None)
        if connection is None or connection.closed or connection.broken:
            connection = _connect(self._url)
            self._local.connection = connection
            self._opened.append(connection)
        return connection

    def _hear(self, wakeups: Wakeups) -> None:
        while not self._stop.is_set():
            try:
                with _connect(self._url) as connection:
                    connection.execute(f"LISTEN {CHANNEL}".encode())
                    self._pass_on(connection, wakeups)
            except psycopg.OperationalError:
                # The server is away; waiters have their own one-second backstop until it is back.
                self._stop.wait(RECONNECT_AFTER_S)

    def _pass_on(self, connection: _Connection, wakeups: Wakeups) -> None:
        while not self._stop.is_set():
            for notice in connection.notifies(timeout=LISTEN_TURN_S):
                wakeups.publish((notice.payload,))
                if self._stop.is_set():
                    return


def _connect(url: str) -> _Connection:
    connection = _Connection.connect(url, autocommit=True, row_factory=dict_row, connect_timeout=10)
    connection.execute(b"SET synchronous_commit = on")
    connection.execute(b"SET lock_timeout = '4s'")
    return connection


@lru_cache(maxsize=512)
def _spelled(sql: str) -> Any:
    """Put our `:name` parameters into psycopg's `%(name)s`. The SQL is ours; values only ever travel as parameters."""
    return _PARAMETER.sub(r"%(\1)s", sql.replace("%", "%%")).encode()


@lru_cache(maxsize=64)
def _insertion(table: str, columns: tuple[tuple[str, str], ...]) -> bytes:
    names = ", ".join(name for name, _ in columns)
    arrays = ", ".join(f"%s::{type_}[]" for _, type_ in columns)
    return f"INSERT INTO {table} ({names}) SELECT * FROM unnest({arrays})".encode()  # noqa: S608 - constants


@lru_cache(maxsize=64)
def _taking(table: str, columns: tuple[str, str, str]) -> bytes:
    key, value, amount = columns
    deletion = f"DELETE FROM {table} WHERE {key} = ANY(%s::text[]) RETURNING {value} AS value, {amount} AS amount"  # noqa: S608 - constants
    sums = "SELECT value, count(*) AS n, sum(amount)::bigint AS total FROM gone GROUP BY value"
    return f"WITH gone AS ({deletion}) {sums}".encode()


def _array(values: Values) -> str:
    """Spell an array as PostgreSQL reads it; the driver's own way of doing so takes many times as long."""
    return f"{{{','.join(map(_element, values))}}}"


def _element(value: Value) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, bytes):
        return rf'"\\x{value.hex()}"'
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
