"""What is asked and answered while counting: fixed bytes, of the sizes that the benchmark has."""

import json
from collections.abc import Sequence
from typing import Any

CHAT_MODEL, OTHER_MODEL, EMBEDDING_MODEL = "gpt-4o-mini", "claude-haiku-4-5", "text-embedding-3-small"
IMAGE_MODEL = "flux-pro-1.1"
CHUNKS = 50
_CHAT_CHARACTERS, _REPLY_CHARACTERS, _CHUNK_CHARACTERS = 1_300, 300, 20
_VECTORS, _DIMENSIONS = 8, 1_536
_WORDS = "the quick brown fox jumps over the lazy dog while seven wise owls watch from an old oak tree "


def chat(model: str = CHAT_MODEL, **more: Any) -> bytes:
    """A question of about 1.5 KB."""
    system = {"role": "system", "content": "Answer shortly."}
    user = {"role": "user", "content": _text(_CHAT_CHARACTERS)}
    return _json({"model": model, "max_tokens": 256, "messages": [system, user], **more})


def chat_streamed() -> bytes:
    return chat(stream=True, stream_options={"include_usage": True})


def chat_reply() -> bytes:
    """An answer of about 600 bytes, with usage."""
    message = {"role": "assistant", "content": _text(_REPLY_CHARACTERS)}
    usage = {"prompt_tokens": 380, "completion_tokens": 64, "total_tokens": 444}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return _json(_completion("chat.completion", [choice]) | {"usage": usage})


def chat_events(chunks: int) -> Sequence[bytes]:
    """A stream of so many chunks of about 200 bytes, and its end."""
    delta: dict[str, Any] = {"index": 0, "delta": {"content": _text(_CHUNK_CHARACTERS)}, "finish_reason": None}
    ending: dict[str, Any] = {"index": 0, "delta": {}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 380, "completion_tokens": chunks, "total_tokens": 380 + chunks}
    last = _completion("chat.completion.chunk", []) | {"usage": usage}
    frames = [_json(_completion("chat.completion.chunk", [each])) for each in (*[delta] * chunks, ending)]
    return [b"data: " + frame + b"\n\n" for frame in (*frames, _json(last), b"[DONE]")]


def other_reply() -> bytes:
    """The same answer in the format of another vendor."""
    return _json(
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": OTHER_MODEL,
            "content": [{"type": "text", "text": _text(_REPLY_CHARACTERS)}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 380, "output_tokens": 64},
        }
    )


def embedding() -> bytes:
    return _json({"model": EMBEDDING_MODEL, "input": [_text(100)] * _VECTORS, "encoding_format": "float"})


def embedding_reply() -> bytes:
    """Vectors of about 100 KB."""
    numbers = [round(((index * 37) % 1999 - 999) / 100_000, 6) for index in range(_DIMENSIONS)]
    data = [{"object": "embedding", "index": index, "embedding": numbers} for index in range(_VECTORS)]
    usage = {"prompt_tokens": 120, "total_tokens": 120}
    return _json({"object": "list", "data": data, "model": EMBEDDING_MODEL, "usage": usage})


def order() -> bytes:
    return _json({"prompt": "a lighthouse at dawn", "width": 1024, "height": 768})


def order_reply(vendor_url: str) -> bytes:
    return _json({"id": "job-1", "polling_url": f"{vendor_url}/v1/get_result?id=job-1"})


def _completion(kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": kind, "created": 1, "model": CHAT_MODEL, "choices": choices}


def _text(size: int) -> str:
    return (_WORDS * (size // len(_WORDS) + 1))[:size]


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
