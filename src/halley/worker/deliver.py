"""Delivers callers' webhooks from the outbox, signed, through the guard, on the schedule of Standard Webhooks.

Accounts share the places, so that one whose receivers hang does not hold up the others.
"""

from collections.abc import Sequence

import structlog

from halley import webhooks
from halley.kernel.clock import MICROSECONDS
from halley.pipeline.task import webhook_secret
from halley.upstream.errors import Refused, UpstreamError
from halley.webhooks import Delivery, DeliveryState, Places, Waiting
from halley.webhooks import store as outbox
from halley.worker.leases import LeaseLoop
from halley.world import World

LEASE_S = 30
POST_S_MAX = 15
REPLY_BYTES_MAX = 4 * 1024
"""Of an answer's body, which says nothing; what exceeds it is not waited for."""
AT_ONCE_MAX = 64
BEHIND_EVERY_S = 1.0
BEHIND_PART = 0.05
"""Of the time, to look behind accounts that have more to deliver than their share of the places."""
_log = structlog.get_logger("halley.deliver")


class Deliverer:
    """Leases due deliveries and posts each."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._behind_from = 0.0
        self._leases: LeaseLoop[Delivery] = LeaseLoop(world, topic=outbox.TOPIC, at_once_max=AT_ONCE_MAX)

    def stop(self) -> None:
        """Begin nothing more."""
        self._leases.stop()

    async def run(self) -> None:
        """Deliver until stopped."""
        await self._leases.run(self._lease, lambda each: deliver(self._world, each), self._next_due, self._release)
        left = tuple(self._leases.held.values())
        if left:
            await self._release(left)

    async def _release(self, held: Sequence[Delivery]) -> None:
        await self._world.db.write("release_webhooks", lambda tx: outbox.release(tx, held, self._world.clock.now()))

    async def _lease(self, limit: int) -> list[tuple[str, Delivery]]:
        now, lease_us = self._world.clock.now(), LEASE_S * MICROSECONDS
        places = Places(limit, (each.account_id for each in self._leases.held.values()))
        head = await self._world.db.read(lambda tx: outbox.due(tx, now))
        chosen = places.give(head)
        if len(head) == outbox.HEAD_MAX:
            chosen += places.give(await self._behind(places, now))
        if not chosen:
            return []
        leased = await self._world.db.write(
            "lease_webhooks", lambda tx: outbox.lease(tx, chosen, now=now, lease_us=lease_us)
        )
        return [(each.id, each) for each in leased]

    async def _behind(self, places: Places, now: int) -> list[Waiting]:
        """List what waits behind accounts without room; looking for it takes no more than a small part of the time."""
        full, began = places.full(), self._world.clock.monotonic()
        if not full or places.free <= 0 or began < self._behind_from:
            return []
        found = await self._world.db.read(lambda tx: outbox.due(tx, now, without=full))
        took_s = self._world.clock.monotonic() - began
        self._behind_from = began + max(BEHIND_EVERY_S, took_s / BEHIND_PART)
        return found

    async def _next_due(self) -> int | None:
        return await self._world.db.read(lambda tx: outbox.next_due(tx, 0))


async def deliver(world: World, delivery: Delivery) -> None:
    """Make one attempt, and write down how it went."""
    status, error, retry_after = await _post(world, delivery)
    now = world.clock.now()
    judged = webhooks.verdict(
        status, attempts=delivery.attempts + 1, now=now, jitter=world.draw(), retry_after=retry_after
    )
    world.metrics.webhooks.labels(judged.state).inc()
    if judged.state == DeliveryState.DELIVERED:
        taken = status or 0
        await world.db.write("delivered", lambda tx: outbox.delivered(tx, delivery, status=taken, now=now))
        return
    _log.info("webhook_failed", id=delivery.id, task=delivery.task_id, status=status, error=error)
    await world.db.write(
        "undelivered", lambda tx: outbox.failed(tx, delivery, status=status, error=error, due_at=judged.due_at)
    )


async def _post(world: World, delivery: Delivery) -> tuple[int | None, str, str | None]:
    now_s = world.clock.now() // MICROSECONDS
    headers = {
        "content-type": "application/json",
        "user-agent": "Halley-Webhooks/1",
        "webhook-id": delivery.id,
        "webhook-timestamp": str(now_s),
    }
    try:
        secret = await _secret(world, delivery)
    except ValueError:
        return None, "its signing secret was sealed with a gateway secret that is no longer known", None
    if secret:
        dialect = world.dialects[delivery.dialect]
        headers |= dialect.sign_event(secret, delivery.id, now_s, delivery.body)
    try:
        reply = await world.guard.post(
            delivery.url,
            body=delivery.body,
            headers=tuple(headers.items()),
            timeout_s=POST_S_MAX,
            bytes_max=REPLY_BYTES_MAX,
        )
    except Refused as error:
        return None, f"refused: {error.message}", None
    except UpstreamError as error:
        return None, error.message, None
    return reply.status, f"status {reply.status}", reply.headers.get("retry-after")


async def _secret(world: World, delivery: Delivery) -> str:
    if delivery.secret is not None:
        return world.vault.open(delivery.secret, context=f"outbox:{delivery.id}").decode()
    if not world.dialects[delivery.dialect].project_secret:
        return ""
    # Made now if nobody has asked for it yet: an unsigned webhook would teach receivers to take unsigned ones.
    return await webhook_secret(world, delivery.project_id, livemode=delivery.livemode)
