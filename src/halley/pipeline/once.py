"""`Idempotency-Key`: a repeat of a request gives the first answer, also while the first is still running."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from halley.accounts.model import Caller
from halley.db import DatabaseUnavailable, Tx, WriterOverloaded
from halley.idempotency import store as idempotency
from halley.idempotency.model import Answer as Kept
from halley.idempotency.model import Attempt, Existing
from halley.idempotency.rules import KEPT_US, fingerprint, topic
from halley.kernel import codec
from halley.kernel.faults import KeyReused, NotReplayable, StillRunning
from halley.pipeline.persist import to_its_end, write_surely
from halley.pipeline.request import RequestContext
from halley.pipeline.view import load
from halley.tasks import Task, TaskState
from halley.tasks import store as tasks
from halley.vendors.contract import Answer, Dialect
from halley.world import World
from halley.world.boots import living_boots

FIRST_WAIT_S = 30
"""How long a repeat waits for the first to end."""
REPLAYED = "idempotency-replayed"
FAILED = 400


async def run_once(
    world: World, caller: Caller, request: RequestContext, body: Any, act: Callable[[], Awaitable[Answer]]
) -> Answer:
    """Do something that is not an order once per key. `body` is what tells one request from another."""
    if request.idempotency_key is None:
        return await act()
    begun = await claim(world, caller, request, body)
    if begun is not None:
        return await replay(world, caller, request, begun)
    try:
        answer = await act()
        await world.db.write("finish", lambda tx: finish(tx, world, caller, request, answer))
    except BaseException:
        # Whatever was done was not told: what may be done twice may be asked for again with the same key.
        await asyncio.shield(forget(world, caller, request))
        raise
    return answer


async def claim(world: World, caller: Caller, request: RequestContext, body: Any) -> Existing | None:
    """Claim the key for this request; give what it stands for. Only for what may be done twice after a crash.

    A caller who leaves meanwhile has claimed nothing.
    """
    claiming = asyncio.ensure_future(_claim(world, caller, request, body))  # noqa: TID251 - awaited right here
    try:
        return await asyncio.shield(claiming)
    except asyncio.CancelledError:
        await asyncio.wait((claiming,))
        if claiming.exception() is None and claiming.result() is None:
            await to_its_end(forget(world, caller, request))
        raise


async def _claim(world: World, caller: Caller, request: RequestContext, body: Any) -> Existing | None:
    begun = await world.db.write("begin", lambda tx: begin(tx, world, caller, request, body))
    if begun is not None and await _take_over(world, caller, request, body, begun):
        return None
    return begun


async def forget(world: World, caller: Caller, request: RequestContext) -> None:
    """Nothing was done: the next request with this key starts anew; at once, or when the database is back."""
    key = request.idempotency_key
    assert key is not None

    def unit(tx: Tx) -> None:
        idempotency.forget(tx, key_id=caller.key_id, value=key)

    try:
        await world.db.write("forget", unit)
    except (DatabaseUnavailable, WriterOverloaded):
        # Nobody is kept waiting for that.
        insisting = asyncio.ensure_future(write_surely(world, "forget", unit))  # noqa: TID251 - the world keeps it
        world.insisting.add(insisting)
        insisting.add_done_callback(world.insisting.discard)


async def known(world: World, caller: Caller, request: RequestContext, body: Any) -> Existing | None:
    """What the request's key stands for, before anything is looked at that may have changed since the first time."""
    key = request.idempotency_key
    if key is None:
        return None
    mark = fingerprint(request.method, request.path, body)
    found = await world.db.read(lambda tx: idempotency.find(tx, key_id=caller.key_id, value=key, fingerprint=mark))
    return found if found and found.created_at >= world.clock.now() - KEPT_US else None


def begin(tx: Tx, world: World, caller: Caller, request: RequestContext, body: Any) -> Existing | None:
    """Claim the key for this request; give what it already stands for."""
    claimed = idempotency.begin(tx, _attempt(world, caller, request, body))
    return claimed if isinstance(claimed, Existing) else None


def finish(tx: Tx, world: World, caller: Caller, request: RequestContext, answer: Answer | None) -> None:
    """Keep the answer, in the transaction that made it true; None is one that is not kept.

    Of a task a repeat is then told what has become of it.
    """
    if request.idempotency_key is None:
        return
    kept = answer and Kept(status=answer.status, headers=tuple(answer.headers.items()), body=codec.encode(answer.body))
    idempotency.finish(
        tx,
        key_id=caller.key_id,
        value=request.idempotency_key,
        answer=kept,
        now=world.clock.now(),
    )


async def replay(
    world: World, caller: Caller, request: RequestContext, existing: Existing, *, dialect: Dialect | None = None
) -> Answer:
    """Give the first answer, waiting for it a while.

    Raises `KeyReused`, `NotReplayable`, or `StillRunning` when the first has not ended in time.
    """
    if not existing.same:
        message = "This `Idempotency-Key` was used for another request; use a new one for each request"
        raise KeyReused(message, param="Idempotency-Key")
    assert request.idempotency_key is not None
    ends = world.clock.monotonic() + FIRST_WAIT_S
    with world.db.wakeups.subscribe(topic(caller.key_id, request.idempotency_key)) as waiter:
        found: Existing | None = existing
        while found is not None:
            answer = await _first_answer(world, request, found, dialect)
            if answer is not None:
                return answer
            if world.clock.monotonic() >= ends:
                break
            await waiter.wait()
            found = await world.db.read(lambda tx: _look(tx, caller, request))
    message = "The first request with this `Idempotency-Key` has not ended yet; ask again in a moment"
    raise StillRunning(message, param="Idempotency-Key", retry_after_s=1)


async def _take_over(world: World, caller: Caller, request: RequestContext, body: Any, existing: Existing) -> bool:
    """Go on for a process that died before it answered. Only for what may be done twice: orders never come here."""
    if existing.finished or not existing.same or existing.boot_id == world.boot_id:
        return False

    def unit(tx: Tx) -> bool:
        living = living_boots(tx, world.boot_id, world.clock.now(), still=world.still)
        if existing.boot_id in living:
            return False
        attempt = _attempt(world, caller, request, body)
        return idempotency.take_over(tx, attempt, seen_boot_id=existing.boot_id)

    return await world.db.write("take_over", unit)


def _attempt(world: World, caller: Caller, request: RequestContext, body: Any) -> Attempt:
    assert request.idempotency_key is not None
    return Attempt(
        key_id=caller.key_id,
        value=request.idempotency_key,
        fingerprint=fingerprint(request.method, request.path, body),
        boot_id=world.boot_id,
        task_id=None,
        now=world.clock.now(),
    )


async def _first_answer(
    world: World, request: RequestContext, existing: Existing, dialect: Dialect | None
) -> Answer | None:
    if existing.finished and not existing.too_large and existing.status is not None:
        headers = {**dict(existing.headers), REPLAYED: "true"}
        if existing.status >= FAILED:
            # What is kept stays as it is.
            headers["x-should-retry"] = "false"
        return Answer(status=existing.status, body=codec.decode(existing.body or b"null"), headers=headers)
    if existing.task_id is None or dialect is None:
        if existing.too_large:
            raise NotReplayable("The first answer to this `Idempotency-Key` was a stream or over 1 MB, and is not kept")
        return None
    task = await _taken_before(world, existing)
    if task is None:
        return None
    view = await load(world, task, base_url=request.base_url, dialect=dialect)
    answer = dialect.render_accepted(view)
    return Answer(status=answer.status, body=answer.body, headers={**answer.headers, REPLAYED: "true"})


async def _taken_before(world: World, existing: Existing) -> Task | None:
    """Give a task that was taken by a call which nobody carries on: it stands for the answer that was not kept."""
    task_id, boot_id = existing.task_id, existing.boot_id
    assert task_id is not None

    def query(tx: Tx) -> Task | None:
        living = living_boots(tx, world.boot_id, world.clock.now(), still=world.still)
        if not existing.finished and boot_id in living:
            carried_on = boot_id != world.boot_id or task_id in world.submitting
            if carried_on:
                return None
        return tasks.find_task(tx, task_id)

    task = await world.db.read(query)
    return None if task is None or task.state == TaskState.SUBMITTING else task


def _look(tx: Tx, caller: Caller, request: RequestContext) -> Existing | None:
    # That the requests are the same was seen before.
    assert request.idempotency_key is not None
    return idempotency.find(tx, key_id=caller.key_id, value=request.idempotency_key, fingerprint="")
