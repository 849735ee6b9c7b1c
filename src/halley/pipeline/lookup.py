"""Reads tasks for those who ask: who asks while a read runs shares the next, and what is as before is not made anew.

Every answer is as new as the database: it is asked for each, after the request came, on any number of processes. Kept
are only answers whose row says that it is the one they were made of.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Protocol

import msgspec

from halley.assets import Asset
from halley.assets import store as assets
from halley.db import Database, Tx
from halley.kernel.ids import TaskId
from halley.tasks import Seen, Task, TaskState, Version
from halley.tasks import store as tasks

BATCH_MAX = 256
GATHER_TURNS = 3
"""So many turns of the loop a read waits where many ask at once: for what has come meanwhile to be taken apart and to
ask as well. A read costs the same for one as for ten; who asks alone waits for nobody."""
KEPT_BYTES_MAX = 16 * 1024 * 1024
KEPT_EACH_BYTES_MAX = 16 * 1024
"""An answer above this is made anew each time: few are, and each would push out many."""
_ENTRY_BYTES = 1_024
"""What keeping one costs beside its body."""
_WORLDS_MAX = 4


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks for which task."""

    task_id: TaskId
    project_id: str
    livemode: bool
    known: Version | None = None
    """What the asker has of it already."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What was found. Without a task: it is still what the asker has."""

    version: Version
    task: Task | None = None
    assets: tuple[Asset, ...] = ()


class Written(Protocol):
    """An answer as it was written out, whole."""

    @property
    def body(self) -> bytes: ...


class _Kept(msgspec.Struct, frozen=True):
    version: Version
    shape: tuple[object, ...]
    answer: Any
    size: int


class Lookup:
    """The reads of one process, and the answers that it gave last."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._pending: list[tuple[Asked, asyncio.Future[Found | None]]] = []
        self._reading: asyncio.Future[None] | None = None
        self._crowded = False
        """Whether several asked at once the last time."""
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._kept_bytes = 0

    def find(self, asked: Asked) -> asyncio.Future[Found | None]:
        """Read a task; what comes is None when there is none, or it is somebody else's."""
        future: asyncio.Future[Found | None] = asyncio.get_running_loop().create_future()
        self._pending.append((asked, future))
        if self._reading is None:
            self._reading = asyncio.ensure_future(self._read())  # noqa: TID251 - ends with the last of those who wait
        return future

    def kept(self, task_id: str, shape: tuple[object, ...]) -> tuple[Version, Any] | None:
        """Give the last answer for a task and what it was made of, if it was of this shape."""
        kept = self._kept.get(task_id)
        return (kept.version, kept.answer) if kept is not None and kept.shape == shape else None

    def keep(self, task_id: str, version: Version, shape: tuple[object, ...], answer: Written) -> None:
        """Keep an answer in place of the one before; the oldest make room."""
        size = len(answer.body) + _ENTRY_BYTES
        self._drop(task_id)
        if len(answer.body) <= KEPT_EACH_BYTES_MAX:
            self._kept[task_id] = _Kept(version, shape, answer, size)
            self._kept_bytes += size
        while self._kept_bytes > KEPT_BYTES_MAX:
            self._drop(next(iter(self._kept)))

    def _drop(self, task_id: str) -> None:
        kept = self._kept.pop(task_id, None)
        self._kept_bytes -= kept.size if kept is not None else 0

    async def _read(self) -> None:
        batch: list[tuple[Asked, asyncio.Future[Found | None]]] = []
        try:
            while self._pending:
                for _ in range(GATHER_TURNS if self._crowded else 0):
                    await asyncio.sleep(0)
                batch, self._pending = self._pending[:BATCH_MAX], self._pending[BATCH_MAX:]
                self._crowded = len(batch) > 1
                await self._read_batch(batch)
        finally:
            self._reading = None
            for _, future in (*batch, *self._pending):
                # Only where the loop is being closed is anybody left.
                future.cancel()

    async def _read_batch(self, batch: Sequence[tuple[Asked, asyncio.Future[Found | None]]]) -> None:
        wanted = [asked for asked, _ in batch]
        try:
            found = await self._db.read(lambda tx: _look(tx, wanted))
        except Exception as error:  # noqa: BLE001 - each of those who wait gets it
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), each in zip(batch, found, strict=True):
            if not future.done():
                future.set_result(each)


@lru_cache(_WORLDS_MAX)
def lookup_of(db: Database) -> Lookup:
    """Give the one lookup of a database."""
    return Lookup(db)


def _look(tx: Tx, wanted: Sequence[Asked]) -> list[Found | None]:
    """One query for what everything is now, and one for what somebody does not know yet, on one snapshot."""
    seen = tasks.see(tx, list({asked.task_id for asked in wanted}))
    theirs = [_theirs(asked, seen.get(asked.task_id)) for asked in wanted]
    new = {asked.task_id for asked, now in zip(wanted, theirs, strict=True) if now and now.version != asked.known}
    if not new:
        return [now and Found(version=now.version) for now in theirs]
    read = tasks.find_tasks(tx, list(new))
    made = assets.assets_of(tx, [task.id for task in read.values() if task.state == TaskState.SUCCEEDED])
    return [now and _found(asked, now, read, made) for asked, now in zip(wanted, theirs, strict=True)]


def _theirs(asked: Asked, seen: Seen | None) -> Seen | None:
    if seen is None or seen.project_id != asked.project_id or seen.livemode is not asked.livemode:
        return None
    return seen


def _found(asked: Asked, seen: Seen, read: dict[TaskId, Task], made: dict[str, tuple[Asset, ...]]) -> Found:
    if seen.version == asked.known:
        return Found(version=seen.version)
    return Found(version=seen.version, task=read[asked.task_id], assets=made.get(asked.task_id, ()))
