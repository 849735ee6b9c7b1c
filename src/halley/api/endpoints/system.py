"""What machines around the gateway ask: is it alive, is it ready, how is it; and what vendors tell it."""

from collections.abc import Sequence

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

import halley
from halley.api.asgi import Reply, json_reply
from halley.api.base_url import is_operator
from halley.api.call import Call
from halley.api.errors import RETRY_AFTER_RESTART_S
from halley.db import Row, Tx
from halley.kernel.clock import MICROSECONDS
from halley.kernel.faults import Draining, Forbidden
from halley.kernel.money import NANOS_PER_DOLLAR, Nanos
from halley.ledger import queries
from halley.pipeline import task
from halley.pipeline.vendor import SUBMIT
from halley.tasks import store as tasks
from halley.tasks.states import OPEN
from halley.webhooks import Backlog
from halley.webhooks import store as webhooks

CALLBACK_BYTES_MAX = 256 * 1024
CALLBACK_S_MAX = 10.0
DATABASE_AWAY_S_MAX = 3.0
"""So long may the database not answer before the process takes no calls: one hiccup sends nobody away."""


async def root(call: Call) -> Reply:
    """Say what this is and where to read on."""
    links = {"openapi": f"{call.base_url}/openapi.json", "models": f"{call.base_url}/v1/models"}
    return json_reply({"name": "halley", "version": halley.__version__, **links})


async def liveness(call: Call) -> Reply:
    """The process answers."""
    del call
    return json_reply({"status": "alive"})


async def readiness(call: Call) -> Reply:
    """The process takes calls."""
    world = call.world
    if world.draining or not world.ready:
        state = "stopping" if world.draining else "starting"
        raise Draining(f"The gateway is {state}", retry_after_s=RETRY_AFTER_RESTART_S)
    since = world.unanswered_since
    if since is not None and world.clock.monotonic() >= since + DATABASE_AWAY_S_MAX:
        raise Draining("The database does not answer", retry_after_s=RETRY_AFTER_RESTART_S)
    return json_reply({"status": "ready"})


async def metrics(call: Call) -> Reply:
    """Give what Prometheus reads, to this machine and to trusted addresses."""
    if not is_operator(call.address, call.peer, call.headers):
        message = "Metrics are for this machine; add the reader's address to `HALLEY_TRUSTED_PROXIES`"
        raise Forbidden(message)
    await _fill_gauges(call)
    body = generate_latest(call.world.metrics.registry)
    return Reply(headers=(("content-type", CONTENT_TYPE_LATEST), ("cache-control", "no-store")), body=body)


async def callback(call: Call) -> Reply:
    """Take a vendor's hint that a task moved."""
    vendor, token = call.params["vendor"], call.params["token"]
    task.check_callback(call.world, vendor, token)
    body = await call.body(CALLBACK_BYTES_MAX, whole_s=CALLBACK_S_MAX).read()
    await task.callback(call.world, vendor, token, call.headers, body)
    return json_reply({})


async def _fill_gauges(call: Call) -> None:
    world, now = call.world, call.world.clock.now()

    def query(tx: Tx) -> tuple[Sequence[Row], tuple[int, Nanos], Backlog]:
        return tasks.counts(tx), queries.open_hold_totals(tx), webhooks.backlog(tx)

    counts, (holds, held), backlog = await world.db.read(query)
    by_state = {row["state"]: row for row in counts}
    for state in OPEN:
        row = by_state.get(state)
        world.metrics.tasks.labels(state).set(row["n"] if row else 0)
        world.metrics.task_age.labels(state).set((now - row["oldest"]) / MICROSECONDS if row else 0)
    world.metrics.holds.set(holds)
    world.metrics.holds_dollars.set(held / NANOS_PER_DOLLAR)
    world.metrics.webhooks_waiting.set(backlog.pending)
    world.metrics.writes_waiting.set(world.db.waiting)
    _fill_channels(call)


def _fill_channels(call: Call) -> None:
    world = call.world
    world.metrics.channel_up.clear()
    resting = world.health.resting(world.clock.monotonic())
    for channel in world.config.channels:
        vendor = world.vendors.get(channel.vendor)
        if vendor is None or channel.simulated:
            continue
        mine = [operation for channel_id, operation in resting if channel_id == channel.id]
        served = [] if vendor.tasks is None else [SUBMIT]
        for operation in {*served, *(vendor.answers.paths if vendor.answers else ()), *mine}:
            world.metrics.channel_up.labels(channel.name, operation).set(0 if operation in mine else 1)
