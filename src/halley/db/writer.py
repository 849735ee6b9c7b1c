"""The one writer: a thread that runs what is queued in one transaction, so that many callers share one commit.

Units run one after another, each in a savepoint of its own. Items of a `Group` run together, in one savepoint; should
that fail, each of them alone.

The steps of a batch run in the order in which they came, a group at the place of its first item: so an item may pass
units that were queued before it. Nobody can tell: whoever depends on a write waits for its commit before asking for the
next one, and then the two are in different batches. What is in one batch was asked for at the same time.
"""

import asyncio
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from halley.db.errors import DatabaseUnavailable, WriterClosed, WriterOverloaded
from halley.db.group import Group
from halley.db.wakeups import Wakeups
from halley.kernel.failpoints import Failpoints

if TYPE_CHECKING:
    from halley.db.engine import Connection, Driver, Tx

T = TypeVar("T")
Item = TypeVar("Item")
BATCH_MAX = 256
"""Units in one commit."""
CLASH_TRIES_MAX = 5
"""How often a unit is run again when another process was in the way."""
QUEUE_MAX = 20_000
"""Units waiting; more means that the disk cannot keep up, and callers are told so."""


class _Job(msgspec.Struct):
    name: str
    group: "Group[Any, Any] | None"
    work: Any
    """A unit, or an item of the group."""
    future: "asyncio.Future[Any]"
    result: Any = None
    error: Exception | None = None
    committed: bool = False


class _Certain(asyncio.Future[Any]):
    """Of a write that goes on whoever leaves: to cancel a task that waits for it takes effect once it is done.

    A task that is cancelled cancels what it waits for; where that declines, it is told at its next step instead. So
    what `asyncio.shield` does with a second future and two callbacks is done with none.
    """

    def cancel(self, msg: Any = None) -> bool:  # noqa: ARG002 - as the future has it
        """Decline."""
        return False


_Step = list[_Job]
"""One unit, or all items of one group."""


class Writer:
    """Runs units of work in order. Its thread owns the connection."""

    def __init__(self, driver: "Driver", wakeups: Wakeups, failpoints: Failpoints) -> None:
        self._connect = driver.writer
        self._unavailable = driver.unavailable
        self._wakeups = wakeups
        self._loop = wakeups.loop
        self._failpoints = failpoints
        self._jobs: deque[_Job] = deque()
        self._calls: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._calling = False
        self._asleep = False
        self._closed = False
        self._committing = False
        self._thread = threading.Thread(target=self._work, name="halley-writer", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Units queued."""
        return len(self._jobs)

    def run(self, name: str, unit: "Callable[[Tx], T]") -> "asyncio.Future[T]":
        """Queue a unit; what is given is done once it is on disk."""
        return self._queue(_Job(name, None, unit, self._loop.create_future()))

    def run_together(self, group: Group[Item, T], item: Item) -> "asyncio.Future[T]":
        """Queue an item of a group; the same, and who waits leaves only once it is known what became of it."""
        return self._queue(_Job(group.name, group, item, _Certain(loop=self._loop)))

    def close(self) -> None:
        """Finish what is queued and end the thread."""
        self._closed = True
        self._calls.put(None)
        self._thread.join()

    def _queue(self, job: _Job) -> "asyncio.Future[Any]":
        if self._closed:
            raise WriterClosed(job.name)
        if len(self._jobs) >= QUEUE_MAX:
            raise WriterOverloaded(job.name)
        self._jobs.append(job)
        if not self._calling:
            # The thread is called once the loop has done all that is due now: so one call is for many jobs.
            self._calling = True
            self._loop.call_soon(self._call)
        return job.future

    def _call(self) -> None:
        self._calling = False
        if self._asleep:
            self._asleep = False
            self._calls.put(None)

    # --- in the thread ---

    def _work(self) -> None:
        connection: Connection | None = None
        while batch := self._next_batch():
            for last in (False, True):
                try:
                    self._committing = False
                    connection = connection or self._connect()
                    self._run_batch(connection, batch)
                    break
                except Exception as error:  # noqa: BLE001 - the edge of the thread: each waiting caller gets the error
                    if connection is not None:
                        connection.close()
                        connection = None
                    if last or self._committing:
                        _fail(batch, error)
                        break
                    # The connection was lost, and nothing can have been kept: a new one may be tried.
            self._answer(batch)
        if connection is not None:
            connection.close()

    def _next_batch(self) -> list[_Job]:
        """Wait for work; nothing when all is done and the writer is closed."""
        while not self._jobs:
            if self._closed:
                return []
            self._asleep = True
            if not self._jobs and not self._closed:  # looked at again, for who came before this did not call
                self._calls.get()
            self._asleep = False
        return [self._jobs.popleft() for _ in range(min(len(self._jobs), BATCH_MAX))]

    def _run_batch(self, connection: "Connection", batch: list[_Job]) -> None:
        steps = _steps(batch)
        if self._attempt(connection, steps):
            return
        for step in steps:
            if len(step) > 1 and self._attempt(connection, [step]):
                continue
            for job in step:
                self._run_alone(connection, job)

    def _run_alone(self, connection: "Connection", job: _Job) -> None:
        for _ in range(CLASH_TRIES_MAX):
            if self._attempt(connection, [[job]]):
                return

    def _attempt(self, connection: "Connection", steps: list[_Step]) -> bool:
        """Run and commit; False when another process was in the way and nothing was kept."""
        try:
            tx = connection.begin()
            if len(steps) == 1:
                self._run_only_step(connection, tx, steps[0])
            else:
                self._run_steps(connection, tx, steps)
            self._pass("before_commit", steps)
            self._committing = True
            topics = connection.commit()
            self._pass("after_commit", steps)
        except Exception as error:
            connection.rollback()
            if not connection.clashed(error):
                raise
            _fail((job for step in steps for job in step), error)
            return False
        for step in steps:
            for job in step:
                job.committed = True
        self._wakeups.publish(topics)
        return True

    def _run_only_step(self, connection: "Connection", tx: "Tx", step: _Step) -> None:
        """Run what is alone in its transaction: this itself is what is undone, there needs to be no savepoint."""
        try:
            self._do(connection, tx, step)
        except Exception as error:
            if connection.clashed(error):
                raise
            connection.rollback()
            tx = connection.begin()
            if len(step) > 1:
                self._run_steps(connection, tx, [[job] for job in step])
            else:
                _fail(step, error)

    def _run_steps(self, connection: "Connection", tx: "Tx", steps: Iterable[_Step]) -> None:
        """Run steps, each in its savepoint: one that fails undoes nothing of the others."""
        for step in steps:
            connection.savepoint()
            try:
                self._do(connection, tx, step)
            except Exception as error:
                if connection.clashed(error):
                    raise
                connection.undo()
                if len(step) > 1:
                    self._run_steps(connection, tx, [[job] for job in step])
                else:
                    _fail(step, error)
            else:
                connection.release()

    def _do(self, connection: "Connection", tx: "Tx", step: _Step) -> None:
        group = step[0].group
        if group is None:
            results = (step[0].work(tx),)
        else:
            results = group.run(tx, [job.work for job in step])
            assert len(results) == len(step), f"`{group.name}` owes each item a result"
        connection.finish()
        for job, result in zip(step, results, strict=True):
            job.result, job.error = result, None
        if self._failpoints.active:
            for job in step:
                self._failpoints.hit(f"writer.in_unit.{job.name}")

    def _pass(self, place: str, steps: list[_Step]) -> None:
        """Pass a failpoint for each kind of unit in the batch, so that its name does not hang on who came along."""
        if self._failpoints.active:
            for name in sorted({step[0].name for step in steps}):
                self._failpoints.hit(f"writer.{place}.{name}")

    def _answer(self, batch: list[_Job]) -> None:
        for job in batch:
            if job.error is not None and self._unavailable(job.error):
                unavailable = DatabaseUnavailable(job.name)
                unavailable.__cause__ = job.error
                job.error = unavailable
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(_resolve, batch)


def _steps(batch: list[_Job]) -> list[_Step]:
    """Put the items of each group together, at the place of the first of them."""
    steps: list[_Step] = []
    of_groups: dict[int, _Step] = {}
    for job in batch:
        step = of_groups.get(id(job.group)) if job.group is not None else None
        if step is not None:
            step.append(job)
            continue
        steps.append([job])
        if job.group is not None:
            of_groups[id(job.group)] = steps[-1]
    return steps


def _fail(jobs: Iterable[_Job], error: Exception) -> None:
    for job in jobs:
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
