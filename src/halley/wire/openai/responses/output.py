"""Items of an output as they are written: one builder per type, used whole and in streams."""

from typing import Any

from halley.kernel.chat import Blob, BlobKind, Thinking, ToolCall
from halley.wire.openai.chat.calls import write_signature
from halley.wire.openai.responses.envelope import COMPLETED
from halley.wire.openai.responses.items import seal_of, summary_of


def text_part(text: str, notes: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {"type": "output_text", "annotations": notes or [], "logprobs": [], "text": text}


def refusal_part(text: str) -> dict[str, Any]:
    return {"type": "refusal", "refusal": text}


def summary_part(text: str) -> dict[str, Any]:
    return {"type": "summary_text", "text": text}


def message_item(identity: str, content: list[dict[str, Any]], status: str = COMPLETED) -> dict[str, Any]:
    return {"id": identity, "type": "message", "status": status, "role": "assistant", "content": content}


def reasoning_item(identity: str, thought: Thinking) -> dict[str, Any]:
    """A thought; what proves or hides it goes where OpenAI puts its sealed thoughts."""
    item = {"id": identity, "type": "reasoning", "summary": summary_of(thought)}
    sealed = seal_of(thought)
    return item if sealed is None else {**item, "encrypted_content": sealed}


def call_item(identity: str, call: ToolCall, status: str = COMPLETED) -> dict[str, Any]:
    return {
        "id": identity,
        "type": "function_call",
        "status": status,
        "call_id": call.id,
        "name": call.name,
        "arguments": call.arguments,
        **write_signature(call.signature),
    }


def picture_item(identity: str, blob: Blob) -> dict[str, Any]:
    """An image with its data. Raises `ValueError` for what is no image."""
    if blob.kind is not BlobKind.IMAGE:
        raise ValueError(f"an answer in responses cannot hold a blob of the kind {blob.kind}")
    kind = (blob.media_type or "image/png").rpartition("/")[2]
    return {
        "id": identity,
        "type": "image_generation_call",
        "status": COMPLETED,
        "result": blob.data,
        "output_format": kind,
    }


def picture_text(blob: Blob) -> str | None:
    """Words for an image that is only linked: an item has no place for links. None for one with its data."""
    return None if blob.url is None else f"![image]({blob.url})"
