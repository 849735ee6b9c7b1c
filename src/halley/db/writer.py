"""The one writer: a thread that runs queued units in one transaction, each in its own savepoint."""

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from halley.db.errors import DatabaseUnavailable, WriterClosed, WriterOverloaded
from halley.db.wakeups import Wakeups
from halley.kernel.failpoints import Failpoints

if TYPE_CHECKING:
    from halley.db.engine import Connection, Driver, Tx

T = TypeVar("T")
BATCH_MAX = 256
"""Units in one commit."""
CLASH_TRIES_MAX = 5
"""How often a unit is run again when another process was in the way."""
QUEUE_MAX = 20_000
"""Units waiting; more means that the disk cannot keep up, and callers are told so."""


class _Job(msgspec.Struct):
    name: str
    unit: "Callable[[Tx], Any]"
    future: "asyncio.Future[Any]"
    result: Any = None
    error: Exception | None = None
    committed: bool = False


class Writer:
    """Runs units of work in order. Its thread owns the connection."""

    def __init__(self, driver: "Driver", wakeups: Wakeups, failpoints: Failpoints) -> None:
        self._connect = driver.writer
        self._unavailable = driver.unavailable
        self._wakeups = wakeups
        self._failpoints = failpoints
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closed = False
        self._begun = False
        self._thread = threading.Thread(target=self._work, name="halley-writer", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Units queued."""
        return self._queue.qsize()

    async def run(self, name: str, unit: "Callable[[Tx], T]") -> T:
        """Queue a unit and wait until it is on disk."""
        if self._closed:
            raise WriterClosed(name)
        if self._queue.qsize() >= QUEUE_MAX:
            raise WriterOverloaded(name)
        job = _Job(name, unit, asyncio.get_running_loop().create_future())
        self._queue.put(job)
        return await job.future

    def close(self) -> None:
        """Finish what is queued and end the thread."""
        self._closed = True
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        connection: Connection | None = None
        while batch := self._next_batch():
            for last in (False, True):
                try:
                    self._begun = False
                    connection = connection or self._connect()
                    self._run_batch(connection, batch)
                    break
                except Exception as error:  # noqa: BLE001 - the edge of the thread: each waiting caller gets the error
                    if connection is not None:
                        connection.close()
                        connection = None
                    if last or self._begun:
                        _fail(batch, error)
                        break
                    # The connection was lost while it was idle: nothing was sent, so a new one may be tried.
            self._answer(batch)
        if connection is not None:
            connection.close()

    def _next_batch(self) -> list[_Job]:
        batch: list[_Job] = []
        job = self._queue.get()
        while job is not None:
            batch.append(job)
            if len(batch) >= BATCH_MAX:
                return batch
            try:
                job = self._queue.get_nowait()
            except queue.Empty:
                return batch
        if batch:
            self._queue.put(None)
        return batch

    def _run_batch(self, connection: "Connection", batch: list[_Job]) -> None:
        if self._attempt(connection, batch):
            return
        for job in batch:
            self._run_alone(connection, job)

    def _run_alone(self, connection: "Connection", job: _Job) -> None:
        for _ in range(CLASH_TRIES_MAX):
            if self._attempt(connection, [job]):
                return

    def _attempt(self, connection: "Connection", batch: list[_Job]) -> bool:
        """Run and commit; False when another process was in the way and nothing was kept."""
        try:
            tx = connection.begin()
            self._begun = True
            for job in batch:
                self._run_unit(connection, tx, job)
            self._pass("before_commit", batch)
            topics = connection.commit()
            self._pass("after_commit", batch)
        except Exception as error:
            connection.rollback()
            if not connection.clashed(error):
                raise
            _fail(batch, error)
            return False
        for job in batch:
            job.committed = True
        self._wakeups.publish(topics)
        return True

    def _run_unit(self, connection: "Connection", tx: "Tx", job: _Job) -> None:
        connection.savepoint()
        job.result = job.error = None
        try:
            job.result = job.unit(tx)
            self._pass("in_unit", [job])
        except Exception as error:
            if connection.clashed(error):
                raise
            connection.undo()
            job.error = error
        else:
            connection.release()

    def _pass(self, place: str, batch: list[_Job]) -> None:
        """Pass a failpoint for each kind of unit in the batch, so that its name does not hang on who came along."""
        if self._failpoints.active:
            for name in sorted({job.name for job in batch}):
                self._failpoints.hit(f"writer.{place}.{name}")

    def _answer(self, batch: list[_Job]) -> None:
        for job in batch:
            if job.error is not None and self._unavailable(job.error):
                unavailable = DatabaseUnavailable(job.name)
                unavailable.__cause__ = job.error
                job.error = unavailable
        if not self._wakeups.loop.is_closed():
            self._wakeups.loop.call_soon_threadsafe(_resolve, batch)


def _fail(batch: list[_Job], error: Exception) -> None:
    for job in batch:
        if not job.committed:
            job.result, job.error = None, error


def _resolve(batch: list[_Job]) -> None:
    for job in batch:
        if job.future.done():
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)
