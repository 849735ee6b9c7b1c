"""Tool calls and thoughts as they stand in messages of chat completions, asked and answered alike."""

from typing import Any

from halley.kernel.chat import Part, Thinking, ToolCall
from halley.kernel.codec import encode
from halley.kernel.loose import as_list, as_object, as_text
from halley.wire.shape import Cursor

THOUGHT_FIELDS = ("reasoning_content", "reasoning", "reasoning_details")
_CALL_FIELDS = frozenset(("id", "type", "function", "index", "extra_content"))


def read_call(at: Cursor) -> tuple[Part, ...]:
    """Read a call in a caller's message; calls that are no functions are kept as extras."""
    if at.at("type").text_or_none() not in (None, "function"):
        at.keep()
        return ()
    at.keep_others(_CALL_FIELDS)
    function = at.at("function")
    function.keep_others(("name", "arguments"))
    call = ToolCall(
        id=at.at("id").text(),
        name=function.at("name").text(),
        arguments=function.at("arguments").text(),
        signature=signature_of(at.object()),
    )
    return (call,)


def write_call(call: ToolCall) -> dict[str, Any]:
    """Write a call without its signature."""
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def arguments_text(function: dict[str, Any]) -> str:
    """The arguments of a call as JSON, which some vendors give as the object itself; an empty one says nothing yet."""
    arguments = function.get("arguments") or ""
    return arguments if isinstance(arguments, str) else encode(arguments).decode()


def signature_of(value: dict[str, Any]) -> str | None:
    """The proof that stands beside a call, where vendors with such proofs put it in this format.

    Google's page on thought signatures tells of `extra_content` in OpenAI's format.
    """
    content = as_object(as_object(value.get("extra_content")).get("google"))
    return as_text(content.get("thought_signature")) or None


def write_signature(signature: str | None) -> dict[str, Any]:
    """The field that carries the proof, if there is one."""
    return {} if signature is None else {"extra_content": {"google": {"thought_signature": signature}}}


def thoughts_of(value: dict[str, Any]) -> tuple[Thinking, ...]:
    """The thoughts in a message or a piece of one.

    `reasoning_details` says all, with signatures; it comes beside `reasoning`, which repeats its words.
    """
    details = tuple(thought for item in as_list(value.get("reasoning_details")) for thought in _detail(as_object(item)))
    if details:
        return details
    text = as_text(value.get("reasoning_content")) or as_text(value.get("reasoning"))
    return (Thinking(text=text),) if text else ()


def _detail(item: dict[str, Any]) -> tuple[Thinking, ...]:
    if item.get("type") == "reasoning.encrypted":
        data = as_text(item.get("data"))
        return (Thinking(redacted=data),) if data else ()
    text = as_text(item.get("text")) or as_text(item.get("summary"))
    signature = as_text(item.get("signature")) or None
    return (Thinking(text=text, signature=signature),) if text or signature else ()


def write_details(thoughts: tuple[Thinking, ...]) -> list[dict[str, Any]]:
    """Write thoughts with what proves them, so that a caller who hands them back does so whole."""
    return [write_detail(index, thought) for index, thought in enumerate(thoughts)]


def write_detail(index: int, thought: Thinking) -> dict[str, Any]:
    """Write one thought, or one piece of it."""
    if thought.redacted is not None:
        return {"type": "reasoning.encrypted", "data": thought.redacted, "index": index}
    seal = {} if thought.signature is None else {"signature": thought.signature}
    return {"type": "reasoning.text", "text": thought.text, **seal, "index": index}
