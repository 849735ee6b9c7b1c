"""The door to the database. Code in domains takes a `Tx` and knows nothing of threads, drivers or batches.

SQL is written once, with `:name` parameters, in the words that SQLite and PostgreSQL share.
"""

from asyncio import Future
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, Protocol, TypeVar

from halley.db.errors import DatabaseUnavailable
from halley.db.group import Group
from halley.db.wakeups import Wakeups
from halley.db.writer import Writer
from halley.kernel.failpoints import Failpoints

T = TypeVar("T")
Item = TypeVar("Item")
Params = Mapping[str, int | str | bytes | None]
Value = int | str | bytes | None
Values = Sequence[Value]
"""One row, in the order of its columns."""
NO_PARAMS: Params = {}


Taken = Mapping[str, tuple[int, int]]
"""For each value of a column: how many rows have it, and what another column of theirs comes to."""


class Row(Protocol):
    """One row: values by column name."""

    def __getitem__(self, column: str, /) -> Any: ...


class Tx(Protocol):
    """A transaction, or a reader's snapshot. Everything done through it happens wholly or not at all."""

    @property
    def kind(self) -> Literal["sqlite", "postgresql"]: ...

    def all(self, sql: str, params: Params = NO_PARAMS) -> Sequence[Row]:
        """Give all rows."""
        ...

    def one(self, sql: str, params: Params = NO_PARAMS) -> Row | None:
        """Give the first row, if there is one."""
        ...

    def run(self, sql: str, params: Params = NO_PARAMS) -> int:
        """Execute, and give the number of rows touched."""
        ...

    def run_later(self, sql: str, params: Params) -> None:
        """Execute before whatever comes next. An error may be raised only there, or by the end of the unit."""
        ...

    def expect(self, sql: str, params: Params, doubt: Exception) -> None:
        """Execute as `run_later`, and raise `doubt` in the same places unless one row is touched."""
        ...

    def many(self, sql: str, rows: Sequence[Params]) -> int:
        """Execute once for each set of parameters, in their order, and give the number of rows touched by all."""
        ...

    def insert(self, table: str, columns: tuple[str, ...], rows: Sequence[Values]) -> None:
        """Insert many rows by as few statements as can be. A conflict raises the driver's error.

        Names of table and columns are constants of the source, never a caller's words.
        """
        ...

    def take(
        self, table: str, columns: tuple[str, str, str], keys: Sequence[str], expected: "Taken", doubt: Exception
    ) -> None:
        """Delete the rows whose first column is among the keys; raise `doubt`, as `expect`, if they were others."""
        ...

    def wake(self, topic: str) -> None:
        """Wake who waits for this topic, once the transaction is on disk."""
        ...

    @property
    def skip_locked(self) -> str:
        """The clause that lets several workers lease from one table; empty where there is only one."""
        ...


class Driver(Protocol):
    """What SQLite and PostgreSQL each provide."""

    @property
    def kind(self) -> Literal["sqlite", "postgresql"]: ...

    @property
    def readers_max(self) -> int: ...

    def unavailable(self, error: Exception) -> bool:
        """Whether an error says that the database does not answer."""
        ...

    def writer(self) -> "Connection":
        """Open the connection of the writer."""
        ...

    def read(self, query: Callable[[Tx], T]) -> T:
        """Run a query on this thread's own connection."""
        ...

    def listen(self, wakeups: Wakeups) -> None:
        """Begin to pass on what other processes committed."""
        ...

    def close(self) -> None:
        """Close what this driver opened, but for the writer's connection."""
        ...


class Connection(Protocol):
    """A connection as the writer uses it."""

    def begin(self) -> Tx:
        """Open a transaction. It may be opened only with its first statement, but not on a connection known as lost."""
        ...

    def savepoint(self) -> None:
        """Mark where the next unit begins."""
        ...

    def finish(self) -> None:
        """Raise what statements raise whose result nobody has asked for yet."""
        ...

    def release(self) -> None:
        """Keep what the unit did."""
        ...

    def undo(self) -> bool:
        """Take back what the unit did, and nothing before it; False where the whole transaction was lost with it."""
        ...

    def commit(self) -> frozenset[str]:
        """Put all on disk, what `finish` found nothing wrong with; give the topics to wake."""
        ...

    def rollback(self) -> None:
        """Drop the transaction; the connection may be broken."""
        ...

    def clashed(self, error: Exception) -> bool:
        """Whether the error says that another writer was in the way and a repeat may succeed."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


class Database:
    """Writes through one thread that commits many units at once; reads on threads of their own."""

    def __init__(self, driver: Driver, wakeups: Wakeups, failpoints: Failpoints | None = None) -> None:
        self.kind = driver.kind
        self.wakeups = wakeups
        self._driver = driver
        self._writer = Writer(driver, wakeups, failpoints or Failpoints())
        self._readers = ThreadPoolExecutor(driver.readers_max, thread_name_prefix="halley-reader")
        self._reading = 0
        driver.listen(wakeups)

    async def write(self, name: str, unit: Callable[[Tx], T]) -> T:
        """Run a unit of work and give its result once it is on disk.

        What the unit raises reaches the caller, and nothing of that unit is kept; its neighbours are not touched.
        `name` is what failpoints and metrics call it.
        """
        return await self._writer.run(name, unit)

    def write_together(self, group: Group[Item, T], item: Item) -> Future[T]:
        """Let the group do the work of one item, together with whatever other items of it wait for the same commit.

        The same is promised as by `write`, to each item: its own result once it is on disk, or its own error. A task
        that is cancelled meanwhile is told only then, and the future that it waited for says what became of it.
        Steps of one commit run in the order in which they came, a group at the place of its first item.
        """
        return self._writer.run_together(group, item)

    def write_later(
        self, group: Group[Item, T], item: Item, told: Callable[[Sequence[Item], Exception | None], object]
    ) -> None:
        """Have work done that nobody waits for: it need not have a commit of its own.

        It goes with the next commit, before all else in it, or after `LINGER_S`, or when many have gathered. It must
        not depend on a write that is not on disk yet. `read` sees it. `told`, which must not raise, is called on the
        loop with items that one commit has written, or with those that it could not write and the error that they had.
        """
        self._writer.run_later(group, item, told)

    async def read(self, query: Callable[[Tx], T]) -> T:
        """Run a query that changes nothing, on one snapshot, that has all that was to be written later before."""
        self._reading += 1
        try:
            if self._writer.is_behind:
                await self._writer.settle_later()
            return await self.wakeups.loop.run_in_executor(self._readers, self._driver.read, query)
        except Exception as error:
            if self._driver.unavailable(error):
                raise DatabaseUnavailable from error
            raise
        finally:
            self._reading -= 1

    @property
    def waiting(self) -> int:
        """Units queued; those that are being written are none of them."""
        return self._writer.waiting

    @property
    def at_work(self) -> bool:
        """Whether anything is being read or written, or waits for it."""
        return self._reading > 0 or self._writer.at_work

    @property
    def lingering(self) -> int:
        """How many of these nobody waits for, and may wait themselves."""
        return self._writer.lingering

    def close(self) -> None:
        """Commit what is queued, then close all connections."""
        self._writer.close()
        self._readers.shutdown()
        self._driver.close()


def open_database(url: str, wakeups: Wakeups, failpoints: Failpoints | None = None) -> Database:
    """Open `sqlite:///path` or `postgresql://…`. The schema must be there: see `halley.db.migrate`."""
    if url.startswith("sqlite:///"):
        from halley.db.sqlite import SqliteDriver

        return Database(SqliteDriver(url.removeprefix("sqlite:///")), wakeups, failpoints)
    if url.startswith(("postgresql://", "postgres://")):
        from halley.db.postgresql import PostgresDriver

        return Database(PostgresDriver(url), wakeups, failpoints)
    message = "The database URL must begin with `sqlite:///` or `postgresql://`"
    raise ValueError(message)
