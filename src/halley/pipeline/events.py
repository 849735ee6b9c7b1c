"""What a caller's webhook is told: rendered and put into the outbox in the transaction of the change."""

import msgspec
import structlog

from halley.db import Tx
from halley.kernel import codec
from halley.kernel.ids import TaskId
from halley.kernel.order import Webhook
from halley.tasks import Task
from halley.vendors.contract import Dialect, TaskView, WebhookEvent
from halley.webhooks import store
from halley.webhooks.model import NewDelivery
from halley.world import World

_log = structlog.get_logger("halley.events")
_webhook = msgspec.json.Decoder(Webhook).decode


def seal_webhook(world: World, task_id: TaskId, webhook: Webhook | None) -> bytes | None:
    """Encrypt where to tell, since it carries a secret."""
    return None if webhook is None else world.vault.seal(codec.encode(webhook), context=_context(task_id))


def open_webhook(world: World, task_id: TaskId, sealed: bytes | None) -> Webhook | None:
    """Read it back; None also when the secret that it was sealed with is no longer known."""
    if sealed is None:
        return None
    try:
        return _webhook(world.vault.open(sealed, context=_context(task_id)))
    except ValueError:
        _log.warning("webhook_sealed_with_a_lost_secret", task=task_id)
        return None


def tell(tx: Tx, world: World, task: Task, view: TaskView, *events: WebhookEvent) -> None:
    """Enqueue those of the events that this task's caller asked for."""
    webhook = view.webhook
    if webhook is None:
        return
    dialect = world.dialects[task.dialect]
    now = world.clock.now()
    for event in events:
        if event in _wanted(dialect, webhook):
            store.enqueue(tx, _delivery(world, task, view, webhook, event, now))


def _wanted(dialect: Dialect, webhook: Webhook) -> set[str]:
    chosen = webhook.events or dialect.default_events
    return {*chosen, *dialect.always_events}


def _delivery(world: World, task: Task, view: TaskView, webhook: Webhook, event: WebhookEvent, now: int) -> NewDelivery:
    identity = f"msg_{world.ids.new()}"
    body = codec.encode(world.dialects[task.dialect].render_event(view, event))
    sealed = None if webhook.secret is None else world.vault.seal(webhook.secret.encode(), context=f"outbox:{identity}")
    return NewDelivery(
        id=identity,
        task_id=task.id,
        account_id=task.account_id,
        project_id=task.project_id,
        livemode=task.livemode,
        dialect=task.dialect,
        event=event,
        url=webhook.url,
        secret=sealed,
        body=body,
        created_at=now,
    )


def _context(task_id: TaskId) -> str:
    return f"webhook:{task_id}"
