"""A planned chat in the vendor's shape: one object, or the chunks of a stream. Pure."""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any

import msgspec

from halley.kernel.chat import StopReason
from halley.kernel.codec import encode
from halley.kernel.sse import DONE, frame
from halley.vendors.openai.simulated_call import fingerprint
from halley.vendors.openai.simulated_conversation import Talk
from halley.vendors.simulate import Plan, pieces, portions

AUDIO_CHARACTERS_PER_CHUNK = 16_384
AUDIO_TOKENS_PER_WORD = 4
_FINISHED = {
    StopReason.END: "stop",
    StopReason.LENGTH: "length",
    StopReason.TOOLS: "tool_calls",
    StopReason.STOP_SEQUENCE: "stop",
    StopReason.FILTERED: "content_filter",
    StopReason.REFUSED: "stop",
    StopReason.PAUSED: "stop",
}


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """What a reply is made of."""

    id: str
    created_s: int
    model: str
    plans: tuple[Plan, ...]
    call_ids: tuple[tuple[str, ...], ...]
    talk: Talk
    top_logprobs: int | None = None
    """None if no logprobs were asked for."""
    shows_reasoning: bool = False
    """In `reasoning_content`, as vendors do that conform to this one; it itself only counts."""
    is_legacy: bool = False
    """`function_call` instead of `tool_calls`."""
    include_usage: bool = False
    audio: tuple[dict[str, Any] | None, ...] = ()


def whole(shape: Shape) -> dict[str, Any]:
    """The reply as one object."""
    return {
        **_head(shape, "chat.completion"),
        "choices": [_choice(shape, place) for place in range(len(shape.plans))],
        "usage": usage(shape),
    }


def usage(shape: Shape) -> dict[str, Any]:
    """What all choices took; their prompt counts once."""
    first = shape.plans[0].usage
    spoken = sum(_audio_tokens(audio) for audio in shape.audio)
    output = sum(plan.usage.output for plan in shape.plans) + spoken
    return {
        "prompt_tokens": first.input,
        "completion_tokens": output,
        "total_tokens": first.input + output,
        "prompt_tokens_details": {"cached_tokens": first.cached, "audio_tokens": shape.talk.audio_tokens},
        "completion_tokens_details": {
            "reasoning_tokens": sum(plan.usage.reasoning for plan in shape.plans),
            "audio_tokens": spoken,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def frames(shape: Shape) -> list[bytes]:
    """The reply as a stream; the choices take turns."""
    head = _head(shape, "chat.completion.chunk")
    more: dict[str, Any] = {"usage": None} if shape.include_usage else {}
    deltas = [_deltas(shape, place) for place in range(len(shape.plans))]
    chunks = [
        frame(encode({**head, "choices": [choice], **more}))
        for turn in zip_longest(*deltas)
        for choice in turn
        if choice is not None
    ]
    if shape.include_usage:
        chunks.append(frame(encode({**head, "choices": [], "usage": usage(shape)})))
    return [*chunks, frame(DONE)]


def _head(shape: Shape, kind: str) -> dict[str, Any]:
    return {
        "id": shape.id,
        "object": kind,
        "created": shape.created_s,
        "model": shape.model,
        "service_tier": "default",
        "system_fingerprint": fingerprint(shape.model),
    }


def _choice(shape: Shape, place: int) -> dict[str, Any]:
    plan, audio = shape.plans[place], _audio_of(shape, place)
    has_text = bool(plan.text) or not (plan.calls or plan.refusal)
    message: dict[str, Any] = {
        "role": "assistant",
        "content": plan.text if has_text and audio is None else None,
        "refusal": plan.refusal or None,
        "annotations": [],
    }
    if shape.shows_reasoning and plan.reasoning:
        message["reasoning_content"] = plan.reasoning
    if audio is not None:
        message["audio"] = audio
    if plan.calls and shape.is_legacy:
        message["function_call"] = {"name": plan.calls[0].name, "arguments": plan.calls[0].arguments}
    elif plan.calls:
        message["tool_calls"] = [
            {"id": call_id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call_id, call in zip(shape.call_ids[place], plan.calls, strict=True)
        ]
    return {
        "index": place,
        "message": message,
        "logprobs": _logprobs(shape, plan),
        "finish_reason": _finished(shape, plan),
    }


def _deltas(shape: Shape, place: int) -> Iterator[dict[str, Any]]:
    """The choices of one index, chunk by chunk."""
    plan, audio = shape.plans[place], _audio_of(shape, place)

    def choice(delta: dict[str, Any], *, logprobs: Any = None, finished: str | None = None) -> dict[str, Any]:
        return {"index": place, "delta": delta, "logprobs": logprobs, "finish_reason": finished}

    first = {"content": None} if plan.calls or audio is not None else {"content": ""}
    yield choice({"role": "assistant", **first, "refusal": None})
    if shape.shows_reasoning:
        yield from (choice({"reasoning_content": piece}) for piece in portions(plan.reasoning))
    if audio is None:
        for piece in portions(plan.text):
            yield choice({"content": piece}, logprobs=_logprobs_of(shape, pieces(piece)))
    else:
        yield from (choice({"audio": part}) for part in _audio_parts(audio))
    yield from (choice({"refusal": piece}) for piece in portions(plan.refusal))
    yield from (choice(delta) for delta in _call_deltas(shape, place))
    yield choice({}, finished=_finished(shape, plan))


def _call_deltas(shape: Shape, place: int) -> Iterator[dict[str, Any]]:
    plan = shape.plans[place]
    if shape.is_legacy:
        for call in plan.calls[:1]:
            yield {"function_call": {"name": call.name, "arguments": ""}}
            yield from ({"function_call": {"arguments": piece}} for piece in portions(call.arguments))
        return
    for index, (call_id, call) in enumerate(zip(shape.call_ids[place], plan.calls, strict=True)):
        begun = {"id": call_id, "type": "function", "function": {"name": call.name, "arguments": ""}}
        yield {"tool_calls": [{"index": index, **begun}]}
        for piece in portions(call.arguments):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def _finished(shape: Shape, plan: Plan) -> str:
    reason = _FINISHED[plan.stop]
    return "function_call" if shape.is_legacy and reason == "tool_calls" else reason


# sound


def _audio_of(shape: Shape, place: int) -> dict[str, Any] | None:
    return shape.audio[place] if place < len(shape.audio) else None


def _audio_tokens(audio: dict[str, Any] | None) -> int:
    return 0 if audio is None else AUDIO_TOKENS_PER_WORD * len(audio["transcript"].split())


def _audio_parts(audio: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield {"id": audio["id"], "transcript": ""}
    yield from ({"transcript": piece} for piece in portions(audio["transcript"]))
    data = audio["data"]
    for start in range(0, len(data), AUDIO_CHARACTERS_PER_CHUNK):
        yield {"data": data[start : start + AUDIO_CHARACTERS_PER_CHUNK]}
    yield {"expires_at": audio["expires_at"]}


# logprobs


def _logprobs(shape: Shape, plan: Plan) -> dict[str, Any] | None:
    return _logprobs_of(shape, pieces(plan.text)) if plan.text else None


def _logprobs_of(shape: Shape, tokens: Sequence[str]) -> dict[str, Any] | None:
    if shape.top_logprobs is None:
        return None
    return {"content": [_logprob(token, shape.top_logprobs) for token in tokens], "refusal": None}


def _logprob(token: str, top: int) -> dict[str, Any]:
    """A token with what might have stood in its place; the likeliest is the token itself."""
    chance = -(hashlib.sha256(token.encode()).digest()[0] % 100) / 1_000
    others = [(f"{token}{'~' * place}", round(chance - 2.5 * place, 4)) for place in range(top)]
    return {
        "token": token,
        "logprob": chance,
        "bytes": list(token.encode()),
        "top_logprobs": [{"token": other, "logprob": value, "bytes": list(other.encode())} for other, value in others],
    }
