"""Our own shape of a task, at `/v1/tasks`. It changes by addition only; money is text, times are RFC 3339."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from halley.kernel.clock import rfc3339
from halley.kernel.faults import BadRequest
from halley.kernel.money import dollars
from halley.tasks import TaskState
from halley.vendors.contract import Page, TaskView, ViewState

State = Literal["starting", "running", "succeeded", "failed", "cancelled"]

_OPEN = (TaskState.SUBMITTING, TaskState.RUNNING, TaskState.UNKNOWN)
_STORED: Mapping[str, tuple[TaskState, ...]] = {
    # Whether a task that has not ended was heard of is not in a column, so both words select all of them.
    "starting": _OPEN,
    "running": _OPEN,
    "succeeded": (TaskState.SUCCEEDED,),
    "failed": (TaskState.FAILED,),
    "cancelled": (TaskState.CANCELLED,),
}


class TaskOutput(msgspec.Struct, frozen=True, kw_only=True):
    """A file that a task made."""

    url: str
    """A signed link; fetching the task again renews it."""
    content_type: str
    bytes: int
    width: int | None
    height: int | None


class TaskFailure(msgspec.Struct, frozen=True, kw_only=True):
    """Why a task failed."""

    code: str
    message: str


class TaskJson(msgspec.Struct, frozen=True, kw_only=True):
    """A task, whichever format it was ordered in."""

    id: str
    object: Literal["task"] = "task"
    state: State
    kind: str
    model: str
    dialect: str
    """The format that it was ordered in."""
    livemode: bool
    progress: float | None
    """0 to 1, where the vendor tells."""
    cost: str | None
    """US dollars; null until it is known."""
    created_at: str
    started_at: str | None
    ended_at: str | None
    outputs: list[TaskOutput]
    outputs_expired: bool
    """Whether its files were deleted because their retention is over."""
    failure: TaskFailure | None


class TaskPageJson(msgspec.Struct, frozen=True, kw_only=True):
    """One page of tasks, newest first."""

    object: Literal["list"] = "list"
    data: list[TaskJson]
    has_more: bool
    next_cursor: str | None
    """Send it as `cursor` to go on."""


def task_json(view: TaskView) -> TaskJson:
    """Show a task."""
    return TaskJson(
        id=f"task_{view.id}",
        state=view.state.value,
        kind=view.kind,
        model=view.model,
        dialect=view.dialect,
        livemode=view.livemode,
        progress=1.0 if view.state is ViewState.SUCCEEDED else view.progress,
        cost=None if view.cost is None else dollars(view.cost),
        created_at=rfc3339(view.created_at),
        started_at=_time(view.started_at),
        ended_at=_time(view.ended_at),
        outputs=[msgspec.convert(asset, TaskOutput, from_attributes=True) for asset in view.assets],
        outputs_expired=view.outputs_expired,
        failure=None if view.failure is None else TaskFailure(code=view.failure.code, message=view.failure.message),
    )


def page_json(page: Page) -> TaskPageJson:
    """Show a page whose cursors are spelled already."""
    return TaskPageJson(
        data=[task_json(view) for view in page.tasks],
        has_more=page.next_cursor is not None,
        next_cursor=page.next_cursor,
    )


def states_of(text: str | None) -> tuple[TaskState, ...]:
    """Read the filter: one state or several with commas. Raises `BadRequest`."""
    wanted: list[TaskState] = []
    for word in (text or "").split(","):
        if word.strip():
            wanted += _states_of_word(word.strip())
    return tuple(dict.fromkeys(wanted))


def _states_of_word(word: str) -> tuple[TaskState, ...]:
    if word not in _STORED:
        raise BadRequest(f"`state` must be among {', '.join(_STORED)}", param="state")
    return _STORED[word]


def _time(microseconds: int | None) -> str | None:
    return None if microseconds is None else rfc3339(microseconds)
