"""Tasks of all accounts, for the operator: listed and shown. Bodies and webhooks stay sealed."""

from typing import Annotated, Any

import msgspec

from halley.accounts.store import find_account
from halley.console.commands.common import Args, amount, moment, named_account
from halley.console.protocol import Progress
from halley.console.services import Services
from halley.db import Tx
from halley.kernel.faults import NotFound
from halley.kernel.ids import parse_task_id
from halley.tasks import Task, TaskState
from halley.tasks import store as tasks
from halley.tasks.model import TaskFilter
from halley.webhooks import Delivery
from halley.webhooks import store as webhooks

LIST_MAX = 100


class ListTasks(Args, frozen=True, kw_only=True):
    account: str | None = None
    states: tuple[TaskState, ...] = ()
    model: str | None = None
    livemode: bool | None = None
    after: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=LIST_MAX)] = 20


class ShowTask(Args, frozen=True, kw_only=True):
    id: str
    """In any spelling."""


class TaskRow(msgspec.Struct, frozen=True, kw_only=True):
    """A task in a list; amounts in nano-dollars."""

    id: str
    account: str
    livemode: bool
    model: str
    state: str
    vendor: str
    held_nanos: str | None
    cost_nanos: str | None
    created_at: str | None
    ended_at: str | None


class TaskDetails(TaskRow, frozen=True, kw_only=True):
    """A task with all that an operator may need to resolve it."""

    project_id: str
    key_id: str
    request_id: str
    dialect: str
    channel_id: str
    vendor_model: str
    vendor_task_id: str | None
    poll_url: str | None
    hold_id: str
    attempts: int
    polls: int
    word: str
    progress: float | None
    failure: Any
    estimate: dict[str, int]
    measured: dict[str, int]
    prices: dict[str, int]
    vendor_cost_nanos: str | None
    started_at: str | None
    deadline_at: str | None
    due_at: str | None
    webhooks: tuple["DeliveryRow", ...] = ()


class DeliveryRow(msgspec.Struct, frozen=True, kw_only=True):
    """One webhook of a task, without its URL and body, which are the caller's."""

    id: str
    event: str
    state: str
    attempts: int
    last_status: int | None
    last_error: str | None
    created_at: str | None
    due_at: str | None
    delivered_at: str | None


async def list_all(services: Services, args: ListTasks, _progress: Progress) -> list[TaskRow]:
    """List tasks, newest first."""

    def query(tx: Tx) -> list[TaskRow]:
        which = TaskFilter(
            account_id=named_account(tx, args.account).id if args.account else None,
            states=args.states,
            model=args.model,
            livemode=args.livemode,
            after=parse_task_id(args.after) if args.after else None,
        )
        return [TaskRow(**_row(tx, task)) for task in tasks.list_tasks(tx, which, args.limit)]

    return await services.db.read(query)


async def show(services: Services, args: ShowTask, _progress: Progress) -> TaskDetails:
    """Show one task."""
    return await services.db.read(lambda tx: _details(tx, known_task(tx, args.id)))


def known_task(tx: Tx, spelling: str) -> Task:
    """Find a task by any spelling of its id. Raises `NotFound`."""
    task_id = parse_task_id(spelling)
    task = tasks.find_task(tx, task_id) if task_id else None
    if task is None:
        raise NotFound(f"There is no task `{spelling}`; `halley tasks list` shows those there are", param="id")
    return task


def delivery_row(delivery: Delivery) -> DeliveryRow:
    """Show how far a webhook has come."""
    return DeliveryRow(
        id=delivery.id,
        event=delivery.event,
        state=delivery.state.value,
        attempts=delivery.attempts,
        last_status=delivery.last_status,
        last_error=delivery.last_error,
        created_at=moment(delivery.created_at),
        due_at=moment(delivery.due_at),
        delivered_at=moment(delivery.delivered_at),
    )


def _row(tx: Tx, task: Task) -> dict[str, Any]:
    account = find_account(tx, task.account_id)
    return {
        "id": f"task_{task.id}",
        "account": account.name if account else task.account_id,
        "livemode": task.livemode,
        "model": task.model,
        "state": task.state.value,
        "vendor": task.vendor,
        "held_nanos": amount(task.held),
        "cost_nanos": amount(task.cost),
        "created_at": moment(task.created_at),
        "ended_at": moment(task.ended_at),
    }


def _details(tx: Tx, task: Task) -> TaskDetails:
    own = TaskDetails.__struct_fields__
    same: dict[str, Any] = {name: getattr(task, name) for name in own if name in Task.__struct_fields__}
    values = (
        same
        | _row(tx, task)
        | {
            "failure": msgspec.to_builtins(task.failure),
            "prices": task.prices.meters,
            "vendor_cost_nanos": amount(task.vendor_cost),
            "started_at": moment(task.started_at),
            "deadline_at": moment(task.deadline_at),
            "due_at": moment(task.due_at),
            "webhooks": [delivery_row(each) for each in webhooks.deliveries_of(tx, task.id)],
        }
    )
    return msgspec.convert(values, TaskDetails, from_attributes=True)
