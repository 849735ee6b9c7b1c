"""One response of a realtime session: its events from `response.created` to `response.done`, however it ends."""

import asyncio
import itertools
from base64 import b64encode
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from halley.kernel.chat import StopReason
from halley.vendors.openai.simulated_errors import refused_by_order
from halley.vendors.openai.simulated_realtime_session import (
    beta_format,
    beta_modalities,
    codec_of,
    speaks,
)
from halley.vendors.openai.simulated_realtime_talk import Conversation, Item, ask_of, input_usage, shown_item
from halley.vendors.simulate import Directive, Outcome, Plan, PlannedCall, SimulatorHost, count, pieces, plan_chat
from halley.vendors.simulate.codecs import RATE, SAMPLE_BYTES
from halley.vendors.simulate.g711 import to_g711
from halley.vendors.simulate.speech import speak

PIECE_S = 0.2
OUTPUT_TOKENS_PER_S = 20
REQUESTS_LIMIT, TOKENS_LIMIT = 5_000, 2_000_000

Tell = Callable[[dict[str, Any]], Awaitable[None]]
"""Sends an event; it gets its `event_id`, and its older name if need be."""


class BrokenOff(Exception):
    """The connection shall end now, as the test ordered."""


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What a turn needs of its session."""

    host: SimulatorHost
    tell: Tell
    conversation: Conversation
    is_beta: bool


class Turn:
    """A response being made; `stop` ends it early."""

    def __init__(
        self, context: Context, settings: dict[str, Any], items: tuple[Item, ...], directive: Directive
    ) -> None:
        self.id = f"resp_{context.host.base32_id()}"
        self.ended = asyncio.Event()
        self._context = context
        self._settings = settings
        self._items = items
        self._directive = directive
        self._stopping = asyncio.Event()
        self._reason: str | None = None
        self._pause_s = 0.0
        self._output: list[Item] = []
        self._audio_tokens = 0
        self._text_tokens = 0

    def stop(self, reason: str) -> None:
        """End it: `turn_detected` or `client_cancelled`."""
        self._reason = self._reason or reason
        self._stopping.set()

    async def run(self) -> None:
        """Tell all of it. Raises `BrokenOff`."""
        tell = self._context.tell
        if self._directive.outcome is Outcome.SLOW_FIRST_BYTE:
            await self._context.host.clock.sleep(self._directive.delay_s or 5.0)
        await tell({"type": "response.created", "response": self._response("in_progress")})
        await tell({"type": "rate_limits.updated", "rate_limits": self._rate_limits()})
        # A moderated content ends in the middle.
        is_moderated = self._directive.outcome is Outcome.CONTENT_MODERATED
        refused = None if is_moderated else refused_by_order(self._directive)
        if refused is not None:
            await self._end_failed(msgspec.json.decode(refused.body)["error"])
            return
        try:
            plan = plan_chat(ask_of(self._items, self._settings, self._directive))
        except ValueError as error:
            await self._end_failed({"type": "invalid_request_error", "code": "invalid_value", "message": str(error)})
            return
        if await self._say_all(plan):
            await self._end(*_ending(plan, self._reason))

    async def _say_all(self, plan: Plan) -> bool:
        """Tell every item; `False` if it has failed in the middle."""
        words = plan.text or plan.refusal
        if words:
            is_whole = await self._say_audio(words) if speaks(self._settings) else await self._say_text(words)
            if not is_whole:
                return False
        for call in plan.calls:
            if self._reason is None and not await self._call(call, is_cut=plan.stop is StopReason.LENGTH):
                return False
        return True

    # items

    async def _say_text(self, words: str) -> bool:
        item = self._message({"type": "output_text", "text": ""})
        await self._open(item, {"type": "text", "text": ""})
        said = ""
        self._set_pace(len(pieces(words)))
        for place, piece in enumerate(pieces(words)):
            if not await self._goes_on(place, len(pieces(words))):
                return False
            if self._reason is not None:
                break
            said += piece
            await self._delta(item, "response.output_text.delta", delta=piece)
        self._text_tokens += count(said)
        await self._delta(item, "response.output_text.done", text=said)
        await self._close(item, {"type": "output_text", "text": said}, {"type": "text", "text": said})
        return True

    async def _say_audio(self, words: str) -> bool:
        voice = self._settings["audio"]["output"]["voice"]
        name = voice if isinstance(voice, str) else voice.get("id", "")
        pcm = await asyncio.to_thread(lambda: speak(words, voice=name))
        sounds = _cut(pcm)
        texts = _shared_out(pieces(words), len(sounds))
        item = self._message({"type": "output_audio", "transcript": ""})
        await self._open(item, {"type": "audio", "transcript": ""})
        said, seconds = "", 0.0
        self._set_pace(len(sounds))
        for place, (sound, text) in enumerate(zip(sounds, texts, strict=True)):
            if not await self._goes_on(place, len(sounds)):
                return False
            if self._reason is not None:
                break
            said, seconds = said + text, seconds + len(sound) / SAMPLE_BYTES / RATE
            if text:
                await self._delta(item, "response.output_audio_transcript.delta", delta=text)
            await self._delta(item, "response.output_audio.delta", delta=b64encode(self._encoded(sound)).decode())
        self._audio_tokens += round(seconds * OUTPUT_TOKENS_PER_S)
        self._text_tokens += count(said)
        await self._delta(item, "response.output_audio.done")
        await self._delta(item, "response.output_audio_transcript.done", transcript=said)
        kept = {"type": "output_audio", "transcript": said}
        await self._close(item, kept, {"type": "audio", "transcript": said}, audio_s=seconds)
        return True

    async def _call(self, call: PlannedCall, *, is_cut: bool) -> bool:
        call_id = f"call_{self._context.host.base32_id()}"
        value = {"name": call.name, "call_id": call_id, "arguments": ""}
        item = self._new("function_call", value)
        await self._add(item)
        where = {"response_id": self.id, "item_id": item.id, "output_index": len(self._output), "call_id": call_id}
        parts = pieces(call.arguments)
        self._set_pace(len(parts))
        for place, piece in enumerate(parts):
            if not await self._goes_on(place, len(parts)):
                return False
            if self._reason is not None:
                break
            event = {"type": "response.function_call_arguments.delta", **where, "delta": piece}
            await self._context.tell(event)
        self._text_tokens += count(call.name) + count(call.arguments)
        done = {"type": "response.function_call_arguments.done", **where, "name": call.name}
        await self._context.tell(done | {"arguments": call.arguments})
        status = "incomplete" if is_cut or self._reason is not None else "completed"
        whole = Item(
            value=item.value | {"arguments": call.arguments, "status": status}, text=f"{call.name} {call.arguments}"
        )
        await self._finish(whole)
        return True

    def _message(self, part: dict[str, Any]) -> Item:
        return self._new("message", {"role": "assistant", "content": [part]})

    def _new(self, kind: str, fields: dict[str, Any]) -> Item:
        item_id = f"item_{self._context.host.base32_id()}"
        value = {"id": item_id, "object": "realtime.item", "type": kind, "status": "in_progress"}
        return Item(value=value | fields)

    async def _open(self, item: Item, part: dict[str, Any]) -> None:
        await self._add(Item(value=item.value | {"content": []}))
        await self._delta(item, "response.content_part.added", part=part)

    async def _add(self, item: Item) -> None:
        context = self._context
        shown = shown_item(item, is_beta=context.is_beta)
        place = {"response_id": self.id, "output_index": len(self._output)}
        await context.tell({"type": "response.output_item.added", **place, "item": shown})
        if self._settings["conversation"] == "none":
            return
        previous = context.conversation.add(item)
        await context.tell({"type": "conversation.item.added", "previous_item_id": previous, "item": shown})

    async def _close(self, item: Item, kept: dict[str, Any], part: dict[str, Any], *, audio_s: float = 0.0) -> None:
        await self._delta(item, "response.content_part.done", part=part)
        status = "completed" if self._reason is None else "incomplete"
        value = item.value | {"content": [kept], "status": status}
        await self._finish(Item(value=value, text=kept.get("text") or kept.get("transcript", ""), audio_s=audio_s))

    async def _finish(self, item: Item) -> None:
        context = self._context
        shown = shown_item(item, is_beta=context.is_beta)
        if self._settings["conversation"] != "none":
            context.conversation.replace(item)
            if not context.is_beta:
                await context.tell({"type": "conversation.item.done", "previous_item_id": None, "item": shown})
        place = {"response_id": self.id, "output_index": len(self._output)}
        await context.tell({"type": "response.output_item.done", **place, "item": shown})
        self._output.append(item)

    async def _delta(self, item: Item, kind: str, **fields: Any) -> None:
        where = {"response_id": self.id, "item_id": item.id, "output_index": len(self._output), "content_index": 0}
        await self._context.tell({"type": kind, **where, **fields})

    # the pace, and breaks in it

    def _set_pace(self, steps: int) -> None:
        is_slow_start = self._directive.outcome is Outcome.SLOW_FIRST_BYTE
        self._pause_s = 0.0 if is_slow_start else (self._directive.delay_s or 0.0) / max(1, steps)

    async def _goes_on(self, place: int, steps: int) -> bool:
        """Wait for the next step, and break off in the middle if a test ordered it; `False` when it has failed."""
        if place == (steps + 1) // 2 and not await self._passes_middle():
            return False
        if self._reason is None:
            await self._wait()
        return True

    async def _wait(self) -> None:
        if not self._pause_s:
            # Let the client's events in between.
            await asyncio.sleep(0)
            return
        async with asyncio.TaskGroup() as group:
            either = [
                group.create_task(self._context.host.clock.sleep(self._pause_s)),
                group.create_task(_waited(self._stopping)),
            ]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            for task in either:
                task.cancel()

    async def _passes_middle(self) -> bool:
        match self._directive.outcome:
            case Outcome.CUT_STREAM:
                raise BrokenOff
            case Outcome.STALL_STREAM:
                await asyncio.Event().wait()
            case Outcome.MALFORMED_FRAME:
                await self._context.tell({})
            case Outcome.ERROR_FRAME:
                error = {"type": "server_error", "code": "server_error", "message": "The model failed in mid-response."}
                await self._context.tell({"type": "error", "error": error | {"param": None, "event_id": None}})
                await self._end_failed(error)
                return False
            case _:
                pass
        return True

    # the end

    async def _end_failed(self, error: dict[str, Any]) -> None:
        told = {name: error.get(name) for name in ("type", "code", "message")}
        await self._end("failed", {"type": "failed", "error": told})

    async def _end(self, status: str, details: dict[str, Any] | None) -> None:
        read = input_usage(self._items, self._settings, before=self._context.conversation.tokens_before)
        total_in = read["text_tokens"] + read["audio_tokens"]
        total_out = self._text_tokens + self._audio_tokens
        self._context.conversation.tokens_before = total_in
        usage = {
            "total_tokens": total_in + total_out,
            "input_tokens": total_in,
            "output_tokens": total_out,
            "input_token_details": read,
            "output_token_details": {"text_tokens": self._text_tokens, "audio_tokens": self._audio_tokens},
        }
        response = self._response(status) | {"status_details": details, "usage": usage}
        await self._context.tell({"type": "response.done", "response": response})

    def _response(self, status: str) -> dict[str, Any]:
        settings, is_beta = self._settings, self._context.is_beta
        audio_out = settings["audio"]["output"]
        said = {
            "object": "realtime.response",
            "id": self.id,
            "status": status,
            "status_details": None,
            "output": [shown_item(item, is_beta=is_beta) for item in self._output],
            "conversation_id": None if settings["conversation"] == "none" else "conv_simulated",
            "max_output_tokens": settings["max_output_tokens"],
            "usage": None,
            "metadata": settings["metadata"],
        }
        if is_beta:
            shape = {"modalities": beta_modalities(settings), "voice": audio_out["voice"], "temperature": 0.8}
            return said | shape | {"output_audio_format": beta_format(audio_out)}
        shape = {"format": audio_out["format"], "voice": audio_out["voice"]}
        return said | {"output_modalities": settings["output_modalities"], "audio": {"output": shape}}

    def _rate_limits(self) -> list[dict[str, Any]]:
        limits = {"requests": REQUESTS_LIMIT, "tokens": TOKENS_LIMIT}
        return [
            {"name": name, "limit": limit, "remaining": limit - 1, "reset_seconds": 0.01}
            for name, limit in limits.items()
        ]

    def _encoded(self, pcm: bytes) -> bytes:
        codec = codec_of(self._settings, "output")
        return pcm if codec == "pcm" else to_g711(pcm, codec)


async def _waited(event: asyncio.Event) -> None:
    await event.wait()


def _ending(plan: Plan, reason: str | None) -> tuple[str, dict[str, Any] | None]:
    """Status and details of a response that has not failed."""
    if reason is not None:
        return "cancelled", {"type": "cancelled", "reason": reason}
    if plan.stop is StopReason.LENGTH:
        return "incomplete", {"type": "incomplete", "reason": "max_output_tokens"}
    if plan.stop is StopReason.FILTERED:
        return "incomplete", {"type": "incomplete", "reason": "content_filter"}
    return "completed", None


def _cut(pcm: bytes) -> list[bytes]:
    step = round(PIECE_S * RATE) * SAMPLE_BYTES
    return [pcm[start : start + step] for start in range(0, len(pcm), step)]


def _shared_out(parts: list[str], number: int) -> list[str]:
    """The pieces of text beside so many pieces of sound."""
    ends = [len(parts) * place // number for place in range(number + 1)]
    return ["".join(parts[start:end]) for start, end in itertools.pairwise(ends)]
