"""Webhooks of tasks, for the operator: one that ended is sent again."""

from halley.console.commands.common import Args, audit
from halley.console.commands.tasks import DeliveryRow, delivery_row
from halley.console.protocol import Progress
from halley.console.services import Services
from halley.db import Tx
from halley.kernel.faults import Conflict, NotFound
from halley.webhooks import store as webhooks


class Redeliver(Args, frozen=True, kw_only=True):
    id: str
    """Of the delivery: `msg_…`, which the receiver sees as `webhook-id`."""


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


def _refusal(tx: Tx, delivery_id: str) -> NotFound | Conflict:
    if webhooks.find_delivery(tx, delivery_id) is None:
        message = f"There is no webhook `{delivery_id}`; `halley tasks show ID` lists those of a task"
        return NotFound(message, param="id")
    return Conflict("This webhook is still being delivered; the worker tries it by itself")
