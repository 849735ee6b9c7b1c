"""The input of responses: items of a conversation, read and written."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from halley.kernel.chat import Blob, BlobKind, Message, Part, Refusal, Role, Text, Thinking, ToolCall, ToolResult
from halley.wire.extras import not_conveyed
from halley.wire.openai.blobs import file_data_of, link_of, read_detail, read_file_data, read_link, read_sound, sound_of
from halley.wire.openai.chat.calls import signature_of
from halley.wire.openai.chat.parts import write_failed
from halley.wire.openai.hints import PART_HINTS
from halley.wire.shape import Cursor

OWN_SIGNATURE = "gAAAA"
"""How OpenAI's sealed thoughts begin (they are Fernet tokens): only these are handed back to it."""
_PROOF = "proof:"
"""Before what proves a thought without words, where both kinds of sealed thoughts stand: alone it would be taken for a
thought that nobody may read. No vendor's seal begins so."""
SUMMARY_GAP = "\n\n"
"""Between the parts of a summary."""

_COMMON = PART_HINTS | {"type", "id", "status"}
_ROLES: Mapping[str, Role] = {
    "system": Role.SYSTEM,
    "developer": Role.SYSTEM,
    "user": Role.USER,
    "assistant": Role.ASSISTANT,
}


# --- read ---------------------------------------------------------------------------------------------------


def read_input(at: Cursor) -> tuple[Message, ...]:
    """Read `input`. What the assistant said, thought and called in a row is one message. Raises `BadRequest`."""
    if isinstance(at.value, str):
        return (Message(role=Role.USER, parts=(Text(text=at.value),)),)
    if not isinstance(at.value, list):
        raise at.wrong("a string or an array of items")
    messages: list[Message] = []
    for message in (message for item in at.items() for message in _read_item(item)):
        if message.role is not Role.ASSISTANT:
            messages.append(message)
        elif message.parts:
            goes_on = bool(messages) and messages[-1].role is Role.ASSISTANT
            earlier = messages.pop().parts if goes_on else ()
            messages.append(Message(role=Role.ASSISTANT, parts=(*earlier, *message.parts)))
    return tuple(messages)


def _read_item(at: Cursor) -> Iterator[Message]:
    """Read one item; items of unknown types are kept as extras."""
    word = at.at("type").text_or_none() or "message"
    read = _ITEMS.get(word)
    if read is None:
        at.keep()
    else:
        yield read(at)


def _read_message(at: Cursor) -> Message:
    at.keep_others(_COMMON | {"role", "content", "phase"})
    role = _ROLES.get(at.at("role").text())
    if role is None:
        raise at.at("role").wrong("`system`, `developer`, `user` or `assistant`")
    content = at.at("content")
    if role is Role.ASSISTANT and content.value == "":
        return Message(role=role, parts=())
    return Message(role=role, parts=read_content(content))


def _read_call(at: Cursor) -> Message:
    at.keep_others(_COMMON | {"call_id", "name", "arguments", "extra_content"})
    call = ToolCall(
        id=at.at("call_id").text(),
        name=at.at("name").text(),
        arguments=at.at("arguments").text(),
        signature=signature_of(at.object()),
    )
    return Message(role=Role.ASSISTANT, parts=(call,))


def _read_result(at: Cursor) -> Message:
    at.keep_others(_COMMON | {"call_id", "name", "output"})
    output = at.at("output")
    found = () if output.value == "" else read_content(output)
    parts = tuple(part for part in found if isinstance(part, Text | Blob))
    if len(parts) < len(found):
        raise output.wrong("a string or parts of the types `input_text`, `input_image` and `input_file`")
    result = ToolResult(call_id=at.at("call_id").text(), name=at.at("name").text_or_none(), parts=parts)
    return Message(role=Role.USER, parts=(result,))


def _read_reasoning(at: Cursor) -> Message:
    at.keep_others(_COMMON | {"summary", "content", "encrypted_content"})
    texts = _texts(at.at("summary")) or _texts(at.at("content"))
    thought = thought_of(SUMMARY_GAP.join(texts), at.at("encrypted_content").text_or_none())
    return Message(role=Role.ASSISTANT, parts=() if thought is None else (thought,))


def _texts(at: Cursor) -> list[str]:
    return [] if at.value is None else [item.at("text").text() for item in at.items()]


def thought_of(text: str, sealed: str | None) -> Thinking | None:
    """A thought; one without words is one that nobody may read, unless its seal says that it is a proof alone."""
    if sealed and sealed.startswith(_PROOF):
        return Thinking(text=text, signature=sealed.removeprefix(_PROOF))
    if text:
        return Thinking(text=text, signature=sealed or None)
    return Thinking(redacted=sealed) if sealed else None


def seal_of(thought: Thinking) -> str | None:
    """What proves or hides a thought, as it goes where OpenAI puts its sealed thoughts; `thought_of` reads it back."""
    if thought.signature and not thought.text:
        return _PROOF + thought.signature
    return thought.signature or thought.redacted


_ITEMS: Mapping[str, Callable[[Cursor], Message]] = {
    "message": _read_message,
    "function_call": _read_call,
    "function_call_output": _read_result,
    "reasoning": _read_reasoning,
}


def read_content(at: Cursor) -> tuple[Part, ...]:
    """Read a message's content: a string or an array of parts; parts of unknown types are kept as extras."""
    if isinstance(at.value, str):
        return (Text(text=at.value),)
    if not isinstance(at.value, list):
        raise at.wrong("a string or an array of parts")
    return tuple(part for item in at.items() for part in _read_part(item))


def _read_part(at: Cursor) -> Iterator[Part]:
    read = _PARTS.get(at.at("type").text())
    if read is None:
        at.keep()
    else:
        yield read(at)


def _read_text(at: Cursor) -> Part:
    at.keep_others(_COMMON | {"text", "annotations", "logprobs"})
    return Text(text=at.at("text").text())


def _read_refusal(at: Cursor) -> Part:
    at.keep_others(_COMMON | {"refusal"})
    return Refusal(text=at.at("refusal").text())


def _read_image(at: Cursor) -> Part:
    at.keep_others(_COMMON | {"image_url", "file_id", "detail"})
    detail = read_detail(at.at("detail"))
    if at.has("file_id"):
        return Blob(kind=BlobKind.IMAGE, file_id=at.at("file_id").text(), detail=detail)
    return read_link(at.at("image_url"), BlobKind.IMAGE, detail=detail)


def _read_file(at: Cursor) -> Part:
    at.keep_others(_COMMON | {"file_data", "file_id", "file_url", "filename", "detail"})
    name, detail = at.at("filename").text_or_none(), read_detail(at.at("detail"))
    if detail is not None:
        at.at("detail").keep()
    if at.has("file_id"):
        return Blob(kind=BlobKind.FILE, file_id=at.at("file_id").text(), name=name)
    if at.has("file_url"):
        return Blob(kind=BlobKind.FILE, url=at.at("file_url").text(), name=name)
    return read_file_data(at.at("file_data"), name)


def _read_sound(at: Cursor) -> Part:
    at.keep_others(_COMMON | {"input_audio"})
    return read_sound(at.at("input_audio"))


_PARTS: Mapping[str, Callable[[Cursor], Part]] = {
    "input_text": _read_text,
    "output_text": _read_text,
    "text": _read_text,
    "refusal": _read_refusal,
    "input_image": _read_image,
    "input_file": _read_file,
    "input_audio": _read_sound,
}


# --- write --------------------------------------------------------------------------------------------------


def write_input(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    """Write all messages as items. Raises `NotConveyed`."""
    return [item for message in messages for item in _write_message(message)]


def _write_message(message: Message) -> Iterator[dict[str, Any]]:
    if message.name is not None:
        raise not_conveyed("name", "OpenAI's responses have no names of speakers")
    if message.role is Role.ASSISTANT:
        yield from _write_assistant(message.parts)
        return
    results = [part for part in message.parts if isinstance(part, ToolResult)]
    yield from map(_write_result, results)
    others = tuple(part for part in message.parts if not isinstance(part, ToolResult))
    if others or not results:
        yield {"type": "message", "role": message.role.value, "content": _write_content(others)}


def _write_assistant(parts: tuple[Part, ...]) -> Iterator[dict[str, Any]]:
    """Write what the assistant did: neighbouring texts and refusals are one item."""
    said: list[dict[str, Any]] = []
    for part in parts:
        match part:
            case Text():
                said.append({"type": "output_text", "text": part.text, "annotations": []})
            case Refusal():
                said.append({"type": "refusal", "refusal": part.text})
            case ToolCall() | Thinking():
                yield from _said(said)
                said = []
                yield from _write_call(part) if isinstance(part, ToolCall) else _write_thought(part)
            case _:
                raise not_conveyed("messages", f"an assistant's message cannot hold a {type(part).__name__.lower()}")
    yield from _said(said)


def _said(content: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    if content:
        yield {"type": "message", "role": "assistant", "content": content}


def _write_call(call: ToolCall) -> Iterator[dict[str, Any]]:
    yield {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments}


def _write_thought(thought: Thinking) -> Iterator[dict[str, Any]]:
    """Hand back a thought that OpenAI sealed itself; it would refuse those of others, and has no use for plain ones."""
    sealed = thought.redacted or thought.signature or ""
    if sealed.startswith(OWN_SIGNATURE):
        # Fernet's alphabet; a thought that came by way of another format may be in the standard one.
        sealed = sealed.replace("+", "-").replace("/", "_")
        yield {"type": "reasoning", "summary": summary_of(thought), "encrypted_content": sealed}


def summary_of(thought: Thinking) -> list[dict[str, str]]:
    """A thought's words as a summary."""
    return [{"type": "summary_text", "text": thought.text}] if thought.text else []


def _write_result(result: ToolResult) -> dict[str, Any]:
    parts = write_failed(result.parts) if result.is_error else result.parts
    return {"type": "function_call_output", "call_id": result.call_id, "output": _write_content(parts)}


def _write_content(parts: tuple[Part, ...]) -> str | list[dict[str, Any]]:
    match parts:
        case ():
            return ""
        case (Text(text=text),):
            return text
        case _:
            return [_write_part(part) for part in parts]


def _write_part(part: Part) -> dict[str, Any]:
    match part:
        case Text():
            return {"type": "input_text", "text": part.text}
        case Blob(kind=BlobKind.IMAGE):
            link = link_of(part, "image/png")
            return {"type": "input_image", "image_url": link, "detail": part.detail or "auto"}
        case Blob(kind=BlobKind.FILE):
            return _write_file(part)
        case Blob(kind=BlobKind.AUDIO):
            return {"type": "input_audio", "input_audio": sound_of(part)}
        case Blob():
            raise not_conveyed("video_url", "OpenAI's responses take no videos")
        case _:
            raise not_conveyed("messages", f"a user's message cannot hold a {type(part).__name__.lower()}")


def _write_file(blob: Blob) -> dict[str, Any]:
    name = {} if blob.name is None else {"filename": blob.name}
    content = {"file_data": file_data_of(blob)} if blob.url is None else {"file_url": blob.url}
    return {"type": "input_file", **name, **content}
