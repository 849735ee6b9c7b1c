"""A whole answer in chat completions, read from a vendor and written to a caller."""

from collections.abc import Iterator
from typing import Any

from halley.kernel.chat import Blob, BlobKind, ChatReply, Choice, Part, Refusal, Text, Thinking, ToolCall
from halley.kernel.faults import BadRequest
from halley.kernel.loose import as_list, as_object, as_text
from halley.wire.contract import AnswerFacts, UnknownPart
from halley.wire.openai.chat.calls import (
    arguments_text,
    signature_of,
    thoughts_of,
    write_call,
    write_details,
    write_signature,
)
from halley.wire.openai.chat.parts import read_image, write_image
from halley.wire.openai.errors import read_error
from halley.wire.openai.notes import chat_note, read_notes, sources_of
from halley.wire.openai.stops import read_stop, write_stop
from halley.wire.openai.usage import usage_of, write_chat_usage
from halley.wire.shape import Cursor

# --- read ---------------------------------------------------------------------------------------------------


def read_reply(body: dict[str, Any]) -> ChatReply:
    """Read a vendor's reply. Raises `ValueError` for what is none."""
    choices = as_list(body.get("choices"))
    if not choices:
        error = body.get("error")
        why = f"an error with status 200: {read_error(error).message}" if error else "a reply without `choices`"
        raise ValueError(why)
    reply_id = as_text(body.get("id"))
    sources = sources_of(body)
    created = body.get("created")
    return ChatReply(
        id=reply_id,
        model=as_text(body.get("model")),
        created_s=int(created) if isinstance(created, int | float) and created > 0 else None,
        choices=tuple(_read_choice(as_object(choice), n, reply_id, sources) for n, choice in enumerate(choices)),
        usage=usage_of(as_object(body.get("usage") or as_object(body.get("x_groq")).get("usage"))),
    )


def read_picture(item: Any) -> Blob | None:
    """Read one image of an answer; None for what is none. Raises `UnknownPart` for one that nobody could fetch."""
    item = as_object(item)
    if not item.get("image_url"):
        return None
    try:
        return read_image(Cursor(item, "images", {}))
    except BadRequest as error:
        # It names a field of the reply: to the caller that is no mistake of theirs.
        raise UnknownPart(f"an image of the answer cannot be read: {error.message}") from error


def call_id(given: str, reply_id: str, choice: int, slot: int) -> str:
    """Give the id of a call, or make one where the vendor gave none; other formats need it to be unique in a talk."""
    letters = "".join(letter for letter in reply_id if letter.isascii() and letter.isalnum())
    return given or f"call_{letters[-32:]}_{choice}_{slot}"


def pictures_of(value: dict[str, Any]) -> Iterator[Blob]:
    """Give the images of a message or a piece of one, which stand beside its content or, as parts, in it."""
    for item in (*as_list(value.get("content")), *as_list(value.get("images"))):
        if picture := read_picture(item):
            yield picture


def content_text(content: Any) -> str:
    """The text of an answer, which some vendors give as an array of parts."""
    return as_text(content) or "".join(as_text(as_object(part).get("text")) for part in as_list(content))


def content_thoughts(content: Any) -> str:
    """Thoughts that stand as parts in the content: `{type: thinking, thinking: [{text}]}`."""
    found = [as_object(part) for part in as_list(content)]
    return "".join(content_text(part.get("thinking")) for part in found if part.get("type") == "thinking")


def _read_choice(choice: dict[str, Any], position: int, reply_id: str, sources: list[Any]) -> Choice:
    index = choice.get("index")
    place = index if isinstance(index, int) else position
    message = as_object(choice.get("message"))
    parts = tuple(_read_parts(message, reply_id, place))
    length = sum(len(part.text) for part in parts if isinstance(part, Text))
    stop = read_stop(
        as_text(choice.get("finish_reason")) or None,
        calls=any(isinstance(part, ToolCall) for part in parts),
        refused=any(isinstance(part, Refusal) for part in parts),
    )
    citations = tuple(read_notes(as_list(message.get("annotations")) or (sources if length else ()), length))
    return Choice(index=place, parts=parts, citations=citations, stop=stop)


def _read_parts(message: dict[str, Any], reply_id: str, choice: int) -> Iterator[Part]:
    content = message.get("content")
    yield from thoughts_of(message)
    if thought := content_thoughts(content):
        yield Thinking(text=thought)
    if text := content_text(content):
        yield Text(text=text)
    if refusal := as_text(message.get("refusal")):
        yield Refusal(text=refusal)
    yield from pictures_of(message)
    for slot, item in enumerate(_calls(message)):
        function = as_object(item.get("function"))
        yield ToolCall(
            id=call_id(as_text(item.get("id")), reply_id, choice, slot),
            name=as_text(function.get("name")),
            arguments=arguments_text(function) or "{}",
            signature=signature_of(item),
        )


def _calls(message: dict[str, Any]) -> list[dict[str, Any]]:
    calls = [as_object(item) for item in as_list(message.get("tool_calls"))]
    legacy = message.get("function_call")
    return [*calls, {"function": legacy}] if legacy else calls


# --- write --------------------------------------------------------------------------------------------------


def write_reply(reply: ChatReply, facts: AnswerFacts) -> dict[str, Any]:
    """Write a reply to a caller. Raises `ValueError` for sounds and files, which cannot be asked for across formats."""
    body: dict[str, Any] = {
        "id": f"chatcmpl-{facts.id}",
        "object": "chat.completion",
        "created": facts.created_s,
        "model": facts.model,
        "choices": [_write_choice(choice) for choice in reply.choices],
    }
    if reply.usage is not None:
        body["usage"] = write_chat_usage(reply.usage)
    return {**body, "service_tier": "default", "system_fingerprint": None}


def write_picture(blob: Blob) -> dict[str, Any]:
    """Write one image of an answer, as vendors of images in chat do."""
    if blob.kind is not BlobKind.IMAGE:
        raise ValueError(f"an answer in chat completions cannot hold a blob of the kind {blob.kind}")
    return write_image(blob)


def _write_choice(choice: Choice) -> dict[str, Any]:
    refused = any(isinstance(part, Refusal) for part in choice.parts)
    return {
        "index": choice.index,
        "message": _write_message(choice),
        "logprobs": None,
        "finish_reason": write_stop(choice.stop, refused=refused),
    }


def _write_message(choice: Choice) -> dict[str, Any]:
    parts = choice.parts
    texts = [part.text for part in parts if isinstance(part, Text)]
    refusals = [part.text for part in parts if isinstance(part, Refusal)]
    calls = [{**write_call(part), **write_signature(part.signature)} for part in parts if isinstance(part, ToolCall)]
    pictures = [write_picture(part) for part in parts if isinstance(part, Blob)]
    silent = not texts and (calls or refusals)
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if silent else "".join(texts),
        "refusal": "".join(refusals) or None,
        "annotations": [chat_note(citation) for citation in choice.citations],
        **_thoughts(tuple(part for part in parts if isinstance(part, Thinking))),
    }
    if pictures:
        message["images"] = pictures
    if calls:
        message["tool_calls"] = calls
    return message


def _thoughts(thoughts: tuple[Thinking, ...]) -> dict[str, Any]:
    """Thoughts as `reasoning_content`; with their proofs beside it where there are any."""
    text = "".join(thought.text for thought in thoughts)
    fields: dict[str, Any] = {"reasoning_content": text} if text else {}
    if any(thought.signature or thought.redacted for thought in thoughts):
        fields["reasoning_details"] = write_details(thoughts)
    return fields
