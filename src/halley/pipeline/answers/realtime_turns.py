"""The answers of a realtime session that have not ended, and what of them is known to be booked."""

import asyncio
from collections import deque
from collections.abc import Mapping
from itertools import count
from typing import Any

from halley.kernel.clock import Clock
from halley.kernel.loose import as_object, as_text
from halley.pipeline.answers import realtime_meter as meter
from halley.pipeline.answers.realtime_books import Used
from halley.pipeline.answers.realtime_events import Event
from halley.pipeline.answers.realtime_meter import Context, Heard, Rates, Said, Told
from halley.usage.model import Outcome

TURNS_MAX = 32
"""Answers at once that may be asked for; of further ones only the vendor's own word is booked."""
ENDED_MAX = 256
"""Answers that have ended, known again should a vendor tell of one twice; the oldest are forgotten first."""
MARK_LENGTH = 16
"""Characters that nobody can guess, by which the events of one session that ask for answers are known."""
_ABOUT_ANSWERS = frozenset(("conversation_already_has_active_response",))
"""Codes of errors that refuse an answer, also where they name no event."""
_FAILED = "failed"
_OUTCOMES = {_FAILED: Outcome.FAILED, "cancelled": Outcome.CUT}


class Turns:
    """What was said and heard since the last answer, and in those that are on the way."""

    def __init__(self, clock: Clock, model: str, mark: str) -> None:
        self._clock = clock
        self._model = model
        self._mark = f"evt_{mark}_"
        self._open: dict[str, Said] = {}
        self._ended = deque[str](maxlen=ENDED_MAX)
        self._asked: list[str] = []
        """Answers that were asked for and have not begun, the oldest first: the numbers of their events."""
        self._numbers = count()
        self._rates = Rates()
        self._heard = Heard()
        self.told = Told()
        self.transcriber: str | None = None
        """What writes down the caller's sound, as the vendor tells it."""

    @property
    def open(self) -> bool:
        """Whether an answer is on the way."""
        return bool(self._open)

    @property
    def expected(self) -> int:
        """How many answers are on the way or asked for, as far as we know: a vendor may begin one by itself."""
        return len(self._open) + len(self._asked)

    def ask(self, own_id: str | None) -> str:
        """The caller asks for an answer; give the id by which the vendor is to know the event.

        Nobody can guess it, so nothing else that the caller sends bears it: what is refused under it is this answer.
        """
        number = str(next(self._numbers))
        self._asked.append(number)
        return f"{self._mark}{number}_{own_id or ''}"

    def own_id(self, event_id: str) -> str | None:
        """Give the caller's own id of an event that the vendor knows by this one."""
        return self._parted(event_id)[1] or None

    def refuse(self, event_id: str) -> None:
        """What was asked for by this event will not come."""
        number, _ = self._parted(event_id)
        if number in self._asked:
            self._asked.remove(number)

    def fail(self, error: Mapping[str, Any]) -> None:
        """The vendor tells of an error: an answer that was asked for will not come, if it is about one."""
        named = as_text(error.get("event_id"))
        if named:
            self.refuse(named)
        elif as_text(error.get("code")) in _ABOUT_ANSWERS:
            self._take_oldest()

    def learn(self, event: Event) -> None:
        """Take in the session's settings."""
        self._rates = meter.rates_of(event.session)
        self.transcriber = meter.transcriber_of(event.session)

    def take(self, kind: str, frame: str) -> None:
        """The caller sends an event."""
        self.told.take(kind, frame)
        self._heard.take(kind, frame)

    def empty_ear(self, event: Event) -> None:
        """What was heard since the last item is one now, or forgotten."""
        if event.type.endswith("committed"):
            self._heard.commit(as_text(event.item_id))
        else:
            self._heard.clear()

    def begin(self, event: Event) -> bool:
        """An answer begins: one that was asked for, if there is one. False where nobody asked for it."""
        if _id(event) in self._open:
            return True
        if _id(event) in self._ended:
            # A vendor that gives each answer the same id.
            self._ended.remove(_id(event))
        was_asked = bool(self._asked)
        self._take_oldest()
        if len(self._open) < TURNS_MAX:
            self._open[_id(event)] = Said(began_at=self._clock.now())
        return was_asked

    def hear(self, event: Event) -> None:
        """A piece of an answer came."""
        said = self._open.get(as_text(event.response_id))
        if said is not None:
            said.hear(event, self._clock.now())

    async def end(self, event: Event, context: Context) -> Used | None:
        """An answer ended; give what is to be booked: by the vendor's word, else by what came of it.

        One that failed at the vendor costs nothing, whatever came of it. None for one that has ended before.
        """
        if _id(event) in self._ended:
            return None
        response = as_object(event.response)
        said = self._open.get(_id(event)) or Said(began_at=self._clock.now())
        quantities = {} if response.get("status") == _FAILED else meter.of_response(response.get("usage"))
        if quantities is None:
            quantities = await self._counted(context, self.told, said)
        # Only now: should the session end while we count, `rest` must find it.
        if self._open.pop(_id(event), None) is None:
            self._take_oldest()
        if _id(event):
            self._ended.append(_id(event))
        self.told = Told()
        outcome = _OUTCOMES.get(as_text(response.get("status")), Outcome.SUCCEEDED)
        return _used(outcome, quantities, said)

    async def transcribed(self, event: Event, model: str) -> Used:
        """What a caller said was written down by this model; give what is to be booked."""
        heard_s = meter.seconds_of(self._heard.written_down(as_text(event.item_id)), self._rates.heard)
        quantities = await asyncio.to_thread(
            meter.of_transcription, model, event.usage, heard_s, as_text(event.transcript)
        )
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

    def _take_oldest(self) -> None:
        """A vendor names the answer that begins, but not the event that asked for it."""
        del self._asked[:1]

    def _parted(self, event_id: str) -> tuple[str, str]:
        """Give number and own id of an event that asked for an answer; of any other an empty number and its id."""
        if not event_id.startswith(self._mark):
            return "", event_id
        number, _, own_id = event_id.removeprefix(self._mark).partition("_")
        return number, own_id

    async def _counted(self, context: Context, told: Told, said: Said) -> dict[str, int]:
        if said.first_at is None:
            return {}
        return await asyncio.to_thread(meter.counted, self._model, context, told, said, self._rates)


def _used(outcome: Outcome, quantities: dict[str, int], said: Said) -> Used:
    first_byte_us = None if said.first_at is None else said.first_at - said.began_at
    return Used(outcome=outcome, quantities=quantities, began_at=said.began_at, first_byte_us=first_byte_us)


def _id(event: Event) -> str:
    return as_text(as_object(event.response).get("id"))
