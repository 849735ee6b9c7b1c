"""The vendor's realtime endpoint over a websocket: text and audio turns, voice detection, function calls, interruption.

Speaks the current event names, and those of the beta to a client that asks for it (`OpenAI-Beta: realtime=v1`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

from halley.kernel.codec import decode, encode
from halley.kernel.loose import as_list, as_object, as_text
from halley.vendors.openai.simulated_errors import key_of, problem, refused_by_order
from halley.vendors.openai.simulated_realtime_ear import Change, Ear, Heard
from halley.vendors.openai.simulated_realtime_session import (
    TRANSCRIPTION,
    BadEvent,
    codec_of,
    for_response,
    new_session,
    shown,
    turn_detection,
    updated,
)
from halley.vendors.openai.simulated_realtime_talk import (
    INPUT_TOKENS_PER_S,
    Conversation,
    Item,
    heard_item,
    read_item,
    samples_of,
    shown_item,
)
from halley.vendors.openai.simulated_realtime_turn import BrokenOff, Context, Turn
from halley.vendors.simulate import (
    TASK_ONLY,
    AsgiApp,
    Directive,
    Outcome,
    Receive,
    Refusal,
    Reply,
    Scope,
    Send,
    SimulatorHost,
    count,
    directive_for,
    without_marker,
)
from halley.vendors.simulate.asgi import ABORT_EXTENSION
from halley.vendors.simulate.g711 import from_g711

PATH = "/v1/realtime"
SESSION_S = 3_600
AUDIO_MS_MIN = 100

_KEY_PROTOCOL = "openai-insecure-api-key."
_BETA_PROTOCOL = "openai-beta.realtime-v1"
# The beta's names of what is now called otherwise.
_BETA_NAMES: Mapping[str, str] = {
    "response.output_text.delta": "response.text.delta",
    "response.output_text.done": "response.text.done",
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio.done": "response.audio.done",
    "response.output_audio_transcript.delta": "response.audio_transcript.delta",
    "response.output_audio_transcript.done": "response.audio_transcript.done",
    "conversation.item.added": "conversation.item.created",
}


def with_realtime(app: AsgiApp, host: SimulatorHost) -> AsgiApp:
    """The app, which answers websockets at `/v1/realtime` as well."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await app(scope, receive, send)
            return
        host.journal.count_request(f"GET {PATH}")
        try:
            await _serve(host, scope, receive, send)
        except Refusal as refusal:
            await _deny(refusal.reply, send)

    return serve


async def _serve(host: SimulatorHost, scope: Scope, receive: Receive, send: Send) -> None:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    protocols: list[str] = scope["subprotocols"]
    if scope["path"] != PATH:
        raise Refusal(problem(404, f"Invalid URL (GET {scope['path']})"))
    keys = [name.removeprefix(_KEY_PROTOCOL) for name in protocols if name.startswith(_KEY_PROTOCOL)]
    own = keys[0] if keys else headers.get("api-key", "")
    key_of(headers.get("authorization") or f"Bearer {own}")
    query = parse_qs(scope["query_string"].decode("latin-1"))
    model = query.get("model", [""])[0]
    transcribes = query.get("intent") == ["transcription"]
    if model and transcribes:
        message = "You must not provide a model parameter for transcription sessions."
        raise Refusal(problem(400, message, code="invalid_model"))
    if not model and not transcribes:
        raise Refusal(problem(400, "You must provide a model parameter.", param="model", code="missing_model"))
    directive = _ordered(scope["headers"])
    is_beta = _BETA_PROTOCOL in protocols or "realtime=v1" in headers.get("openai-beta", "")
    await receive()
    await send({"type": "websocket.accept", "subprotocol": "realtime" if "realtime" in protocols else None})
    session = _Session(host, model, directive, is_beta=is_beta, send=send)
    try:
        await session.run(receive)
    except* BrokenOff:
        scope["extensions"][ABORT_EXTENSION]()
    except* OSError:
        # The client has gone while it was told something.
        pass


def _ordered(headers: Any) -> Directive:
    try:
        directive = directive_for(headers, None, without=TASK_ONLY)
    except ValueError as error:
        raise Refusal(problem(400, str(error))) from error
    refused = refused_by_order(directive)
    if refused is not None and directive.outcome is not Outcome.CONTENT_MODERATED:
        raise Refusal(refused)
    return directive


async def _deny(reply: Reply, send: Send) -> None:
    headers = [(b"content-type", reply.type.encode())]
    headers += [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers]
    await send({"type": "websocket.http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": reply.body})


class _Session:
    """One connection."""

    def __init__(self, host: SimulatorHost, model: str, directive: Directive, *, is_beta: bool, send: Send) -> None:
        self._host = host
        self._send = send
        self._is_beta = is_beta
        self._directive = directive
        self._settings = new_session(
            model, f"sess_{host.base32_id()}", expires_at=host.clock.now() // 1_000_000 + SESSION_S
        )
        self._ear = Ear()
        self._item_id = self._new_item_id()
        """Of what is in the ear now."""
        self._conversation = Conversation()
        self._turn: Turn | None = None
        self._group: asyncio.TaskGroup | None = None
        self._speaking: set[asyncio.Task[None]] = set()
        self._handlers: Mapping[str, Callable[[dict[str, Any]], Awaitable[None]]] = {
            "session.update": self._update,
            "input_audio_buffer.append": self._append,
            "input_audio_buffer.commit": self._commit,
            "input_audio_buffer.clear": self._clear,
            "conversation.item.create": self._create_item,
            "conversation.item.retrieve": self._retrieve_item,
            "conversation.item.truncate": self._truncate_item,
            "conversation.item.delete": self._delete_item,
            "response.create": self._create_response,
            "response.cancel": self._cancel_response,
        }

    async def run(self, receive: Receive) -> None:
        """Answer events until the client leaves."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            await self._tell({"type": "session.created", "session": shown(self._settings, is_beta=self._is_beta)})
            while (message := await receive())["type"] != "websocket.disconnect":
                await self._answer(message.get("text"))
            # What is being said is heard by nobody any more.
            for task in self._speaking:
                task.cancel()

    async def _answer(self, text: str | None) -> None:
        event: dict[str, Any] = {}
        try:
            event = _parsed(text)
            await self._handler(event.get("type"))(event)
        except BadEvent as error:
            await self._tell_error(error, event.get("event_id"))

    def _handler(self, kind: object) -> Callable[[dict[str, Any]], Awaitable[None]]:
        handler = self._handlers.get(as_text(kind))
        if handler is None:
            allowed = ", ".join(f"'{name}'" for name in self._handlers)
            raise BadEvent(f"Invalid value: '{kind}'. Supported values are: {allowed}.", param="type")
        return handler

    # the session

    async def _update(self, event: dict[str, Any]) -> None:
        given = as_object(event.get("session"))
        self._settings = updated(self._settings, given, is_beta=self._is_beta)
        await self._tell({"type": "session.updated", "session": shown(self._settings, is_beta=self._is_beta)})

    # listening

    async def _append(self, event: dict[str, Any]) -> None:
        data = samples_of(event.get("audio"), "audio")
        codec = codec_of(self._settings, "input")
        if not self._ear.append(data if codec == "pcm" else from_g711(data, codec)):
            raise BadEvent("The input audio buffer is full; commit or clear it.", code="input_audio_buffer_full")
        turn = turn_detection(self._settings)
        for heard in self._ear.listen(turn) if turn is not None else []:
            await self._notice(heard)

    async def _notice(self, heard: Heard) -> None:
        turn = turn_detection(self._settings)
        assert turn is not None
        if heard.change is Change.STARTED:
            at = {"audio_start_ms": heard.at_ms, "item_id": self._item_id}
            await self._tell({"type": "input_audio_buffer.speech_started", **at})
            if turn.interrupts and self._turn is not None:
                self._turn.stop("turn_detected")
            return
        at = {"audio_end_ms": heard.at_ms, "item_id": self._item_id}
        await self._tell({"type": "input_audio_buffer.speech_stopped", **at})
        await self._take_in(heard.pcm)
        if turn.creates_response and self._settings["type"] != TRANSCRIPTION:
            await self._start_turn({}, waits=True)

    async def _commit(self, _event: dict[str, Any]) -> None:
        if self._ear.buffered_ms < AUDIO_MS_MIN:
            raise BadEvent(
                f"Error committing input audio buffer: buffer too small. Expected at least {AUDIO_MS_MIN}ms of audio, "
                f"but buffer only has {self._ear.buffered_ms:.2f}ms of audio.",
                code="input_audio_buffer_commit_empty",
            )
        await self._take_in(self._ear.take())

    async def _clear(self, _event: dict[str, Any]) -> None:
        self._ear.take()
        await self._tell({"type": "input_audio_buffer.cleared"})

    async def _take_in(self, pcm: bytes) -> None:
        """Make what was said an item of the conversation."""
        item, self._item_id = heard_item(pcm, self._item_id), self._new_item_id()
        committed = {"previous_item_id": self._conversation.last_id, "item_id": item.id}
        await self._tell({"type": "input_audio_buffer.committed", **committed})
        await self._add(item)
        if self._settings["audio"]["input"]["transcription"]:
            await self._transcribe(item)

    async def _transcribe(self, item: Item) -> None:
        audio, said = round(item.audio_s * INPUT_TOKENS_PER_S), without_marker(item.text)
        kind = "conversation.item.input_audio_transcription"
        where = {"item_id": item.id, "content_index": 0}
        usage = {
            "type": "tokens",
            "input_tokens": audio,
            "input_token_details": {"text_tokens": 0, "audio_tokens": audio},
            "output_tokens": count(said),
            "total_tokens": audio + count(said),
        }
        await self._tell({"type": f"{kind}.delta", **where, "delta": said})
        await self._tell({"type": f"{kind}.completed", **where, "transcript": said, "usage": usage})

    # items

    async def _create_item(self, event: dict[str, Any]) -> None:
        after = event.get("previous_item_id")
        await self._add(read_item(event.get("item"), self._new_item_id()), after=after)

    async def _add(self, item: Item, *, after: str | None = None) -> None:
        previous = self._conversation.add(item, after=after)
        told = {"previous_item_id": previous, "item": shown_item(item, is_beta=self._is_beta)}
        await self._tell({"type": "conversation.item.added", **told})
        if not self._is_beta:
            await self._tell({"type": "conversation.item.done", **told})

    async def _retrieve_item(self, event: dict[str, Any]) -> None:
        item = self._conversation.get(as_text(event.get("item_id")))
        shape = shown_item(item, is_beta=self._is_beta)
        await self._tell({"type": "conversation.item.retrieved", "item": shape})

    async def _truncate_item(self, event: dict[str, Any]) -> None:
        item = self._conversation.get(as_text(event.get("item_id")))
        part = as_object(next(iter(as_list(item.value.get("content"))), None))
        if part.get("type") != "output_audio":
            raise BadEvent("Only model output audio messages can be truncated.", param="item_id")
        end_ms = event.get("audio_end_ms")
        if not isinstance(end_ms, int) or not 0 <= end_ms <= item.audio_s * 1_000:
            length_ms = round(item.audio_s * 1_000)
            message = f"Audio content of {length_ms}ms is already shorter than {end_ms}ms"
            raise BadEvent(message, param="audio_end_ms")
        # What was not heard is no part of the conversation, its transcript neither.
        value = item.value | {"content": [part | {"transcript": ""}]}
        self._conversation.replace(Item(value=value, audio_s=end_ms / 1_000))
        where = {"item_id": item.id, "content_index": event.get("content_index", 0), "audio_end_ms": end_ms}
        await self._tell({"type": "conversation.item.truncated", **where})

    async def _delete_item(self, event: dict[str, Any]) -> None:
        item_id = as_text(event.get("item_id"))
        self._conversation.delete(item_id)
        await self._tell({"type": "conversation.item.deleted", "item_id": item_id})

    # responses

    async def _create_response(self, event: dict[str, Any]) -> None:
        if self._settings["type"] == TRANSCRIPTION:
            raise BadEvent("A transcription session gives no responses.", param="type")
        if self._turn is not None:
            raise BadEvent(
                f"Conversation already has an active response in progress: {self._turn.id}. "
                "Wait until the response is finished before creating a new one.",
                code="conversation_already_has_active_response",
            )
        await self._start_turn(as_object(event.get("response")), waits=False)

    async def _cancel_response(self, event: dict[str, Any]) -> None:
        wanted = event.get("response_id")
        if self._turn is None or wanted not in (None, self._turn.id):
            raise BadEvent("Cancellation failed: no active response found", code="response_cancel_not_active")
        self._turn.stop("client_cancelled")

    async def _start_turn(self, given: dict[str, Any], *, waits: bool) -> None:
        settings = for_response(self._settings, given, is_beta=self._is_beta)
        items = self._conversation.items
        if isinstance(given.get("input"), list):
            items = tuple(read_item(each, self._new_item_id()) for each in given["input"])
        directive = self._directive_of(items, settings)
        if await self._is_broken_off(directive):
            return
        context = Context(host=self._host, tell=self._tell, conversation=self._conversation, is_beta=self._is_beta)
        turn, earlier = Turn(context, settings, items, directive), self._turn
        self._turn = turn
        assert self._group is not None
        task = self._group.create_task(self._run_turn(turn, after=earlier if waits else None))
        self._speaking.add(task)
        task.add_done_callback(self._speaking.discard)

    async def _run_turn(self, turn: Turn, *, after: Turn | None) -> None:
        if after is not None:
            await after.ended.wait()
        try:
            await turn.run()
        finally:
            turn.ended.set()
            if self._turn is turn:
                self._turn = None

    def _directive_of(self, items: tuple[Item, ...], settings: dict[str, Any]) -> Directive:
        spoken = [item.text for item in items if item.is_user]
        prompt = spoken[-1] if spoken else as_text(settings["instructions"])
        try:
            marked = directive_for((), prompt, without=TASK_ONLY)
        except ValueError as error:
            raise BadEvent(str(error), param="item") from error
        return self._directive if marked == Directive() else marked

    async def _is_broken_off(self, directive: Directive) -> bool:
        """Do what was ordered instead of any answer."""
        match directive.outcome:
            case Outcome.RESET_AFTER_SEND:
                raise BrokenOff
            case Outcome.GARBAGE:
                await self._tell({})
            case Outcome.TIMEOUT_AFTER_SEND:
                pass
            case _:
                return False
        return True

    # telling

    async def _tell(self, event: dict[str, Any]) -> None:
        """Send an event; an empty one is sent as what is no JSON."""
        if not event:
            await self._send({"type": "websocket.send", "text": '{"type": "response.output'})
            return
        kind = _BETA_NAMES.get(event["type"], event["type"]) if self._is_beta else event["type"]
        told = {"type": kind, "event_id": f"event_{self._host.base32_id()}"} | event | {"type": kind}
        await self._send({"type": "websocket.send", "text": encode(told).decode()})

    async def _tell_error(self, error: BadEvent, event_id: Any) -> None:
        told = {
            "type": "invalid_request_error",
            "code": error.code,
            "message": str(error),
            "param": error.param,
            "event_id": event_id if isinstance(event_id, str) else None,
        }
        await self._tell({"type": "error", "error": told})

    def _new_item_id(self) -> str:
        return f"item_{self._host.base32_id()}"


def _parsed(text: str | None) -> dict[str, Any]:
    try:
        value = decode(text) if text is not None else None
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise BadEvent("The server could not parse the event: expected a JSON object.", code="invalid_json")
    return as_object(value)
