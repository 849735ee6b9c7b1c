"""The commonest call in one go: a live key's whole answer, in the vendor's own format, by the channel that comes first.

The same steps over the same books as `call`, without what only other calls need. Whatever turns out otherwise on the
way is handed over to `call.from_sending`, with what is held and who was asked.
"""

import asyncio

import msgspec

from halley.kernel import faults
from halley.kernel.body import JsonBody
from halley.kernel.clock import MICROSECONDS
from halley.kernel.faults import Fault
from halley.kernel.money import ZERO
from halley.kernel.operation import Operation
from halley.pipeline.admit import allow_model
from halley.pipeline.answers import meter
from halley.pipeline.answers.ask import Ask
from halley.pipeline.answers.attempt import Attempt
from halley.pipeline.answers.call import Finished, Streaming, broken_off, finish, finish_at_once, from_sending, reserved
from halley.pipeline.answers.choose import choose
from halley.pipeline.answers.flow import LARGE_BYTES, Whole, network_fault, same_format
from halley.pipeline.answers.reserve import hold
from halley.pipeline.answers.send import (
    Answered,
    Tries,
    is_page,
    let_in,
    note_failure,
    refusal,
    request_of,
    successes_of,
    way_of,
    web_page,
)
from halley.pipeline.answers.translate import write_body
from halley.pipeline.trouble import tell_back
from halley.upstream.client import Prepared, WholeReply
from halley.upstream.errors import NotSent, OutcomeUnknown, UpstreamError
from halley.upstream.headers import joined
from halley.world import World
from halley.world.figures import Count, Time

OPERATIONS = frozenset(
    (
        Operation.CHAT,
        Operation.COMPLETION,
        Operation.EMBEDDINGS,
        Operation.MESSAGES,
        Operation.MODERATION,
        Operation.RERANK,
    )
)
"""Asked for in JSON, and their replies tell what is billed."""
_SUCCESS = 2


class Plan(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What is the same in all such calls of one key for one model."""

    attempts: list[Attempt]
    attempt: Attempt
    """The first of them."""
    prepared: Prepared
    forwarded: frozenset[str]
    """Headers that would be passed on: whoever sends one goes the other way."""
    changing: frozenset[str]
    """Fields that would be spelled otherwise for this vendor."""
    calls: Count
    latency: Time


def plan(world: World, ask: Ask) -> Plan | None:
    """Give the plan of a call that may go straight. Raises as `choose` does."""
    request = ask.request
    if ask.stream or ask.operation not in OPERATIONS or not ask.caller.livemode:
        return None
    if request.directive is not None or request.idempotency_key is not None:
        return None
    allow_model(ask.caller, ask.model)
    case = (Plan, ask.caller.key_id, ask.model, ask.operation)
    known: Plan | bool | None = world.config.routes.get(case)
    if known is None:
        known = _plan(world, ask) or False
        world.config.remember(case, known)
    if not isinstance(known, Plan) or not known.forwarded.isdisjoint(ask.headers):
        return None
    return known


async def straight(world: World, ask: Ask, plan: Plan) -> Finished | Streaming:
    """Answer a call. Faults are raised, and then nothing is charged."""
    attempt = plan.attempt
    held, written = hold(world, ask, meter.ceiling(ask, attempt.row), ask.request.identity)
    held = await reserved(world, ask, held, written)
    tries = Tries()
    began_s = world.clock.monotonic()
    if not let_in(world, ask, attempt, tries):
        return await from_sending(world, ask, held, plan.attempts[1:], tries)
    whole, first_byte_us = None, 0
    try:
        body = _body(ask, plan)
        world.failpoints.hit("vendor.before.answer")
        replying = world.upstream.begin(plan.prepared, body)
        if replying is not None:
            reply = await replying
            world.failpoints.hit("vendor.after.answer")
            first_byte_us = reply.head_us
            if len(reply.body) <= LARGE_BYTES:
                whole = _read(world, ask, attempt, reply)
            else:
                whole = await asyncio.to_thread(_read, world, ask, attempt, reply)
    except (UpstreamError, Fault) as error:
        fault = _broken(world, attempt, error) if isinstance(error, UpstreamError) else error
        world.bounds.leave(attempt.channel.id)
        note_failure(world, ask, attempt, fault, began_s)
        tries.fail(fault)
        return await from_sending(world, ask, held, plan.attempts[1:], tries)
    except BaseException:
        world.bounds.leave(attempt.channel.id)
        await broken_off(world, ask, held, tries)
        raise
    if whole is None:
        # No connection is idle, and the channel has let us in already.
        return await from_sending(world, ask, held, plan.attempts, tries)
    world.bounds.leave(attempt.channel.id)
    plan.calls.inc()
    plan.latency.observe(first_byte_us / MICROSECONDS)
    if world.health.succeeded(attempt.channel.id, attempt.operation, attempt.vendor_model):
        tell_back(world, attempt.channel, attempt.operation)
    answered = Answered(attempt=attempt, answer=whole, tries=1, exposure=ZERO, first_byte_us=first_byte_us)
    return finish_at_once(world, ask, held, answered, whole) or await finish(world, ask, held, answered)


def _plan(world: World, ask: Ask) -> Plan | None:
    attempts = choose(world, ask)
    attempt = attempts[0]
    if attempt.channel.simulated or any(one.operation is not ask.operation for one in attempts):
        return None
    try:
        way = way_of(world, ask, attempt)
        prepared = world.upstream.prepare(request_of(world, ask, way, None))
    except (NotSent, faults.VendorRejectsUs):
        return None
    changing = frozenset(attempt.answers.rename)
    if not attempt.answers.stream_usage:
        changing |= {"stream_options"}
    calls, latency = successes_of(world, attempt)
    return Plan(
        attempts=attempts,
        attempt=attempt,
        prepared=prepared,
        forwarded=way.forwarded,
        changing=changing,
        calls=calls,
        latency=latency,
    )


def _body(ask: Ask, plan: Plan) -> bytes:
    body = ask.body
    assert isinstance(body, JsonBody)
    named_alike = ask.named == plan.attempt.vendor_model and "model" in body.fields
    if named_alike and plan.changing.isdisjoint(body.fields):
        return body.data
    return write_body(ask, plan.attempt).data


def _broken(world: World, attempt: Attempt, error: UpstreamError) -> Fault:
    """Say what a failure on the way means; of a reply that is no answer anyway the head says enough."""
    if isinstance(error, OutcomeUnknown) and error.status and error.status // 100 != _SUCCESS:
        return refusal(world, attempt, error.status, joined(error.headers), b"")
    return network_fault(error)


def _read(world: World, ask: Ask, attempt: Attempt, reply: WholeReply) -> Whole:
    """Read a reply. Raises the fault of one that is no answer."""
    if reply.status // 100 != _SUCCESS:
        raise refusal(world, attempt, reply.status, reply.headers, reply.body)
    if is_page(reply.content_type):
        raise web_page()
    try:
        return same_format(ask, attempt, reply.body)
    except ValueError as error:
        raise faults.OutcomeUnknown("The vendor's answer cannot be read") from error
