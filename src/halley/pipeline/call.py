"""The way of an order that finishes later. The API has admitted the caller; from here: choose, reserve, send.

The worker settles. Nothing is sent before the hold and the task's row are on disk.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

import msgspec

from halley.accounts.model import Caller
from halley.db import Group, Tx
from halley.idempotency.model import Existing
from halley.kernel.clock import MICROSECONDS
from halley.kernel.faults import BadRequest, Fault
from halley.kernel.ids import TaskId
from halley.kernel.money import dollars
from halley.kernel.order import ImageOrder, Webhook
from halley.pipeline import once, settle
from halley.pipeline.admit import limit
from halley.pipeline.choose import Attempt, choose
from halley.pipeline.events import tell
from halley.pipeline.inputs import OwnInputs, load_own_inputs
from halley.pipeline.persist import write_surely, write_to_the_end
from halley.pipeline.request import RequestContext, Submission
from halley.pipeline.reserve import reserve
from halley.pipeline.send import Sent, read_directive, send
from halley.pipeline.task import cancel, wait_ended
from halley.pipeline.vendor import same_site
from halley.pipeline.view import show
from halley.routing import Channel
from halley.tasks import Task, TaskState, together
from halley.tasks import store as tasks
from halley.tasks.together import Taken
from halley.upstream.errors import Refused as UpstreamRefused
from halley.vendors.contract import Accepted, Answer, Dialect, Incoming, TaskView, WebhookEvent
from halley.world import World

T = TypeVar("T")
LOST_REPLY_LOOK_AFTER_S = 5
"""How soon the worker looks for an order at the vendor when the reply to it was lost."""


async def submit(world: World, caller: Caller, dialect: Dialect, incoming: Incoming, request: RequestContext) -> Answer:
    """Take an order and answer in the caller's format; faults are raised.

    An order whose hold is on disk is seen through even when the caller hangs up. One that nobody wants then is
    cancelled once its vendor has it.
    """
    order = dialect.read_order(incoming)
    model = world.catalogue.public_id(order.model)
    if model != order.model:
        order = msgspec.structs.replace(order, model=model)
    if request.directive is not None or not caller.livemode:
        _check_directive(caller, order, request)
    if order.webhook is not None:
        _check_webhook(world, order, order.webhook)
    if request.idempotency_key is not None:
        known = await once.known(world, caller, request, order.body)
        if known is not None:
            return await once.replay(world, caller, request, known, dialect=dialect)
    limit(world, caller, tokens=0)
    submission = Submission(caller=caller, dialect=dialect, order=order, request=request)
    attempts = choose(world, caller, order)
    own = await load_own_inputs(world, submission) if order.images or order.extras else {}
    task_id = TaskId(world.ids.new())
    taken = await _whole(world, _take(world, submission, attempts, own, task_id))
    if isinstance(taken, Existing):
        return await once.replay(world, caller, request, taken, dialect=dialect)
    return taken


async def _take(
    world: World, submission: Submission, attempts: list[Attempt], own: OwnInputs, task_id: TaskId
) -> Answer | Existing:
    # So that no sweep takes it for stranded.
    with world.at_work(task_id):
        task = await reserve(world, submission, attempts[0], task_id)
        if isinstance(task, Existing):
            return task
        return await _see_through(world, submission, task, attempts, own)


async def _whole(world: World, work: Coroutine[Any, Any, T]) -> T:
    """Wait for what goes on to its end, though whoever waits is cut off; half the price of `asyncio.shield`."""
    loop = asyncio.get_running_loop()
    told: asyncio.Future[T] = loop.create_future()
    # The loop itself would forget a task that nobody else knows.
    seeing = loop.create_task(_tell(work, told))
    world.seeing_through.add(seeing)
    seeing.add_done_callback(world.seeing_through.discard)
    return await told


async def _tell(work: Coroutine[Any, Any, T], told: asyncio.Future[T]) -> None:
    try:
        answer = await work
    except asyncio.CancelledError:
        told.cancel()
        raise
    except Fault as fault:
        # In the books already, whether or not anybody hears of it.
        if not told.done():
            told.set_exception(fault)
    except Exception as error:  # whoever waits gets it; else asyncio logs it as an error that nobody looked at
        if told.done():
            raise
        told.set_exception(error)
    else:
        if not told.done():
            told.set_result(answer)


async def _see_through(
    world: World, submission: Submission, task: Task, attempts: list[Attempt], own: OwnInputs
) -> Answer:
    try:
        sent = await send(world, submission, task, attempts, own)
    except Fault as fault:
        await settle.refuse(world, submission, task, fault)
        raise
    except BaseException:
        # Our own mistake, at a moment when the vendor may have been asked: never guess.
        await _note_sent(world, submission, task, None)
        raise
    noted = await _note_taken(world, submission, task, sent) if sent.first else None
    view = noted or await _note_sent(world, submission, task, sent)
    if submission.order.wait_s:
        return await _wait(world, submission, view)
    return submission.dialect.render_accepted(view)


async def _note_taken(world: World, submission: Submission, task: Task, sent: Sent) -> TaskView | None:
    """Write that the first vendor asked took the order: nearly always that is all, and goes with others in one write.

    None where there is more to write, or where somebody has moved the task meanwhile.
    """
    if sent.accepted is None or submission.request.idempotency_key is not None or submission.order.webhook is not None:
        return None
    running = _as_running(world, task, sent.attempt, sent.accepted)
    if not await write_to_the_end(world, _ACCEPT, together.taken(running)):
        return None
    return show(world, running, (), base_url=submission.request.base_url, body=submission.order.body)


def _accept(tx: Tx, taken: Sequence[Taken]) -> Sequence[bool]:
    tx.wake(tasks.DUE_TOPIC)
    return together.accept(tx, taken)


_ACCEPT: Group[Taken, bool] = Group("accept", _accept)


async def _note_sent(world: World, submission: Submission, task: Task, sent: Sent | None) -> TaskView:
    """Write what became of the sending, and keep the answer for a repeat of the request, as one unit."""
    request, order = submission.request, submission.order

    def unit(tx: Tx) -> TaskView:
        seen = tasks.find_task(tx, task.id)
        assert seen is not None
        _move_sent(tx, world, seen, sent)
        written = tasks.find_task(tx, task.id)
        assert written is not None
        view = show(world, written, (), base_url=request.base_url, body=order.body)
        tell(tx, world, written, view, WebhookEvent.START)
        if not order.wait_s and request.idempotency_key is not None:
            once.finish(tx, world, submission.caller, request, submission.dialect.render_accepted(view))
        return view

    return await write_surely(world, "accept" if sent and sent.accepted else "lose", unit)


def _move_sent(tx: Tx, world: World, task: Task, sent: Sent | None) -> None:
    """Move from `submitting`; or from `unknown`, should somebody have taken us for dead.

    Where it stands elsewhere this was written before, and only the word of the commit was lost.
    """
    if task.state not in (TaskState.SUBMITTING, TaskState.UNKNOWN):
        return
    now = world.clock.now()
    tx.wake(tasks.DUE_TOPIC)
    if sent is None or sent.accepted is None:
        if task.state == TaskState.SUBMITTING:
            tasks.move(tx, task, TaskState.UNKNOWN, due_at=now + LOST_REPLY_LOOK_AFTER_S * MICROSECONDS)
        return
    running = _as_running(world, task, sent.attempt, sent.accepted)
    tasks.move(
        tx,
        task,
        TaskState.RUNNING,
        vendor_task_id=running.vendor_task_id,
        poll_url=running.poll_url,
        measured=running.measured,
        vendor_cost_nanos=running.vendor_cost,
        report=running.report,
        word=running.word,
        deadline_at=running.deadline_at,
        due_at=running.due_at,
    )


def _as_running(world: World, task: Task, attempt: Attempt, accepted: Accepted) -> Task:
    """Give a task as it stands once its vendor took it."""
    now, vendor = world.clock.now(), attempt.tasks
    poll_url = None if accepted.poll_url is None else _poll_url(attempt.channel, accepted.poll_url)
    return msgspec.structs.replace(
        task,
        state=TaskState.RUNNING,
        vendor_task_id=accepted.vendor_task_id,
        poll_url=poll_url,
        measured=accepted.measured,
        vendor_cost=accepted.vendor_cost,
        report=accepted.report,
        word=accepted.report.word if accepted.report else "",
        deadline_at=now + vendor.deadline_s * MICROSECONDS,
        due_at=now + int(vendor.poll_after_s[0] * MICROSECONDS),
    )


def _poll_url(channel: Channel, told: str) -> str | None:
    if not same_site(channel.base_url, told):
        # Our credentials do not go there; the vendor is asked at its own address.
        return None
    # A simulator may come back on another port; its own address is added at each poll.
    return told.removeprefix(channel.base_url) if channel.simulated else told


async def _wait(world: World, submission: Submission, view: TaskView) -> Answer:
    request, caller = submission.request, submission.caller
    shown = view
    try:
        waited = await wait_ended(world, caller, view.id, request, seconds=submission.order.wait_s or 0)
        shown = waited if waited is not None and waited.ended else view
        if request.is_unwanted and not shown.ended:
            await cancel(world, caller, view.id, request, shows_unchanged=True)
    finally:
        # Whatever ended the wait, the order was taken: a repeat gets this answer.
        if request.idempotency_key is not None:
            kept = _kept(submission.dialect, shown)
            await write_surely(world, "finish", lambda tx: once.finish(tx, world, caller, request, kept))
    return _answer(submission.dialect, shown)


def _kept(dialect: Dialect, view: TaskView) -> Answer | None:
    """Give what a repeat is to be answered; None where it is to be told what has become of the task by then."""
    try:
        return _answer(dialect, view)
    except Fault:
        return None


def _answer(dialect: Dialect, view: TaskView) -> Answer:
    answer = dialect.render_accepted(view)
    if view.cost is None:
        return answer
    return msgspec.structs.replace(answer, headers={**answer.headers, "halley-cost": dollars(view.cost)})


def _check_webhook(world: World, order: ImageOrder, webhook: Webhook) -> None:
    try:
        world.guard.check(webhook.url)
    except UpstreamRefused as error:
        param = next((name for name in ("webhook_url", "webhook") if name in order.body), "webhook")
        raise BadRequest(f"`{param}` cannot be called: {error.message}", param=param) from error


def _check_directive(caller: Caller, order: ImageOrder, request: RequestContext) -> None:
    if caller.livemode:
        if request.directive is not None:
            message = "`Halley-Test` orders endings from the simulators; use a test key (`sk-test-…`) with it"
            raise BadRequest(message, param="Halley-Test")
        return
    read_directive(order, request)
