"""What tests of odd vendors share: pieces of answers, and calls in each format."""

import json
from typing import Any

from tests.answers.house import (
    HELLO,
    MODEL,
    PER_INPUT,
    PER_OUTPUT,
    House,
    chat_body,
    chunk,
    soon,
)
from tests.answers.vendor import Exchange, Script, events, stream

from halley.kernel.sse import DONE, Splitter

CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
CONTENT = "/v1beta/models/%s:streamGenerateContent?alt=sse"
ARRAY = "/v1beta/models/%s:streamGenerateContent"
GIVEN = {"contents": [{"role": "user", "parts": [{"text": "Hello there"}]}]}
PICTURE = {"image_url": {"url": "pictures/1.png"}}
ERROR = {"error": {"message": "upstream overloaded", "type": "server_error", "code": 503}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
FULL = 100 * PER_INPUT + 20 * PER_OUTPUT
"""What the usual usage costs."""


def piece(delta: dict[str, Any], finish: str | None = None, index: int = 0) -> dict[str, Any]:
    return {**chunk(), "choices": [{"index": index, "delta": delta, "finish_reason": finish}]}


def candidate(text: str, index: int = 0, **fields: Any) -> dict[str, Any]:
    one = {"index": index, "content": {"role": "model", "parts": [{"text": text}]}, **fields}
    return {"candidates": [one], "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 5}}


def body_for(path: str, *, streams: bool = True) -> dict[str, Any]:
    """A call in the format of this path, of a model of OpenAI's."""
    match path:
        case "/v1/chat/completions":
            return chat_body(stream=streams)
        case "/v1/messages":
            return {"model": MODEL, "messages": HELLO, "max_tokens": 99, "stream": streams}
        case "/v1/responses":
            return {"model": MODEL, "input": "Hello there", "stream": streams}
        case _:
            return GIVEN


async def told(house: House, path: str, *frames: bytes, then: Script = Exchange.end, **fields: Any) -> bytes:
    """Give what a caller of this format gets of a stream, whose end comes once the caller has got some of it."""
    received = bytearray()

    async def arrived() -> bool:
        return bool(received)

    async def later(exchange: Exchange) -> None:
        await soon(arrived)
        await then(exchange)

    house.vendor.will(stream(*frames, then=later))
    async with house.posting(path, {**body_for(path), **fields}) as response:
        async for data in response.content.iter_any():
            received += data
    return bytes(received)


def values_of(data: bytes) -> list[dict[str, Any]]:
    frames = [frame for _, frame in Splitter().feed(data) if frame is not None and frame.data != DONE]
    return [json.loads(frame.data) for frame in frames]


def ending(*values: Any) -> Script:
    """End a stream properly behind these frames."""

    async def script(exchange: Exchange) -> None:
        await exchange.piece(b"".join(events(*values, done=False)))
        await exchange.end()

    return script
