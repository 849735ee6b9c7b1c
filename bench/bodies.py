"""What callers send and what the vendor of the bench answers: fixed bytes of fixed sizes. Pure."""

import json
from typing import Any

CHAT_MODEL = "gpt-4o-mini"
EMBEDDING_MODEL = "text-embedding-3-small"
IMAGE_MODEL = "flux-pro-1.1"

CHAT_BYTES, CHAT_REPLY_BYTES = 1_500, 600
LARGE_BYTES, LARGE_REPLY_BYTES = 20_000, 4_000
CHUNK_BYTES = 200
CHUNKS = 50
CHUNK_EVERY_S = 0.02
EMBEDDING_TEXTS, EMBEDDING_DIMENSIONS = 8, 1_536

LARGE_MARK = "of the large kind"
HOLD_MARK = "hold the line"
"""In a prompt: the vendor answers with the large reply; it begins a stream and then falls silent."""
TIME_MARK = b"@"
TIME_DIGITS = 19
_WORDS = "the quick brown fox jumps over the lazy dog while seven wise owls watch from an old oak tree "


def chat_body() -> bytes:
    return _chat(CHAT_BYTES, "Answer shortly.")


def large_body() -> bytes:
    return _chat(LARGE_BYTES, f"An answer {LARGE_MARK}, please.")


def stream_body() -> bytes:
    return _chat(CHAT_BYTES, "Answer piece by piece.", stream=True)


def hold_body() -> bytes:
    return _chat(CHAT_BYTES, f"Begin and then {HOLD_MARK}.", stream=True)


def embedding_body() -> bytes:
    texts = [_text(100)] * EMBEDDING_TEXTS
    return _json({"model": EMBEDDING_MODEL, "input": texts, "encoding_format": "float"})


def order_body() -> bytes:
    return _json({"prompt": "a lighthouse at dawn", "width": 1024, "height": 768})


def chat_reply(size: int = CHAT_REPLY_BYTES) -> bytes:
    """A whole answer of exactly `size` bytes, with usage."""
    reply = _completion("chat.completion", {"message": {"role": "assistant", "content": ""}, "finish_reason": "stop"})
    reply["usage"] = {"prompt_tokens": 380, "completion_tokens": 64, "total_tokens": 444}
    return _padded(reply, size, reply["choices"][0]["message"], "content")


def chunk_frame() -> tuple[bytes, bytes]:
    """What stands before and after the time in one event of `CHUNK_BYTES` bytes; the time is in its text."""
    stamp = "@" + "0" * TIME_DIGITS + "@"
    chunk = _completion("chat.completion.chunk", {"delta": {"content": stamp}, "finish_reason": None})
    room = CHUNK_BYTES - len(b"data: \n\n") - len(_json(chunk))
    assert room >= 0, "the chunk does not fit"
    chunk["choices"][0]["delta"]["content"] = stamp + _text(room)
    event = b"data: " + _json(chunk) + b"\n\n"
    assert len(event) == CHUNK_BYTES, len(event)
    head, _, tail = event.partition(stamp.encode())
    return head + TIME_MARK, TIME_MARK + tail


def last_events() -> bytes:
    """The end of a stream: why it ended, what it used, and the mark that closes it."""
    ending = _completion("chat.completion.chunk", {"delta": {}, "finish_reason": "stop"})
    usage = _completion("chat.completion.chunk", {})
    usage["choices"] = []
    usage["usage"] = {"prompt_tokens": 380, "completion_tokens": CHUNKS, "total_tokens": 380 + CHUNKS}
    return b"".join(b"data: " + each + b"\n\n" for each in (_json(ending), _json(usage), b"[DONE]"))


def embedding_reply() -> bytes:
    """About 100 KB: eight vectors of 1,536 numbers."""
    numbers = [round(((index * 37) % 1999 - 999) / 100_000, 6) for index in range(EMBEDDING_DIMENSIONS)]
    data = [{"object": "embedding", "index": index, "embedding": numbers} for index in range(EMBEDDING_TEXTS)]
    usage = {"prompt_tokens": 120, "total_tokens": 120}
    return _json({"object": "list", "data": data, "model": EMBEDDING_MODEL, "usage": usage})


def _chat(size: int, wish: str, *, stream: bool = False) -> bytes:
    user = {"role": "user", "content": ""}
    messages = [{"role": "system", "content": wish}, user]
    body: dict[str, Any] = {"model": CHAT_MODEL, "max_tokens": 256, "messages": messages}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return _padded(body, size, user, "content")


def _completion(kind: str, choice: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": kind,
        "created": 1,
        "model": CHAT_MODEL,
        "choices": [{"index": 0, **choice}],
    }


def _padded(value: dict[str, Any], size: int, holder: dict[str, Any], name: str) -> bytes:
    room = size - len(_json(value))
    assert room >= 0, "it does not fit"
    holder[name] += _text(room)
    return _json(value)


def _text(size: int) -> str:
    return (_WORDS * (size // len(_WORDS) + 1))[:size]


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
