"""The way of a call that is answered at once: choose, reserve, send, relay, settle."""

import asyncio
from asyncio import Future
from collections.abc import Callable

import msgspec

from halley.db import Tx
from halley.kernel.clock import MICROSECONDS
from halley.kernel.faults import AnswerUnusable, BadRequest, NotConveyed, OutOfFunds
from halley.kernel.money import Nanos
from halley.kernel.operation import Operation
from halley.pipeline.answers import meter
from halley.pipeline.answers.ask import Ask
from halley.pipeline.answers.attempt import Attempt
from halley.pipeline.answers.choose import choose
from halley.pipeline.answers.flow import Flow, Whole
from halley.pipeline.answers.recall import must_be_told, recall
from halley.pipeline.answers.reserve import ORDER_PREFIX, Held, hold, hold_what_is_left
from halley.pipeline.answers.send import Answered, NoAnswer, Tries, note_fault, note_well, ordered, send
from halley.pipeline.answers.settle import End, settle, settle_later, unpaid
from halley.pipeline.answers.stored import as_asked, keep, keeping
from halley.pipeline.answers.used import WRITTEN, told, used, used_so_far
from halley.pipeline.persist import to_its_end
from halley.usage.model import Outcome
from halley.wire.contract import AnswerFacts
from halley.wire.openai.usage import NO_OUTLINE
from halley.world import World


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer."""

    body: bytes
    content_type: str
    cost: Nanos
    channel: str
    """The channel's name, for operators."""


class Streaming:
    """A stream whose first piece has come. Whoever takes it must close it, however far it was read."""

    def __init__(self, world: World, ask: Ask, held: Held, answered: Answered, flow: Flow) -> None:
        self._world = world
        self._ask = ask
        self._held = held
        self._answered = answered
        self._flow = flow
        self._closed = False
        pieces = flow.pieces()
        self.pieces = keeping(world, ask, answered.attempt, pieces)
        self.pour = flow.pour if self.pieces is pieces else None
        """Lets pieces go straight to the caller, where nothing is to be done with them."""
        self.content_type = flow.content_type
        self.channel = answered.attempt.channel.name

    async def aclose(self) -> None:
        """Let the vendor see that nobody listens any more, and book what came; also when the caller has left."""
        if self._closed:
            return
        self._closed = True
        if self._end_at_once():
            await self._flow.aclose()
        else:
            await asyncio.shield(self._end())

    def _end_at_once(self) -> bool:
        """Book a whole stream that told its usage last; False, with nothing booked, where there is more to wait for."""
        flow = self._flow
        if not flow.complete or not flow.pipe.usage_is_last:
            return False
        try:
            quantities = told(self._ask, flow.pipe.usage, NO_OUTLINE)
            if quantities is None:
                return False
            end = self._ended(Outcome.SUCCEEDED, quantities)
            if settle_later(self._world, self._ask, self._held, end) is None:
                return False
        except BaseException:
            # Our own mistake: the sweep finds that nobody works on it, and lists it as lost.
            self._world.answering.discard(self._held.order_id)
            self._leave()
            raise
        self._leave()
        return True

    async def _end(self) -> None:
        try:
            await self._book()
        finally:
            # Also where it could not be booked: the sweep finds that nobody works on it.
            self._world.answering.discard(self._held.order_id)

    async def _book(self) -> None:
        world, flow, answered = self._world, self._flow, self._answered
        await flow.aclose()
        self._leave()
        is_late = self._ask.kind in WRITTEN and flow.pipe.usage is not None and not flow.pipe.usage_is_last
        is_counted = flow.complete and not is_late
        count = used if is_counted else used_so_far
        try:
            quantities = await count(self._ask, flow.pipe.usage, flow.pipe.texts(), bytes(flow.pipe.kept))
        except BaseException:
            await settle(world, self._ask, self._held, _lost(answered, self._held))
            raise
        end = self._ended(Outcome.SUCCEEDED if flow.complete else Outcome.CUT, quantities)
        if isinstance(flow.broken, NotConveyed):
            end = unpaid(self._ask, self._held, end)
        await settle(world, self._ask, self._held, end)

    def _leave(self) -> None:
        """Give back the place among the channel's calls, once the vendor is done or sees that we are.

        How it went is the channel's health: a vendor that always breaks off must rest too.
        """
        world, attempt, flow = self._world, self._answered.attempt, self._flow
        world.bounds.leave(attempt.channel.id)
        if flow.complete:
            note_well(world, attempt)
        elif flow.broken is not None:
            note_fault(world, self._ask, attempt, flow.broken)

    def _ended(self, outcome: Outcome, quantities: dict[str, int]) -> End:
        answered = self._answered
        return End(
            outcome=outcome,
            attempt=answered.attempt,
            tries=answered.tries,
            quantities=quantities,
            told=self._flow.pipe.told.get,
            exposure=answered.exposure,
            first_byte_us=answered.first_byte_us,
        )


Keep = Callable[[Tx, Finished], None]
"""Keeps an answer for a repeat of its request, in the transaction that charges it."""


async def answer(world: World, ask: Ask, keep_it: Keep | None = None) -> Finished | Streaming:
    """Answer a call. Faults are raised, and then nothing is charged, but for `AnswerUnusable`."""
    if ask.caller.livemode and ask.request.directive is not None:
        message = "`Halley-Test` orders endings from the simulators; use a test key (`sk-test-…`) with it"
        raise BadRequest(message, param="Halley-Test")
    if not ask.caller.livemode:
        ordered(ask)
    await recall(world, ask)
    attempts = choose(world, ask)
    held, written = hold(world, ask, meter.ceiling(ask, attempts[0].row), ask.request.identity)
    held = await reserved(world, ask, held, written)
    return await from_sending(world, ask, held, attempts, Tries(), keep_it)


async def from_sending(
    world: World, ask: Ask, held: Held, attempts: list[Attempt], tries: Tries, keep_it: Keep | None = None
) -> Finished | Streaming:
    """Go on with a call whose hold is on disk, and which some channels may not have answered. Faults are raised."""
    try:
        facts = _facts(ask, held, translated=any(one.operation is not ask.operation for one in attempts))
        answered = await _send(world, ask, attempts, facts, held, tries)
    except NoAnswer as error:
        outcome = Outcome.LOST if error.lost else Outcome.FAILED
        lost = Nanos(error.lost * held.amount)
        await settle(world, ask, held, End(outcome=outcome, attempt=error.last, tries=error.tries, exposure=lost))
        raise error.fault from error
    except BaseException:
        await broken_off(world, ask, held, tries)
        raise
    if isinstance(answered.answer, Flow):
        return Streaming(world, ask, held, answered, answered.answer)
    return await finish(world, ask, held, answered, keep_it)


async def broken_off(world: World, ask: Ask, held: Held, tries: Tries) -> None:
    """Book that the caller left, or that we are at fault: whatever a vendor did, nobody got an answer."""
    exposure = Nanos((tries.lost + tries.asking) * held.amount)
    cancelled = End(outcome=Outcome.CANCELLED, attempt=tries.last, tries=tries.made, exposure=exposure)
    await settle(world, ask, held, cancelled)


async def finish(world: World, ask: Ask, held: Held, answered: Answered, keep_it: Keep | None = None) -> Finished:
    """Book a whole answer and give it, or raise why not; to its end, also when the caller leaves: it has come."""
    whole = answered.answer
    assert isinstance(whole, Whole)
    if whole.fault is not None:
        await to_its_end(_book_fault(world, ask, held, answered, whole))
        raise whole.fault
    finished = finish_at_once(world, ask, held, answered, whole) if keep_it is None else None
    return finished or await to_its_end(_finish(world, ask, held, answered, keep_it))


async def reserved(world: World, ask: Ask, held: Held, written: Future[None]) -> Held:
    """Wait for a hold. A caller who left meanwhile gets it back at once."""
    try:
        await written
    except OutOfFunds:
        return await _what_is_left(world, ask, held)
    except asyncio.CancelledError:
        if written.exception() is None:
            await _give_back(world, ask, held)
        else:
            world.answering.discard(held.order_id)
        raise
    except BaseException:
        world.answering.discard(held.order_id)
        raise
    return held


async def _what_is_left(world: World, ask: Ask, held: Held) -> Held:
    running = asyncio.ensure_future(hold_what_is_left(world, held))  # noqa: TID251 - awaited right here
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait((running,))
        if running.exception() is None:
            await _give_back(world, ask, running.result())
        raise


async def _give_back(world: World, ask: Ask, held: Held) -> None:
    await settle(world, ask, held, End(outcome=Outcome.CANCELLED, attempt=None, tries=0))


async def _send(
    world: World, ask: Ask, attempts: list[Attempt], facts: AnswerFacts, held: Held, tries: Tries
) -> Answered:
    """Send; a vendor that has lost what it kept of the conversation is told it."""
    try:
        return await send(world, ask, attempts, facts, held.amount, tries)
    except NoAnswer as error:
        if tries.made >= world.settings.attempts_max or not must_be_told(ask, error.fault):
            raise
        tries.fault = None
        return await send(world, ask, attempts, facts, held.amount, tries)


async def _finish(world: World, ask: Ask, held: Held, answered: Answered, keep_it: Keep | None) -> Finished:
    whole = answered.answer
    assert isinstance(whole, Whole)
    body = await _kept(world, ask, held, answered, whole)
    end = await _end_of(world, ask, held, answered, whole)

    def finished(paid: Nanos) -> Finished:
        return Finished(body=body, content_type=whole.content_type, cost=paid, channel=answered.attempt.channel.name)

    if keep_it is None:
        paid = settle_later(world, ask, held, end)
        return finished(await settle(world, ask, held, end) if paid is None else paid)
    keep = keep_it
    return finished(await settle(world, ask, held, end, lambda tx, paid: keep(tx, finished(paid))))


async def _book_fault(world: World, ask: Ask, held: Held, answered: Answered, whole: Whole) -> None:
    """Book an answer that cannot be given: charged by what was told if the model is why, else the operator's."""
    if whole.usage is None:
        end = _lost(answered, held)
    else:
        end = await _end_of(world, ask, held, answered, whole)
        is_charged = isinstance(whole.fault, AnswerUnusable)
        end = msgspec.structs.replace(end, outcome=Outcome.CUT) if is_charged else unpaid(ask, held, end)
    await settle(world, ask, held, end)


async def _end_of(world: World, ask: Ask, held: Held, answered: Answered, whole: Whole) -> End:
    """Count what a whole answer used."""
    try:
        quantities = await used(ask, whole.usage, whole.texts, whole.raw, whole.outline)
    except BaseException:
        await settle(world, ask, held, _lost(answered, held))
        raise
    return _whole_end(answered, whole, quantities)


def finish_at_once(world: World, ask: Ask, held: Held, answered: Answered, whole: Whole) -> Finished | None:
    """Do the same where nothing has to be waited for; None, with nothing booked, where something has."""
    if ask.operation is Operation.RESPONSES:
        return None
    try:
        quantities = told(ask, whole.usage, whole.outline)
        if quantities is None:
            return None
        paid = settle_later(world, ask, held, _whole_end(answered, whole, quantities))
    except BaseException:
        # Our own mistake: the sweep finds that nobody works on it, and lists it as lost.
        world.answering.discard(held.order_id)
        raise
    if paid is None:
        return None
    channel = answered.attempt.channel.name
    return Finished(body=whole.body, content_type=whole.content_type, cost=paid, channel=channel)


def _whole_end(answered: Answered, whole: Whole, quantities: dict[str, int]) -> End:
    return End(
        outcome=Outcome.SUCCEEDED,
        attempt=answered.attempt,
        tries=answered.tries,
        quantities=quantities,
        told=whole.outline.fact,
        exposure=answered.exposure,
        first_byte_us=answered.first_byte_us,
    )


async def _kept(world: World, ask: Ask, held: Held, answered: Answered, whole: Whole) -> bytes:
    """Keep a response that the caller may ask for again; what cannot be kept is not given, and costs nothing."""
    if ask.operation is not Operation.RESPONSES or not whole.content_type.startswith("application/json"):
        return whole.body
    try:
        body = as_asked(ask, answered.attempt, whole.body)
        await keep(world, ask, answered.attempt, body)
    except BaseException:
        await settle(world, ask, held, _lost(answered, held))
        raise
    return body


def _lost(answered: Answered, held: Held) -> End:
    """What a vendor answered could not be given or counted: it is not charged, and listed for the operator."""
    exposure = Nanos(answered.exposure + held.amount)
    return End(outcome=Outcome.LOST, attempt=answered.attempt, tries=answered.tries, exposure=exposure)


def _facts(ask: Ask, held: Held, *, translated: bool) -> AnswerFacts:
    return AnswerFacts(
        id=held.order_id.removeprefix(ORDER_PREFIX),
        model=ask.named,
        created_s=ask.request.received_at // MICROSECONDS,
        body=ask.sent.whole() if translated else {},
        include_usage=not ask.stream or ask.include_usage,
    )
