"""Task rows without a gateway."""

from typing import Any

from halley.db import Database, Tx
from halley.kernel.ids import Ids, TaskId
from halley.kernel.money import Nanos
from halley.kernel.order import Report, ReportState
from halley.tasks import Due, NewTask, Task, TaskState, together
from halley.tasks import store as tasks
from halley.tasks.model import Pinned
from halley.testing.clock import FakeClock

SECOND = 1_000_000


ALL = Due(simulators=("ch_one", "ch_two"))
"""What a worker takes whose simulators are these."""


class Rows:
    """Makes tasks in a state, and looks at them."""

    def __init__(self, db: Database, ids: Ids, clock: FakeClock) -> None:
        self.db = db
        self.ids = ids
        self.clock = clock

    def new(self, **changed: Any) -> NewTask:
        """A task as `reserve` writes it."""
        identity, now = TaskId(self.ids.new()), self.clock.now()
        values: dict[str, Any] = {
            "id": identity,
            "account_id": "acct_one",
            "project_id": "proj_one",
            "key_id": "key_one",
            "livemode": False,
            "request_id": "req_one",
            "boot_id": "boot_one",
            "dialect": "flux",
            "kind": "image",
            "model": "flux-dev",
            "channel_id": "ch_one",
            "vendor": "bfl",
            "vendor_model": "flux-dev",
            "hold_id": f"hold_{identity}",
            "held": Nanos(25),
            "prices": Pinned(price_set="price_one", meters={"image": 25}),
            "estimate": {"image": 1},
            "body": b'{"prompt":"a"}',
            "body_object": None,
            "webhook": None,
            "created_at": now,
            "deadline_at": now + 600 * SECOND,
        }
        return NewTask(**values | changed)

    async def submitting(self, **changed: Any) -> Task:
        """One being submitted."""
        new = self.new(**changed)

        def unit(tx: Tx) -> Task:
            tasks.insert_task(tx, new)
            return _found(tx, new.id)

        return await self.db.write("insert", unit)

    async def running(self, due_s: float = 0.0, **changed: Any) -> Task:
        """One that a vendor has, due after that many seconds."""
        task = await self.submitting(**changed)
        due_at = self.clock.now() + int(due_s * SECOND)
        return await self.move(task, TaskState.RUNNING, vendor_task_id=f"theirs-{task.id}", due_at=due_at)

    async def move(self, task: Task, to: TaskState, **columns: Any) -> Task:
        """Move one that is where we saw it."""
        assert await self.try_move(task, to, **columns)
        return await self.now(task)

    async def try_move(self, task: Task, to: TaskState, **columns: Any) -> bool:
        return await self.db.write("move", lambda tx: tasks.move(tx, task, to, **columns))

    async def lease(self, limit: int = 10, lease_s: int = 120, which: Due = ALL) -> list[Task]:
        now = self.clock.now()
        return await self.db.write(
            "lease", lambda tx: tasks.lease_due(tx, which, now=now, lease_us=lease_s * SECOND, limit=limit)
        )

    async def look_again(self, task: Task, due_at: int, word: str = "") -> bool:
        """Put a leased task off; with a word, a report that says it."""
        report = Report(state=ReportState.RUNNING, word=word) if word else None
        looked = together.looked(task, report, due_at)
        [noted] = await self.db.write("again", lambda tx: together.look_again(tx, [looked]))
        return noted

    async def now(self, task: Task) -> Task:
        """The row as it stands."""
        return await self.db.read(lambda tx: _found(tx, task.id))

    async def next_due(self) -> int | None:
        return await self.db.read(lambda tx: tasks.next_due(tx, ALL, self.clock.now()))


def _found(tx: Tx, task_id: str) -> Task:
    found = tasks.find_task(tx, task_id)
    assert found is not None
    return found
