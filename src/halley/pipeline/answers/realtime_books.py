"""The books of one realtime session: a hold before each turn, a post and a usage row after it.

A session may last an hour, so no hold covers it whole. Before the vendor is connected, and again before whatever may
begin a further turn, the most that one turn may cost is held (`realtime_meter.turn_ceiling`): the conversation so far,
which is read again, a generous new input and an answer, all at the price of sound; or what is left, when that at least
pays a short turn. Answers that are on their way at once have a hold each. The vendor's word on each answer posts it,
also one that came with no hold: what it used is excess, and shortfall beyond what is left. A hold that no turn came for
is voided.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from halley.catalogue.model import Model
from halley.kernel.faults import OutOfFunds
from halley.kernel.money import ZERO, Nanos
from halley.ledger import store as ledger
from halley.pipeline.answers.ask import Ask
from halley.pipeline.answers.attempt import Attempt
from halley.pipeline.answers.realtime_meter import Context, context_after, turn_ceiling
from halley.pipeline.answers.reserve import ORDER_PREFIX, Held, reserve
from halley.pipeline.answers.settle import End, settle
from halley.pipeline.persist import write_surely
from halley.usage.model import Outcome
from halley.world import World

T = TypeVar("T")


class Used(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be booked of one turn. Without quantities nothing is charged."""

    outcome: Outcome
    quantities: dict[str, int] = {}
    began_at: int | None = None
    first_byte_us: int | None = None
    model: str | None = None
    """Another public model than the session's, whose price then counts."""


async def hold_turn(world: World, ask: Ask, row: Model | None, context: Context) -> Held:
    """Hold for one turn: a long one, else one that is short. Raises `OutOfFunds`, `NoPrice`."""
    try:
        return await reserve(world, ask, turn_ceiling(row, context))
    except OutOfFunds:
        return await reserve(world, ask, turn_ceiling(row, context, short=True))


class Books:
    """The holds of one session. What is being written goes on when whoever asked for it is cancelled."""

    def __init__(self, world: World, ask: Ask, held: Held, attempt: Attempt, tries: int) -> None:
        self._world = world
        self._ask = ask
        self._held = deque((held,))
        self._last = held
        self._attempt = attempt
        self._tries = tries
        self._lock = asyncio.Lock()
        self._writing: set[asyncio.Task[Any]] = set()
        self.context = Context()

    async def prepare(self, wanted: Callable[[], int]) -> None:
        """Hold until there are as many holds as are wanted then. Raises `OutOfFunds`, `NoPrice`."""
        if len(self._held) < wanted():
            await self._surely(self._prepare(wanted))

    async def book(self, used: Used, others: int) -> None:
        """Book a turn, by a hold that is not one of so many that are for other answers, else by none."""
        # Taken at once: whatever comes of the write, nobody else may use this hold.
        held = self._held.popleft() if len(self._held) > others else None
        await self._surely(self._book(held, used))

    def remember(self, quantities: Mapping[str, int]) -> None:
        """Note how long the conversation is after an answer."""
        self.context = context_after(quantities)

    async def close(self, rest: Sequence[Used]) -> None:
        """Book what broke off, and give back what was held."""
        if self._writing:
            await asyncio.wait(self._writing)
        await self._surely(self._close(rest))

    async def _surely(self, work: Coroutine[Any, Any, T]) -> T:
        writing = asyncio.ensure_future(work)  # noqa: TID251 - awaited right here, and again by `close`
        self._writing.add(writing)
        writing.add_done_callback(self._writing.discard)
        return await asyncio.shield(writing)

    async def _prepare(self, wanted: Callable[[], int]) -> None:
        async with self._lock:
            while len(self._held) < wanted():
                self._last = await hold_turn(self._world, self._ask, self._attempt.row, self.context)
                self._held.append(self._last)

    async def _book(self, held: Held | None, used: Used) -> None:
        # Under the lock, so that who prepares meanwhile finds what this gives back.
        async with self._lock:
            await self._settle(held or await self._hold_nothing(), used)

    async def _close(self, rest: Sequence[Used]) -> None:
        async with self._lock:
            for used in rest:
                await self._settle(self._held.popleft() if self._held else await self._hold_nothing(), used)
            while self._held:
                await self._settle(self._held.popleft(), Used(outcome=Outcome.CANCELLED))

    async def _hold_nothing(self) -> Held:
        """Give a turn that is over what it is booked by, at the prices of the one before."""
        world, identity = self._world, self._world.ids.new()
        held = msgspec.structs.replace(
            self._last, id=f"hold_{identity}", order_id=ORDER_PREFIX + identity, amount=ZERO, now=world.clock.now()
        )
        world.answering.add(held.order_id)
        try:
            await write_surely(world, "hold_nothing", lambda tx: ledger.hold_nothing(tx, held))
        except BaseException:
            world.answering.discard(held.order_id)
            raise
        return held

    async def _settle(self, held: Held, used: Used) -> Nanos:
        ask = self._ask
        if used.model is not None and used.model != ask.model:
            prices = self._world.config.prices.of(used.model)
            if prices is not None:
                ask = msgspec.structs.replace(ask, model=used.model)
                held = msgspec.structs.replace(held, prices=prices)
        if used.began_at is not None:
            held = msgspec.structs.replace(held, now=used.began_at)
        end = End(
            outcome=used.outcome,
            attempt=self._attempt,
            tries=self._tries,
            quantities=used.quantities,
            first_byte_us=used.first_byte_us,
        )
        return await settle(self._world, ask, held, end)
