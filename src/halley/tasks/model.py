"""A task's row, read whole."""

from collections.abc import Mapping

import msgspec

from halley.kernel.ids import TaskId
from halley.kernel.money import Nanos
from halley.kernel.order import Failure, Report
from halley.tasks.states import TaskState


class Pinned(msgspec.Struct, frozen=True, kw_only=True):
    """The price that a task was held at."""

    price_set: str
    meters: dict[str, int]
    outputs_max: int | None = None
    """What comes beyond is not charged; None where nobody knows how many were ordered."""


class NewTask(msgspec.Struct, frozen=True, kw_only=True):
    """What a task is born with."""

    id: TaskId
    account_id: str
    project_id: str
    key_id: str
    livemode: bool
    request_id: str
    boot_id: str
    dialect: str
    kind: str
    model: str
    channel_id: str
    vendor: str
    vendor_model: str
    hold_id: str
    held: Nanos
    prices: Pinned
    estimate: dict[str, int]
    body: bytes | None
    """The caller's body when it is small; else `body_object` names it in the object store."""
    body_object: str | None
    webhook: bytes | None
    """Sealed."""
    created_at: int
    deadline_at: int


class Task(NewTask, frozen=True, kw_only=True):
    """A task as it stands in the database; without anything but what it was born with, before a vendor was asked."""

    state: TaskState = TaskState.SUBMITTING
    attempts: int = 1
    vendor_task_id: str | None = None
    poll_url: str | None = None
    cost: Nanos | None = None
    """What the caller paid; None until it has ended."""
    measured: dict[str, int] = {}
    vendor_cost: Nanos | None = None
    report: Report | None = None
    word: str = ""
    progress: float | None = None
    failure: Failure | None = None
    started_at: int | None = None
    ended_at: int | None = None
    due_at: int | None = None
    """When the worker looks next; None once it has ended, or while it is being submitted."""
    polls: int = 0
    fence: int = 0
    """Which lease this reading belongs to: a change names it."""


Version = tuple[str, int, int, int]
"""State, polls, fence, attempts: every change of what a caller may see changes one of them, and none comes back."""


class Seen(msgspec.Struct, frozen=True, gc=False):
    """Whose a task is and which version it is, without reading it."""

    project_id: str
    livemode: bool
    version: Version


class Boot(msgspec.Struct, frozen=True, kw_only=True):
    """This process, as it looks for tasks that nobody works on."""

    id: str
    submitting: frozenset[str]
    """The tasks that its calls are at."""
    before: int
    """Rows of its own that are younger may not be in `submitting` yet, or not any more. µs UTC."""


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """Which due tasks a worker may take."""

    live: bool = True
    """Tasks at real vendors: any process can look at them."""
    simulators: tuple[str, ...] = ()
    """Channel ids of its own simulators: nobody else knows their jobs."""
    room: Mapping[str, int] = {}
    """Channel id → how many more of its tasks may be taken."""
    room_of_others: int = 32
    """The same for a channel that is not in `room`."""


class TaskFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which tasks to list. Times are µs UTC; the cursor is the id of the last task seen."""

    account_id: str | None = None
    project_id: str | None = None
    livemode: bool | None = None
    states: tuple[TaskState, ...] = ()
    model: str | None = None
    dialect: str | None = None
    created_from: int | None = None
    created_before: int | None = None
    after: str | None = None
    """Tasks older than this one."""
    before: str | None = None
    """Tasks newer than this one."""
