"""Statements to PostgreSQL over psycopg's layer of libpq: many in one round trip, each prepared once.

psycopg's own cursors do the same and more, at about a tenth of a millisecond a statement, and a call that writes ten of
them waits for all. What is left here is libpq's pipeline mode; values, rows and errors are psycopg's.

Source: PostgreSQL's documentation, "libpq - C Library", "Pipeline Mode".
"""

import select
from collections.abc import Sequence
from typing import Any

import msgspec
import psycopg
from psycopg import abc, errors
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import ExecStatus, Format, TransactionStatus
from psycopg.pq.abc import PGresult
from psycopg.types.numeric import Int8Dumper

from halley.db.engine import Row, Value

PREPARED_MAX = 1_000
"""Statements that the server keeps prepared. Ours are constants of the source, and fewer by far."""
_OUTDATED = (errors.FeatureNotSupported, errors.InvalidSqlStatementName)
"""What a server says to a prepared statement that no longer fits the tables, or that it does not know."""


class Statement(msgspec.Struct, frozen=True):
    """What is to be done; its parameters are `$1` and so on."""

    sql: bytes
    values: Sequence[Value] | None = None
    """None for what only begins, marks or ends: that is not prepared."""


class Result:
    """What the server answered to one statement."""

    __slots__ = ("_reply", "_transformer")

    def __init__(self, reply: PGresult, transformer: abc.Transformer) -> None:
        self._reply = reply
        self._transformer = transformer

    @property
    def count(self) -> int:
        """Rows touched, or given."""
        return self._reply.command_tuples or 0

    def rows(self) -> Sequence[Row]:
        """Give its rows."""
        reply = self._reply
        if not reply.ntuples:
            return ()
        names = [(reply.fname(column) or b"").decode() for column in range(reply.nfields)]
        self._transformer.set_pgresult(reply)
        return self._transformer.load_rows(0, reply.ntuples, lambda values: dict(zip(names, values, strict=True)))


class Link:
    """A connection that is asked nothing but statements. Whatever breaks a conversation closes it."""

    def __init__(self, connection: "psycopg.Connection[Any]") -> None:
        # Every number is as wide as the widest column: else a statement is prepared again for each width.
        connection.adapters.register_dumper(int, Int8Dumper)
        self._connection = connection
        self._pg = connection.pgconn
        self._pg.enter_pipeline_mode()
        self._transformer: abc.Transformer = Transformer(connection)
        self._prepared: dict[tuple[bytes, tuple[int, ...] | None], bytes] = {}
        self._names = 0
        self._poll = select.poll()

    @property
    def lost(self) -> bool:
        """Whether nothing can be asked any more."""
        return self._connection.closed

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, or has failed and waits to be rolled back."""
        return self._pg.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR)

    def ask(self, statements: Sequence[Statement]) -> Sequence[Result]:
        """Have all of them done, in order, and give what was answered to each.

        Raises psycopg's error of the first that failed; nothing behind it was done. `OperationalError` when the
        connection is lost: then it is not known what was done.
        """
        return self.do([self.bind(statement) for statement in statements])

    def bind(self, statement: Statement) -> "Call":
        """Make it ready for `do`. Raises `DataError`, with nothing sent, of a value that cannot be stored."""
        if statement.values is None:
            return Call(statement.sql)
        transformer = self._transformer
        values = transformer.dump_sequence(statement.values, [PyFormat.AUTO] * len(statement.values))
        return Call(statement.sql, transformer.types or (), values, transformer.formats)

    def do(self, calls: "Sequence[Call]") -> Sequence[Result]:
        """Do as `ask`."""
        if len(self._prepared) > PREPARED_MAX:
            self._prepared.clear()
            return self.do((Call(b"DEALLOCATE ALL"), *calls))[1:]
        try:
            for call in calls:
                self._send(call)
            self._pg.pipeline_sync()
            self._flush()
            replies = [self._receive(call) for call in calls]
            self._reply()  # to the synchronisation
        except BaseException:
            self._pg.finish()  # what comes next on it would be the answer to something else
            raise
        for call, reply in zip(calls, replies, strict=True):
            if reply.status == ExecStatus.FATAL_ERROR:
                self._refuse(call, reply)
        return [Result(reply, self._transformer) for reply in replies]

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _send(self, call: "Call") -> None:
        if call.types is None:
            self._pg.send_query_params(call.sql, None)
            return
        name = self._prepared.get(call.key)
        if name is None:
            self._names += 1
            self._prepared[call.key] = name = b"%d" % self._names
            call.is_preparing = True
            self._pg.send_prepare(name, call.sql, call.types)
        self._pg.send_query_prepared(name, call.values, call.formats)

    def _flush(self) -> None:
        while self._pg.flush():
            self._wait(select.POLLIN | select.POLLOUT)
            self._pg.consume_input()  # a server that cannot be rid of its answers does not read on

    def _receive(self, call: "Call") -> PGresult:
        reply = self._reply()
        if not call.is_preparing:
            return reply
        done = self._reply()
        if reply.status == ExecStatus.COMMAND_OK:
            return done
        # It was not prepared, so it was not done either.
        del self._prepared[call.key]
        return reply

    def _reply(self) -> PGresult:
        """Give the next answer; between two statements there is the end of the first."""
        for _ in range(2):
            while self._pg.is_busy():
                self._wait(select.POLLIN)
                self._pg.consume_input()
            if (reply := self._pg.get_result()) is not None:
                return reply
        raise psycopg.OperationalError(self._pg.get_error_message())

    def _wait(self, events: int) -> None:
        self._poll.register(self._pg.socket, events)
        self._poll.poll()

    def _refuse(self, call: "Call", reply: PGresult) -> None:
        error = errors.error_from_result(reply)
        if isinstance(error, _OUTDATED):
            self._prepared.pop(call.key, None)
        raise error


class Call:
    """A statement as libpq takes it."""

    __slots__ = ("formats", "is_preparing", "key", "sql", "types", "values")

    def __init__(
        self,
        sql: bytes,
        types: tuple[int, ...] | None = None,
        values: Sequence[abc.Buffer | None] | None = None,
        formats: Sequence[Format] | None = None,
    ) -> None:
        self.sql = sql
        self.types = types
        self.values = values
        self.formats = formats
        self.key = (sql, types)
        self.is_preparing = False
        """Whether it is prepared in the same round trip."""
