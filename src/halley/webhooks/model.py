"""One event on its way to a caller's URL."""

from enum import StrEnum
from typing import NamedTuple

import msgspec

from halley.kernel.ids import TaskId


class DeliveryState(StrEnum):
    """How far a delivery has come."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    """Given up: the schedule is used up, or the receiver said that it is gone."""


class NewDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """An event of a task to be delivered. There is at most one of each event per task."""

    id: str
    """Also the message id that the receiver sees, the same at each attempt. It sorts by time."""
    task_id: TaskId
    account_id: str
    project_id: str
    livemode: bool
    dialect: str
    event: str
    url: str
    secret: bytes | None = None
    """Sealed by who enqueues. None: not signed, or signed with the project's own."""
    body: bytes
    """As it is sent, rendered when the event happened."""
    created_at: int


class Delivery(NewDelivery, frozen=True, kw_only=True):
    """A delivery as it stands. `due_at` is None once it has ended; while leased it is when the lease ends."""

    state: DeliveryState
    attempts: int
    """Those that ended; one that was cut by a crash is not counted."""
    due_at: int | None
    fence: int
    """Names the lease: only its holder can say how the attempt went."""
    last_status: int | None
    last_error: str | None
    delivered_at: int | None


class DeliveryFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which deliveries are listed; None and empty: any. `after`: those older than this one."""

    account_id: str | None = None
    states: tuple[DeliveryState, ...] = ()
    after: str | None = None


class Waiting(NamedTuple):
    """A delivery that is due, and whose it is."""

    id: str
    account_id: str


class Backlog(msgspec.Struct, frozen=True, kw_only=True):
    """What is not delivered yet, for metrics."""

    pending: int
    oldest_created_at: int | None
