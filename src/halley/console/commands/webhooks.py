"""Webhooks of tasks, for the operator: listed, and sent again once they ended."""

from typing import Annotated

import msgspec

from halley.accounts.store import find_account
from halley.console.commands.common import ROWS_MAX, Args, audit, named_account
from halley.console.commands.tasks import DeliveryRow, delivery_row
from halley.console.protocol import Progress
from halley.console.services import Services
from halley.db import Tx
from halley.kernel.faults import Conflict, NotFound
from halley.webhooks import Delivery, DeliveryFilter, DeliveryState
from halley.webhooks import store as webhooks

LIST_MAX = 100


class ListWebhooks(Args, frozen=True, kw_only=True):
    account: str | None = None
    states: tuple[DeliveryState, ...] = ()
    after: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=LIST_MAX)] = 20


class Redeliver(Args, frozen=True, kw_only=True):
    id: str
    """Of the delivery: `msg_…`, which the receiver sees as `webhook-id`."""


class RedeliverFailed(Args, frozen=True, kw_only=True):
    account: str | None = None


class WebhookRow(DeliveryRow, frozen=True, kw_only=True):
    """A webhook in a list, with what it tells of."""

    account: str
    livemode: bool
    task: str


class Redelivered(msgspec.Struct, frozen=True, kw_only=True):
    """How many webhooks that were given up are due now."""

    due: int
    more: bool
    """Whether there may be more of them than are sent again at once."""


async def list_all(services: Services, args: ListWebhooks, _progress: Progress) -> list[WebhookRow]:
    """List webhooks, newest first."""

    def query(tx: Tx) -> list[WebhookRow]:
        account_id = named_account(tx, args.account).id if args.account else None
        which = DeliveryFilter(account_id=account_id, states=args.states, after=args.after)
        return [_row(tx, delivery) for delivery in webhooks.list_deliveries(tx, which, args.limit)]

    return await services.db.read(query)


async def redeliver_failed(services: Services, args: RedeliverFailed, _progress: Progress) -> Redelivered:
    """Send webhooks again that were given up, the oldest first, from the start of the schedule."""

    def unit(tx: Tx) -> Redelivered:
        account_id = named_account(tx, args.account).id if args.account else None
        due = webhooks.redeliver_failed(tx, services.clock.now(), ROWS_MAX, account_id)
        audit(tx, services, "webhooks.redeliver_failed", account_id or "", due=due)
        return Redelivered(due=due, more=due == ROWS_MAX)

    return await services.db.write("webhooks.redeliver_failed", unit)


async def redeliver(services: Services, args: Redeliver, _progress: Progress) -> DeliveryRow:
    """Send a webhook again that was delivered or given up, from the start of the schedule."""

    def unit(tx: Tx) -> DeliveryRow:
        if not webhooks.redeliver(tx, args.id, services.clock.now()):
            raise _refusal(tx, args.id)
        audit(tx, services, "webhooks.redeliver", args.id)
        found = webhooks.find_delivery(tx, args.id)
        assert found is not None
        return delivery_row(found)

    return await services.db.write("webhooks.redeliver", unit)


def _row(tx: Tx, delivery: Delivery) -> WebhookRow:
    account = find_account(tx, delivery.account_id)
    return WebhookRow(
        **msgspec.structs.asdict(delivery_row(delivery)),
        account=account.name if account else delivery.account_id,
        livemode=delivery.livemode,
        task=f"task_{delivery.task_id}",
    )


def _refusal(tx: Tx, delivery_id: str) -> NotFound | Conflict:
    if webhooks.find_delivery(tx, delivery_id) is None:
        message = f"There is no webhook `{delivery_id}`; `halley webhooks list` shows those there are"
        return NotFound(message, param="id")
    return Conflict("This webhook is still being delivered; the worker tries it by itself")
