"""The states of a task and the moves between them. Pure."""

from collections.abc import Mapping
from enum import StrEnum


class TaskState(StrEnum):
    """Where a task stands."""

    SUBMITTING = "submitting"
    """The row and the hold are on disk; the vendor may or may not have been called."""
    RUNNING = "running"
    """The vendor took it and gave it an id."""
    UNKNOWN = "unknown"
    """The vendor may have taken it, or stopped saying what became of it. Never sent again."""
    SUCCEEDED = "succeeded"
    """Its outputs are in our store and its price is posted."""
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN = (TaskState.SUBMITTING, TaskState.RUNNING, TaskState.UNKNOWN)

MOVES: Mapping[TaskState, frozenset[TaskState]] = {
    TaskState.SUBMITTING: frozenset({TaskState.RUNNING, TaskState.UNKNOWN, TaskState.FAILED}),
    TaskState.RUNNING: frozenset({TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED, TaskState.UNKNOWN}),
    TaskState.UNKNOWN: frozenset({TaskState.RUNNING, TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED}),
    TaskState.SUCCEEDED: frozenset(),
    TaskState.FAILED: frozenset(),
    TaskState.CANCELLED: frozenset(),
}


def may_move(seen: TaskState, to: TaskState) -> bool:
    """Whether the table allows it."""
    return to in MOVES[seen]


def ended(state: TaskState) -> bool:
    """Whether nothing more can happen."""
    return not MOVES[state]
