"""The books of one realtime session: a hold before each turn, a post and a usage row after it.

A session may last an hour, so no hold covers it whole. Before the vendor is connected, and again before whatever may
begin a further turn, the most that one turn may cost is held (`realtime_meter.turn_ceiling`): the conversation so far,
which is read again, a generous new input and an answer, all at the price of sound; or what is left, when that at least
pays a short turn. The vendor's word on each answer posts it. A hold that no turn came for is voided.
"""

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

import msgspec

from halley.catalogue.model import Model
from halley.kernel.faults import OutOfFunds
from halley.kernel.money import Nanos
from halley.pipeline.answers.ask import Ask
from halley.pipeline.answers.attempt import Attempt
from halley.pipeline.answers.realtime_meter import Context, context_after, turn_ceiling
from halley.pipeline.answers.reserve import Held, reserve
from halley.pipeline.answers.settle import End, settle
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
    """One hold at a time. What is being written goes on when whoever asked for it is cancelled."""

    def __init__(self, world: World, ask: Ask, held: Held, attempt: Attempt, tries: int) -> None:
        self._world = world
        self._ask = ask
        self._held: Held | None = held
        self._attempt = attempt
        self._tries = tries
        self._lock = asyncio.Lock()
        self._writing: set[asyncio.Task[Any]] = set()
        self.context = Context()

    @property
    def ready(self) -> bool:
        """Whether a turn may begin."""
        return self._held is not None

    async def prepare(self) -> None:
        """Hold for the next turn if that is not done. Raises `OutOfFunds`, `NoPrice`."""
        if self._held is None:
            await self._surely(self._prepare())

    async def book(self, used: Used) -> None:
        """Book a turn. Raises as `prepare` does, should nothing have been held for it."""
        await self._surely(self._book(used))

    def remember(self, quantities: Mapping[str, int]) -> None:
        """Note how long the conversation is after an answer."""
        self.context = context_after(quantities)

    async def close(self, used: Used) -> None:
        """Book what broke off, and give back what was held."""
        if self._writing:
            await asyncio.wait(self._writing)
        await self._surely(self._close(used))

    async def _surely(self, work: Coroutine[Any, Any, T]) -> T:
        writing = asyncio.ensure_future(work)  # noqa: TID251 - awaited right here, and again by `close`
        self._writing.add(writing)
        writing.add_done_callback(self._writing.discard)
        return await asyncio.shield(writing)

    async def _prepare(self) -> Held:
        async with self._lock:
            return await self._open()

    async def _book(self, used: Used) -> None:
        async with self._lock:
            held = await self._open()
            # Whatever comes of the write, it is made for good: nobody else may use this hold.
            self._held = None
            await self._settle(held, used)

    async def _close(self, used: Used) -> None:
        async with self._lock:
            held, self._held = self._held, None
            if held is not None:
                await self._settle(held, used)

    async def _open(self) -> Held:
        if self._held is None:
            self._held = await hold_turn(self._world, self._ask, self._attempt.row, self.context)
        return self._held

    async def _settle(self, held: Held, used: Used) -> Nanos:
        ask = self._ask
        if used.model is not None and used.model != ask.model:
            prices = self._world.config.prices.of(used.model)
            if prices is not None:
                ask = msgspec.structs.replace(ask, model=used.model)
                held = msgspec.structs.replace(held, prices=prices)
        if used.began_at is not None:
            held = msgspec.structs.replace(held, created_at=used.began_at)
        end = End(
            outcome=used.outcome,
            attempt=self._attempt,
            tries=self._tries,
            quantities=used.quantities,
            first_byte_us=used.first_byte_us,
        )
        return await settle(self._world, ask, held, end)
