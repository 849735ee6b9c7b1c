"""The answers of a realtime session that have not ended, and what of them is known to be booked."""

import asyncio
from collections.abc import Callable

from halley.kernel.clock import Clock
from halley.kernel.loose import as_object, as_text
from halley.pipeline.answers import realtime_meter as meter
from halley.pipeline.answers.realtime_books import Used
from halley.pipeline.answers.realtime_events import Event
from halley.pipeline.answers.realtime_meter import Context, Rates, Said, Told
from halley.usage.model import Outcome

TURNS_MAX = 32
"""Answers at once that may be asked for; of further ones only the vendor's own word is booked."""
_FAILED = "failed"
_OUTCOMES = {_FAILED: Outcome.FAILED, "cancelled": Outcome.CUT}


class Turns:
    """What was said and heard since the last answer, and in those that are on the way."""

    def __init__(self, clock: Clock, model: str) -> None:
        self._clock = clock
        self._model = model
        self._open: dict[str, Said] = {}
        self._asked = 0
        """Answers that were asked for and have not begun."""
        self._rates = Rates()
        self._transcriber: str | None = None
        self.told = Told()

    @property
    def open(self) -> bool:
        """Whether an answer is on the way."""
        return bool(self._open)

    @property
    def expected(self) -> int:
        """How many answers are on the way or asked for, as far as we know: a vendor may begin one by itself."""
        return len(self._open) + self._asked

    def ask(self) -> None:
        """The caller asks for an answer."""
        self._asked += 1

    def refuse(self) -> None:
        """An answer that was asked for will not come."""
        self._asked = max(0, self._asked - 1)

    def learn(self, event: Event) -> None:
        """Take in the session's settings."""
        self._rates = meter.rates_of(event.session)
        self._transcriber = meter.transcriber_of(event.session)

    def begin(self, event: Event) -> None:
        """An answer begins: one that was asked for, if there is one."""
        self._asked = max(0, self._asked - 1)
        if len(self._open) < TURNS_MAX:
            self._open[_id(event)] = Said(began_at=self._clock.now())

    def hear(self, event: Event) -> None:
        """A piece of an answer came."""
        said = self._open.get(as_text(event.response_id))
        if said is not None:
            said.hear(event, self._clock.now())

    async def end(self, event: Event, context: Context) -> Used:
        """An answer ended; give what is to be booked: by the vendor's word, else by what came of it.

        One that failed at the vendor costs nothing, whatever came of it.
        """
        response = as_object(event.response)
        said = self._open.get(_id(event)) or Said(began_at=self._clock.now())
        quantities = {} if response.get("status") == _FAILED else meter.of_response(response.get("usage"))
        if quantities is None:
            quantities = await self._counted(context, self.told, said)
        # Only now: should the session end while we count, `rest` must find it.
        if self._open.pop(_id(event), None) is None:
            self.refuse()
        self.told = Told()
        outcome = _OUTCOMES.get(as_text(response.get("status")), Outcome.SUCCEEDED)
        return _used(outcome, quantities, said)

    def transcribed(self, event: Event, public_id: Callable[[str], str]) -> Used | None:
        """What a caller said was written down; give what is to be booked, None where the vendor told nothing of it."""
        quantities = meter.of_transcription(event.usage)
        if quantities is None:
            return None
        model = public_id(self._transcriber) if self._transcriber else None
        return Used(outcome=Outcome.SUCCEEDED, quantities=quantities, model=model)

    async def rest(self, context: Context) -> list[Used]:
        """Give what is to be booked of answers that broke off with the session, each by itself."""
        broken = [one for one in self._open.values() if one.first_at is not None]
        self._open = {}
        told, rest = self.told, list[Used]()
        for said in broken:
            rest.append(_used(Outcome.CUT, await self._counted(context, told, said), said))
            told = Told()  # what the caller said is counted once
        return rest

    async def _counted(self, context: Context, told: Told, said: Said) -> dict[str, int]:
        if said.first_at is None:
            return {}
        return await asyncio.to_thread(meter.counted, self._model, context, told, said, self._rates)


def _used(outcome: Outcome, quantities: dict[str, int], said: Said) -> Used:
    first_byte_us = None if said.first_at is None else said.first_at - said.began_at
    return Used(outcome=outcome, quantities=quantities, began_at=said.began_at, first_byte_us=first_byte_us)


def _id(event: Event) -> str:
    return as_text(as_object(event.response).get("id"))
