"""The one writer: a thread that runs what is queued in one transaction, so that many callers share one commit.

Units run one after another, each in a savepoint of its own. Items of a `Group` run together, in one savepoint; should
that fail, each of them alone. Where there are but groups, as with calls that are answered at once, savepoints are left
out until something fails: then all is undone and done again with them. (A unit of its own is not run twice for that.)
Of steps of one item each, what a statement is expected to do may be looked at only when all of them are sent.

The steps of a batch run in the order in which they came, a group at the place of its first item: so an item may pass
units that were queued before it. Nobody can tell: whoever depends on a write waits for its commit before asking for the
next one, and then the two are in different batches. What is in one batch was asked for at the same time.

What lingers, since nobody waits for it, is written with the next commit, and there before all else. It may pass
whatever it likes: who lets a write linger has nothing open that this write depends on (a call's hold was on disk before
its end is written). The other way round it matters: a hold that was asked for after another's end must find what that
gave back, though holds that came before both may be in the same batch, and a group runs at the place of its first item.
"""

import asyncio
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from halley.db.errors import DatabaseUnavailable, WriterClosed, WriterOverloaded
from halley.db.group import Group
from halley.db.wakeups import Wakeups
from halley.kernel.background import stand_back
from halley.kernel.failpoints import Failpoints

if TYPE_CHECKING:
    from halley.db.engine import Connection, Driver, Tx

T = TypeVar("T")
Item = TypeVar("Item")
Told = Callable[[Sequence[Any], Exception | None], object]
"""Is told on the loop which items were written by one commit, or which could not be, and why not."""
BATCH_MAX = 256
"""Units in one commit."""
CLASH_TRIES_MAX = 5
"""How often a unit is run again when another process was in the way."""
READ_WAITS_S_MAX = 1.0
"""For what lingers to be written."""
QUEUE_MAX = 20_000
"""Units waiting; more means that the disk cannot keep up, and callers are told so."""
LINGER_S = 0.005
"""How long a write that nobody waits for may wait for another commit to go with, before it gets one of its own."""
TIMER_STEP_S = 0.001
"""The event loop's timers ring at whole milliseconds."""
LINGERING_MANY = 64
"""So many that linger are worth a commit."""
RESUMED_AT_ONCE = 16
"""Callers that go on in one turn of the loop: what a commit of many has set free would keep all else waiting, such as
the pieces of streams, for several milliseconds."""


class _Job(msgspec.Struct):
    name: str
    group: "Group[Any, Any] | None"
    work: Any
    """A unit, or an item of the group."""
    future: "asyncio.Future[Any] | None"
    """Of who waits for it."""
    told: "Told | None" = None
    """Of what lingers, for which nobody waits."""
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


_news = attrgetter("told", "error")
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
        self._later: deque[_Job] = deque()
        self._later_since = 0.0
        """On the loop's clock, when the oldest of these came."""
        self._later_due = False
        """They are to be written now, even if nothing else is."""
        self._later_timed = False
        self._later_asked = 0
        self._later_told = 0
        """How many were let linger, and of how many of them, in the same order, it is known what became."""
        self._lingered = 0
        """So many of the batch, the first of it, are what lingered."""
        self._reading: deque[tuple[int, asyncio.Future[None]]] = deque()
        """Who waits until that is known of so many."""
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
        return len(self._jobs) + len(self._later)

    @property
    def lingering(self) -> int:
        """Those of them that go with the next commit."""
        return len(self._later)

    @property
    def at_work(self) -> bool:
        """Whether anything is being written, or is queued."""
        return self.waiting > 0 or (not self._asleep and self._thread.is_alive())

    def run(self, name: str, unit: "Callable[[Tx], T]") -> "asyncio.Future[T]":
        """Queue a unit; what is given is done once it is on disk."""
        return self._queue(_Job(name, None, unit, future := self._loop.create_future()), future)

    def run_together(self, group: Group[Item, T], item: Item) -> "asyncio.Future[T]":
        """Queue an item of a group; the same, and who waits leaves only once it is known what became of it."""
        return self._queue(_Job(group.name, group, item, future := _Certain(loop=self._loop)), future)

    def run_later(
        self, group: Group[Item, T], item: Item, told: "Callable[[Sequence[Item], Exception | None], object]"
    ) -> None:
        """Queue an item of a group that nobody waits for: it goes with the next commit, or soon has its own."""
        if self._closed or len(self._jobs) + len(self._later) >= QUEUE_MAX:
            raise self._refusal(group.name)
        if not self._later:
            self._later_since = self._loop.time()
        self._later_asked += 1
        self._later.append(_Job(group.name, group, item, None, told))
        if len(self._later) >= LINGERING_MANY:
            self._write_later_now()
        elif not self._later_timed:
            self._later_timed = True
            self._loop.call_later(LINGER_S, self._end_lingering)

    @property
    def is_behind(self) -> bool:
        """Whether it is not yet known of all that lingers what becomes of it."""
        return self._later_told != self._later_asked

    async def settle_later(self) -> None:
        """Return once all that lingers now is on disk, or could not be written: then its own callers are told why.

        Also when it takes too long: a writer that is held up must not hold up those who only read.
        """
        self._write_later_now()
        known: asyncio.Future[None] = self._loop.create_future()
        self._reading.append((self._later_asked, known))
        await asyncio.wait((known,), timeout=READ_WAITS_S_MAX)

    def close(self) -> None:
        """Finish what is queued and end the thread."""
        self._closed = True
        self._calls.put(None)
        self._thread.join()

    def _queue(self, job: _Job, future: "asyncio.Future[Any]") -> "asyncio.Future[Any]":
        if self._closed or len(self._jobs) + len(self._later) >= QUEUE_MAX:
            raise self._refusal(job.name)
        self._jobs.append(job)
        if not self._calling:
            # The thread is called once the loop has done all that is due now: so one call is for many jobs.
            self._calling = True
            self._loop.call_soon(self._call)
        return future

    def _refusal(self, name: str) -> Exception:
        return WriterClosed(name) if self._closed else WriterOverloaded(name)

    def _end_lingering(self) -> None:
        """Write what has lingered long enough. One timer serves whatever comes until it rings."""
        self._later_timed = False
        if not self._later:
            return
        rest_s = self._later_since + LINGER_S - self._loop.time()
        if rest_s >= TIMER_STEP_S:
            self._later_timed = True
            self._loop.call_later(rest_s, self._end_lingering)
        else:
            self._write_later_now()

    def _write_later_now(self) -> None:
        self._later_due = True
        self._call()

    def _call(self) -> None:
        self._calling = False
        if self._asleep:
            self._asleep = False
            self._calls.put(None)

    # --- in the thread ---

    def _work(self) -> None:
        stand_back()
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
            del batch  # nobody is kept alive by a thread that waits
        if connection is not None:
            connection.close()

    def _next_batch(self) -> list[_Job]:
        """Wait for work; nothing when all is done and the writer is closed."""
        while not self._is_work():
            if self._closed:
                return []
            self._asleep = True
            if not self._is_work() and not self._closed:  # looked at again, for who came before this did not call
                self._calls.get()
            self._asleep = False
        waited_for = len(self._jobs)  # before what lingers: then all that was asked for before these goes before them
        self._later_due = False
        batch = _take(self._later, BATCH_MAX)
        self._lingered = len(batch)
        if len(batch) == BATCH_MAX:
            self._later_due = True
        return batch + _take(self._jobs, min(waited_for, BATCH_MAX - len(batch)))

    def _is_work(self) -> bool:
        return bool(self._jobs or (self._later and (self._later_due or self._closed)))

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
            if len(steps) == 1 or None not in [step[0].group for step in steps]:
                self._run_plainly(connection, tx, steps)
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

    def _run_plainly(self, connection: "Connection", tx: "Tx", steps: list[_Step]) -> None:
        """Run steps without savepoints: should one fail, the whole transaction is what is undone."""
        step = steps[0]
        try:
            for step in steps:
                self._do(tx, step)
                if len(step) > 1:
                    connection.finish()  # now, so that what fails is known to be among these
            connection.finish()
        except Exception as error:
            if connection.clashed(error):
                raise
            connection.rollback()
            tx = connection.begin()
            if len(steps) == len(step) == 1 and not _may_be_done_alone(step):
                _fail(step, error)
            else:
                self._run_steps(connection, tx, _without(steps, step))

    def _run_steps(self, connection: "Connection", tx: "Tx", steps: Iterable[_Step]) -> None:
        """Run steps, each in its savepoint: one that fails undoes nothing of the others."""
        for step in steps:
            connection.savepoint()
            try:
                self._do(tx, step, surely=True)
                connection.finish()
            except Exception as error:
                if connection.clashed(error) or not connection.undo():
                    raise
                if len(step) > 1:
                    self._run_steps(connection, tx, [[job] for job in step])
                else:
                    _fail(step, error)
            else:
                connection.release()

    def _do(self, tx: "Tx", step: _Step, *, surely: bool = False) -> None:
        """Run a step; `surely`: nobody undoes it to try another way."""
        group = step[0].group
        if group is None:
            results = (step[0].work(tx),)
        elif surely and group.alone is not None and len(step) == 1:
            results = (group.alone(tx, step[0].work),)
        else:
            results = group.run(tx, [job.work for job in step])
            assert len(results) == len(step), f"`{group.name}` owes each item a result"
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
            lingered = self._lingered
            self._loop.call_soon_threadsafe(self._go_on, batch[lingered:] if lingered else batch, batch[:lingered])

    # --- on the loop again ---

    def _go_on(self, waited_for: list[_Job], lingered: list[_Job]) -> None:
        self._resume(waited_for)
        if not lingered:
            return
        for (told, error), jobs in groupby(lingered, _news):
            told([job.work for job in jobs], error)
        self._later_told += len(lingered)
        while self._reading and self._reading[0][0] <= self._later_told:
            _, known = self._reading.popleft()
            known.set_result(None)

    def _resume(self, jobs: list[_Job]) -> None:
        for job in jobs[:RESUMED_AT_ONCE]:
            future = job.future
            assert future is not None, "what lingers has none"
            if future.done():
                continue
            if job.error is not None:
                future.set_exception(job.error)
            else:
                future.set_result(job.result)
        if len(jobs) > RESUMED_AT_ONCE:
            self._loop.call_soon(self._resume, jobs[RESUMED_AT_ONCE:])


def _take(jobs: deque[_Job], count: int) -> list[_Job]:
    return [jobs.popleft() for _ in range(min(len(jobs), count))]


def _steps(batch: list[_Job]) -> list[_Step]:
    """Put the items of each group together, at the place of the first of them."""
    steps: list[_Step] = []
    of_groups: dict[Group[Any, Any], _Step] = {}
    for job in batch:
        group = job.group
        if group in of_groups:
            of_groups[group].append(job)
            continue
        step = [job]
        steps.append(step)
        if group is not None:
            of_groups[group] = step
    return steps


def _without(steps: list[_Step], failed: _Step) -> list[_Step]:
    """Put each item of a step that failed in a step of its own."""
    return [part for step in steps for part in ([[job] for job in step] if step is failed else [step])]


def _may_be_done_alone(step: _Step) -> bool:
    group = step[0].group
    return group is not None and group.alone is not None


def _fail(jobs: Iterable[_Job], error: Exception) -> None:
    for job in jobs:
        if not job.committed:
            job.result, job.error = None, error
