"""PostgreSQL through psycopg 3: a writing connection, reading ones per thread, and LISTEN for wake-ups."""

import re
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Literal, TypeVar

import psycopg
from psycopg import errors

from halley.db.engine import NO_PARAMS, Params, Row, Taken, Tx, Value, Values
from halley.db.libpq import Call, Link, Result, Statement
from halley.db.wakeups import Wakeups

T = TypeVar("T")
READERS_MAX = 4
CHANNEL = "halley"
LISTEN_TURN_S = 1.0
RECONNECT_AFTER_S = 1.0
_Check = Callable[[Result], None]
"""Raises when the answer is not what it must be."""
_PARAMETER = re.compile(r"(?<!:):([a-z_][a-z0-9_]*)")
_BEGIN = Statement(b"BEGIN")
_BEGIN_READ = Statement(b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
_SAVEPOINT = Statement(b"SAVEPOINT unit")
_RELEASE = Statement(b"RELEASE SAVEPOINT unit")
_UNDO = Statement(b"ROLLBACK TO SAVEPOINT unit")
_COMMIT = Statement(b"COMMIT")
_ROLLBACK = Statement(b"ROLLBACK")
_NOTIFY = b"SELECT pg_notify($1, $2)"
_TYPES = """
    SELECT attname AS name, format_type(atttypid, NULL) AS type FROM pg_attribute
    WHERE attrelid = to_regclass(:table) AND attnum > 0 AND NOT attisdropped
"""


class PostgresTx:
    """A transaction on one connection."""

    kind: Literal["postgresql"] = "postgresql"
    skip_locked = " FOR UPDATE SKIP LOCKED"

    def __init__(self, link: Link) -> None:
        self._link = link
        self._columns: dict[str, dict[str, str]] = {}
        self._unsent: list[tuple[Call, _Check | None]] = []
        self.topics: set[str] = set()

    def all(self, sql: str, params: Params = NO_PARAMS) -> Sequence[Row]:
        return self._ask(_statement(sql, params)).rows()

    def one(self, sql: str, params: Params = NO_PARAMS) -> Row | None:
        rows = self._ask(_statement(sql, params)).rows()
        return rows[0] if rows else None

    def run(self, sql: str, params: Params = NO_PARAMS) -> int:
        return self._ask(_statement(sql, params)).count

    def run_later(self, sql: str, params: Params) -> None:
        self.later(_statement(sql, params))

    def expect(self, sql: str, params: Params, doubt: Exception) -> None:
        def check(result: Result) -> None:
            if result.count != 1:
                raise doubt

        self.later(_statement(sql, params), check)

    def many(self, sql: str, rows: Sequence[Params]) -> int:
        if not rows:
            return 0
        for row in rows:
            self.run_later(sql, row)
        return sum(result.count for result in self.send()[-len(rows) :])

    def insert(self, table: str, columns: tuple[str, ...], rows: Sequence[Values]) -> None:
        # One statement whatever the number of rows, so that it is prepared once: a column is an array.
        sql = _insertion(table, tuple(zip(columns, self._types(table, columns), strict=True)))
        self.later(Statement(sql, [_array(column) for column in zip(*rows, strict=True)]))

    def take(
        self, table: str, columns: tuple[str, str, str], keys: Sequence[str], expected: Taken, doubt: Exception
    ) -> None:
        def check(result: Result) -> None:
            if {row["value"]: (row["n"], row["total"]) for row in result.rows()} != expected:
                raise doubt

        self.later(Statement(_taking(table, columns), (_array(keys),)), check)

    def wake(self, topic: str) -> None:
        self.topics.add(topic)

    def later(self, statement: Statement, check: _Check | None = None) -> None:
        """Send a statement only with the next one whose result is asked for: both take one round trip.

        Raises at once of a value that cannot be stored: what waits, a savepoint perhaps, goes on waiting.
        """
        self._unsent.append((self._link.bind(statement), check))

    def send(self) -> Sequence[Result]:
        """Send what waits, and raise what it raises."""
        if not self._unsent:
            return ()
        unsent, self._unsent = self._unsent, []
        results = self._link.do([call for call, _ in unsent])
        for (_, check), result in zip(unsent, results, strict=True):
            if check is not None:
                check(result)
        return results

    def forget(self, *, but_control: bool = False) -> None:
        """Drop what waits; or only what changes rows, not what begins or marks."""
        self._unsent = [each for each in self._unsent if but_control and each[0].values is None]

    def _ask(self, statement: Statement) -> Result:
        self.later(statement)
        return self.send()[-1]

    def _types(self, table: str, columns: tuple[str, ...]) -> tuple[str, ...]:
        types = self._columns.get(table)
        if types is None:
            types = {row["name"]: row["type"] for row in self.all(_TYPES, {"table": table})}
            self._columns[table] = types
        return tuple(types[column] for column in columns)


class PostgresConnection:
    """The writer's connection."""

    def __init__(self, url: str) -> None:
        self._link = Link(_connect(url))
        self._tx = PostgresTx(self._link)
        self._marked: set[str] = set()

    def begin(self) -> Tx:
        if self._link.lost:
            raise psycopg.OperationalError("the connection was lost")
        self._tx.forget()
        self._tx.later(_BEGIN)
        self._tx.topics = set()
        return self._tx

    def savepoint(self) -> None:
        self._tx.later(_SAVEPOINT)
        self._marked = set(self._tx.topics)

    def finish(self) -> None:
        self._tx.send()

    def release(self) -> None:
        self._tx.later(_RELEASE)

    def undo(self) -> bool:
        self._tx.forget(but_control=True)
        self._tx.later(_UNDO)
        self._tx.later(_RELEASE)
        self._tx.send()
        self._tx.topics = set(self._marked)
        return True

    def commit(self) -> frozenset[str]:
        for topic in sorted(self._tx.topics):
            self._tx.later(Statement(_NOTIFY, (CHANNEL, topic)))
        self._tx.later(_COMMIT)
        self._tx.send()
        return frozenset(self._tx.topics)

    def rollback(self) -> None:
        self._tx.forget()
        if self._link.in_transaction:
            self._link.ask([_ROLLBACK])

    def clashed(self, error: Exception) -> bool:
        return isinstance(error, (errors.DeadlockDetected, errors.SerializationFailure, errors.LockNotAvailable))

    def close(self) -> None:
        self._link.close()


class PostgresDriver:
    """Opens connections to one server."""

    kind: Literal["postgresql"] = "postgresql"
    readers_max = READERS_MAX

    def __init__(self, url: str) -> None:
        self._url = url
        self._local = threading.local()
        self._opened: list[Link] = []
        self._stop = threading.Event()
        self._listener: threading.Thread | None = None

    def writer(self) -> PostgresConnection:
        return PostgresConnection(self._url)

    def read(self, query: Callable[[Tx], T]) -> T:
        link = self._reader()
        try:
            return self._read(link, query)
        except psycopg.OperationalError:
            if not link.lost:
                raise
            # It was lost, most often while it was idle; a new one is tried once.
            return self._read(self._reader(), query)

    def listen(self, wakeups: Wakeups) -> None:
        self._listener = threading.Thread(target=self._hear, args=(wakeups,), name="halley-listener", daemon=True)
        self._listener.start()

    def unavailable(self, error: Exception) -> bool:
        return isinstance(error, psycopg.OperationalError)

    def close(self) -> None:
        self._stop.set()
        if self._listener is not None:
            self._listener.join()
        for link in self._opened:
            link.close()

    def _read(self, link: Link, query: Callable[[Tx], T]) -> T:
        tx = PostgresTx(link)
        tx.later(_BEGIN_READ)
        try:
            return query(tx)
        finally:
            if link.in_transaction:
                link.ask([_ROLLBACK])

    def _reader(self) -> Link:
        link: Link | None = getattr(self._local, "link", None)
        if link is None or link.lost:
            link = Link(_connect(self._url))
            self._local.link = link
            self._opened.append(link)
        return link

    def _hear(self, wakeups: Wakeups) -> None:
        while not self._stop.is_set():
            try:
                with _connect(self._url) as connection:
                    connection.execute(f"LISTEN {CHANNEL}".encode())
                    self._pass_on(connection, wakeups)
            except psycopg.OperationalError:
                # The server is away; waiters have their own one-second backstop until it is back.
                self._stop.wait(RECONNECT_AFTER_S)

    def _pass_on(self, connection: psycopg.Connection, wakeups: Wakeups) -> None:
        while not self._stop.is_set():
            for notice in connection.notifies(timeout=LISTEN_TURN_S):
                wakeups.publish((notice.payload,))
                if self._stop.is_set():
                    return


def _connect(url: str) -> psycopg.Connection:
    connection = psycopg.connect(url, autocommit=True, connect_timeout=10)
    connection.execute(b"SET synchronous_commit = on")
    connection.execute(b"SET lock_timeout = '4s'")
    return connection


def _statement(sql: str, params: Params) -> Statement:
    spelled, names = _spelled(sql)
    return Statement(spelled, [params[name] for name in names])


@lru_cache(maxsize=512)
def _spelled(sql: str) -> tuple[bytes, tuple[str, ...]]:
    """Number our `:name` parameters. The SQL is ours; values only ever travel as parameters."""
    names = tuple(dict.fromkeys(_PARAMETER.findall(sql)))
    numbers = {name: f"${number}" for number, name in enumerate(names, 1)}
    return _PARAMETER.sub(lambda found: numbers[found[1]], sql).encode(), names


@lru_cache(maxsize=64)
def _insertion(table: str, columns: tuple[tuple[str, str], ...]) -> bytes:
    names = ", ".join(name for name, _ in columns)
    arrays = ", ".join(f"${number}::{type_}[]" for number, (_, type_) in enumerate(columns, 1))
    return f"INSERT INTO {table} ({names}) SELECT * FROM unnest({arrays})".encode()  # noqa: S608 - constants


@lru_cache(maxsize=64)
def _taking(table: str, columns: tuple[str, str, str]) -> bytes:
    key, value, amount = columns
    deletion = f"DELETE FROM {table} WHERE {key} = ANY($1::text[]) RETURNING {value} AS value, {amount} AS amount"  # noqa: S608 - constants
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
