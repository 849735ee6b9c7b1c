"""The way of a realtime session: choose, reserve, connect, relay both ways, settle turn by turn."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol

from halley.accounts.rules import KEYS_TOPIC
from halley.db import DatabaseUnavailable, WriterClosed, WriterOverloaded
from halley.kernel import faults
from halley.kernel.faults import BadRequest, CallerFault, Fault, OutOfFunds
from halley.kernel.loose import as_object, as_text
from halley.pipeline.admit import OverLimit, allow_model, confirm, limit
from halley.pipeline.answers.ask import Ask
from halley.pipeline.answers.choose import choose
from halley.pipeline.answers.realtime_books import Books, Used, hold_turn
from halley.pipeline.answers.realtime_connect import TRANSCRIPTION, Connected, connect
from halley.pipeline.answers.realtime_ending import (
    Ending,
    SessionExpired,
    SessionIdle,
    Side,
    about_operator,
    ending_of_fault,
    of_client,
    of_vendor,
)
from halley.pipeline.answers.realtime_events import (
    UPDATES,
    Event,
    cancel_event,
    error_event,
    read_caller_event,
    read_vendor_event,
    session_model,
    transcribers,
    with_error_about,
    with_event_id,
    with_session_model,
)
from halley.pipeline.answers.realtime_meter import Context
from halley.pipeline.answers.realtime_turns import MARK_LENGTH, TURNS_MAX, Turns
from halley.pipeline.answers.send import NoAnswer, note_fault, note_well, ordered
from halley.pipeline.answers.settle import End, settle
from halley.upstream.errors import UpstreamError
from halley.upstream.websocket import Closed, Unreadable
from halley.usage.model import Outcome
from halley.world import World

SESSION_S_MAX = 3_600.0
IDLE_S_MAX = 1_800.0
"""No frame either way for so long ends a session."""
TICK_S = 1.0
DRAIN_MARGIN_S = 2.0
"""Of the time to stop, left for the books and the closing frames."""
_ASKS = "response.create"
_SETTINGS = frozenset(
    f"{kind}.{end}" for kind in ("session", "transcription_session") for end in ("created", "updated")
)


class Left(Exception):
    """The caller is gone, or takes no frame any more."""


class ClientSocket(Protocol):
    """The caller's side of a session."""

    async def receive(self) -> str | Unreadable | Closed:
        """Give the next frame, or the end."""
        ...

    async def send(self, text: str) -> None:
        """Send a frame, waiting while the caller is slow. Raises `Left`."""
        ...

    async def aclose(self, code: int, reason: str) -> None:
        """Close, if the caller is still there."""
        ...


async def open_session(world: World, ask: Ask, intent: str | None = None) -> "Session":
    """Connect a vendor, the first turn's money held. Faults are raised, and then nothing is charged.

    Whoever takes the session must `run` it.
    """
    if ask.caller.livemode and ask.request.directive is not None:
        message = "`Halley-Test` orders endings from the simulators; use a test key (`sk-test-…`) with it"
        raise BadRequest(message, param="Halley-Test")
    if not ask.caller.livemode:
        ordered(ask)
    attempts = choose(world, ask)
    row = attempts[0].row
    if row is not None and row.kind is not ask.kind and intent != TRANSCRIPTION:
        message = f"`{ask.named}` only writes down what it hears; open its session with `intent={TRANSCRIPTION}`"
        raise BadRequest(message, param="model")
    held = await hold_turn(world, ask, attempts[0].row, Context())
    try:
        connected = await connect(world, ask, attempts, intent)
    except NoAnswer as error:
        end = End(outcome=Outcome.FAILED, attempt=error.last, tries=error.tries)
        await asyncio.shield(settle(world, ask, held, end))
        raise error.fault from error
    except BaseException:
        # The caller left, or we are at fault: no session began.
        await asyncio.shield(settle(world, ask, held, End(outcome=Outcome.CANCELLED, attempt=None, tries=0)))
        raise
    return Session(world, ask, connected, Books(world, ask, held, connected.attempt, connected.tries))


class Session:
    """One connected session. Frames pass; beside them the turns are counted, booked and bounded.

    Of a caller's frame at most the model is changed, or the id of an event that asks for an answer; of an error the
    latter is changed back.
    """

    def __init__(self, world: World, ask: Ask, connected: Connected, books: Books) -> None:
        self._world = world
        self._ask = ask
        self._attempt = connected.attempt
        self._vendor = connected.socket
        self._books = books
        self._turns = Turns(world.clock, ask.model, world.ids.secret(MARK_LENGTH))
        self._event_id = f"evt_{ask.request.id}"
        self._began_s = self._seen_s = world.clock.monotonic()
        self._telling = False
        """Whether an event of the vendor's is on its way to the caller."""
        self._works = False
        """Whether the vendor has answered anything: until then the channel's health knows nothing of the session."""
        self._answering = False
        """Whether there was a first answer."""
        self._transcriber: str | None = None
        """What the caller last named to write down its sound."""

    async def run(self, client: ClientSocket) -> Ending:
        """Relay until one side leaves or may not go on; both are closed and all is booked then."""
        ending = Ending(by=Side.US, code=1011, reason="internal_error")
        try:
            ending = await self._relay(client)
            if ending.by is not Side.CLIENT:
                await self._tell(client, ending)
        finally:
            await asyncio.shield(self._end(ending))
        return ending

    async def abandon(self) -> None:
        """End a session that nobody will run."""
        await asyncio.shield(self._end(Ending(by=Side.CLIENT, code=1001)))

    async def _relay(self, client: ClientSocket) -> Ending:
        try:
            async with asyncio.TaskGroup() as group:
                for work in (self._from_client(client), self._from_vendor(client), self._watch()):
                    group.create_task(_until_over(work))
        except BaseExceptionGroup as ended:
            return _first_ending(ended)
        raise AssertionError("a relay ends by raising")

    # the caller's frames

    async def _from_client(self, client: ClientSocket) -> None:
        while True:
            frame = await client.receive()
            if isinstance(frame, Closed):
                raise _Over(of_client(frame))
            if isinstance(frame, Unreadable):
                fault = BadRequest("Send events as text frames; binary frames are not understood")
                raise _Over(Ending(by=Side.US, code=1003, reason=fault.code, fault=fault))
            self._seen_s = self._world.clock.monotonic()
            kind, event_id = read_caller_event(frame)
            try:
                frame = await self._admitted(kind, event_id, frame)
            except CallerFault as fault:
                if isinstance(fault, OutOfFunds) and not self._turns.expected:
                    raise
                await client.send(error_event(fault, self._event_id, event_id))
                continue
            self._turns.take(kind, frame)
            await self._vendor.send(frame)

    async def _admitted(self, kind: str, event_id: str | None, frame: str) -> str:
        """Give the frame as the vendor gets it, once what it may begin is held for: the vendor may begin an answer.

        Raises `OutOfFunds`, `OverLimit`, and for another model `BadRequest` or `Forbidden`.
        """
        if kind == _ASKS:
            return await self._asking(event_id, frame)
        if kind in UPDATES:
            frame = self._own_model(frame)
            self._admit_transcribers(frame)
        await self._books.prepare(self._holds)
        return frame

    async def _asking(self, event_id: str | None, frame: str) -> str:
        """Do the same for a frame that asks for an answer, which has a hold of its own."""
        if self._turns.expected >= TURNS_MAX:
            raise BadRequest(f"{TURNS_MAX} answers are on their way; wait for one of them to end")
        self._count_answer()
        known_as = self._turns.ask(event_id)
        try:
            frame = with_event_id(frame, known_as)
            await self._books.prepare(self._holds)
        except BaseException:
            self._turns.refuse(known_as)
            raise
        return frame

    def _count_answer(self) -> None:
        """Count one more answer against the key's limits; the first counted with the upgrade. Raises `OverLimit`."""
        if self._answering:
            limit(self._world, self._ask.caller, 1)
        self._answering = True

    def _holds(self) -> int:
        return max(1, self._turns.expected)

    def _own_model(self, frame: str) -> str:
        """Name the session's model as the vendor does. Another one would have another price."""
        named, wanted = session_model(frame), self._attempt.vendor_model
        if named is None or named == wanted:
            return frame
        if named != self._ask.named and self._world.catalogue.public_id(named) != self._ask.model:
            message = f"The session's model is `{self._ask.named}`; open another session for `{named[:100]}`"
            raise BadRequest(message, param="session.model")
        return with_session_model(frame, wanted)

    def _admit_transcribers(self, frame: str) -> None:
        """See that the key may use what is to write down its sound, and that it has a price."""
        for named in transcribers(frame):
            model = self._world.catalogue.public_id(named)
            allow_model(self._ask.caller, model)
            if self._ask.caller.livemode and not self._is_priced(model):
                message = f"Model `{named[:100]}` has no price; the operator sets one under `[[prices]]` in halley.toml"
                raise BadRequest(message, param="session.audio.input.transcription.model")
            self._transcriber = model

    def _is_priced(self, model: str) -> bool:
        return self._world.config.prices.of(model) is not None

    # the vendor's frames

    async def _from_vendor(self, client: ClientSocket) -> None:
        while True:
            frame = await self._vendor.receive()
            if isinstance(frame, Closed):
                raise _Over(of_vendor(frame))
            if isinstance(frame, Unreadable):
                raise faults.VendorBroken("The vendor sent what is no event; what was received is charged")
            self._seen_s = self._world.clock.monotonic()
            event = read_vendor_event(frame)
            # The end of an answer is booked before it is told; until it is told, the answer has not ended.
            self._telling = event is not None
            if event is not None:
                frame = await self._noticed(client, event, frame)
            await client.send(frame)
            self._telling = False

    async def _noticed(self, client: ClientSocket, event: Event, frame: str) -> str:
        """Count and book what an event tells; give the frame for the caller."""
        match event.type:
            case "response.created":
                await self._begun(client, event)
            case "response.done":
                used = await self._turns.end(event, self._books.context)
                if used is not None:
                    await self._book(used, event)
            case "conversation.item.input_audio_transcription.completed":
                await self._book(await self._turns.transcribed(event, self._heard_by()), event)
            case "input_audio_buffer.committed" | "input_audio_buffer.cleared":
                self._turns.empty_ear(event)
            case kind if kind in _SETTINGS:
                self._turns.learn(event)
            case "error":
                return self._failed(as_object(event.error), frame)
            case kind if kind.startswith("response.") and kind.endswith(".delta"):
                self._turns.hear(event)
            case _:
                pass
        return frame

    async def _begun(self, client: ClientSocket, event: Event) -> None:
        """Hold for an answer; one that the vendor began by itself, after a pause in speech, counts here.

        Beyond the key's limits it is cut short, and charged for what comes of it.
        """
        if not self._turns.begin(event):
            try:
                self._count_answer()
            except OverLimit as fault:
                await self._vendor.send(cancel_event(event.response))
                await client.send(error_event(fault, self._event_id))
        await self._books.prepare(self._holds)

    def _heard_by(self) -> str:
        """Give the model by whose price a transcription is charged: as the vendor tells it, else as the caller does."""
        told = self._turns.transcriber
        known = (self._world.catalogue.public_id(told) if told else None, self._transcriber)
        return next((each for each in known if each is not None and self._is_priced(each)), self._ask.model)

    def _failed(self, error: dict[str, Any], frame: str) -> str:
        self._turns.fail(error)
        named = as_text(error.get("event_id"))
        about, fault = self._turns.own_id(named), about_operator(error)
        if fault is not None:
            return error_event(fault, self._event_id, about)
        return frame if (about or "") == named else with_error_about(frame, about)

    async def _book(self, used: Used, event: Event) -> None:
        if not self._works and used.outcome is not Outcome.FAILED:
            self._works = True
            note_well(self._world, self._attempt)
        await self._books.book(used, self._turns.expected)
        if used.quantities and as_text(as_object(event.response).get("conversation_id")):
            self._books.remember(used.quantities)

    # beside the frames

    async def _watch(self) -> None:
        """End the session when its key was revoked, its time is over, nothing happens, or the gateway stops."""
        world = self._world
        confirmed: int | None = None
        draining_since: float | None = None
        with world.db.wakeups.subscribe(KEYS_TOPIC) as waiter:
            woken = True
            while True:
                epoch = world.callers.epoch
                if woken or epoch != confirmed:
                    confirmed = epoch if await self._confirmed() else None
                now = world.clock.monotonic()
                self._check_time(now)
                if world.draining:
                    draining_since = now if draining_since is None else draining_since
                    self._check_draining(now - draining_since)
                woken = await waiter.wait(TICK_S)

    async def _confirmed(self) -> bool:
        """Whether the key is known to be good; False when nobody could say. Raises `Unauthenticated`."""
        try:
            await confirm(self._world, self._ask.caller)
        except DatabaseUnavailable:
            return False
        return True

    def _check_time(self, now: float) -> None:
        if now - self._began_s >= SESSION_S_MAX:
            raise SessionExpired(
                f"The session has reached its maximum of {SESSION_S_MAX / 60:.0f} minutes; open another"
            )
        if now - self._seen_s >= IDLE_S_MAX:
            raise SessionIdle(f"Nothing was said for {IDLE_S_MAX / 60:.0f} minutes; open another session")

    def _check_draining(self, seconds: float) -> None:
        """Between two answers a session is cut at once, in an answer when the time to stop is nearly over."""
        if not (self._turns.open or self._telling) or seconds >= self._world.settings.drain_s - DRAIN_MARGIN_S:
            raise _Over(Ending(by=Side.US, code=1012, reason="the gateway restarts; connect again"))

    # the end

    async def _tell(self, client: ClientSocket, ending: Ending) -> None:
        try:
            if ending.fault is not None:
                await client.send(error_event(ending.fault, self._event_id))
            await client.aclose(ending.code, ending.reason)
        except Left:
            pass  # nobody is there to be told

    async def _end(self, ending: Ending) -> None:
        if not self._works and isinstance(ending.fault, faults.VendorFault):
            note_fault(self._world, self._ask, self._attempt, ending.fault)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(
                    self._vendor.aclose(ending.vendor_code, ending.reason if ending.by is Side.CLIENT else "")
                )
                group.create_task(self._settle_rest())
        finally:
            self._world.bounds.leave(self._attempt.channel.id)

    async def _settle_rest(self) -> None:
        await self._books.close(await self._turns.rest(self._books.context))


class _Over(Exception):
    """A session ends."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.reason)
        self.ending = ending


async def _until_over(work: Coroutine[Any, Any, None]) -> None:
    """Turn whatever ends a session into `_Over`."""
    try:
        await work
    except Left as error:
        raise _Over(Ending(by=Side.CLIENT, code=1001)) from error
    except UpstreamError as error:
        raise _Over(of_vendor(Closed(code=1006))) from error
    except Fault as fault:
        raise _Over(ending_of_fault(fault)) from fault
    except (DatabaseUnavailable, WriterClosed, WriterOverloaded) as error:
        fault = faults.Draining("The gateway cannot keep its books at the moment; open another session soon")
        raise _Over(ending_of_fault(fault)) from error


def _first_ending(ended: BaseExceptionGroup[BaseException]) -> Ending:
    """Give why the session ended; what nobody foresaw is raised."""
    for error in ended.exceptions:
        if not isinstance(error, _Over):
            raise error
    endings = [error.ending for error in ended.exceptions if isinstance(error, _Over)]
    return min(endings, key=lambda ending: ending.by is Side.CLIENT)
