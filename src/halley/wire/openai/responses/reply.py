"""A whole response, read from a vendor and written to a caller."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from halley.kernel.chat import (
    Blob,
    BlobKind,
    ChatReply,
    Choice,
    Citation,
    Part,
    Refusal,
    StopReason,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from halley.kernel.loose import as_list, as_object, as_text
from halley.wire.contract import AnswerFacts
from halley.wire.openai.chat.calls import arguments_text, signature_of
from halley.wire.openai.errors import read_error
from halley.wire.openai.notes import read_notes, response_note
from halley.wire.openai.responses.envelope import Ending, envelope, usage_field
from halley.wire.openai.responses.ids import item_id
from halley.wire.openai.responses.items import SUMMARY_GAP, thought_of
from halley.wire.openai.responses.output import (
    call_item,
    message_item,
    picture_item,
    picture_text,
    reasoning_item,
    refusal_part,
    text_part,
)
from halley.wire.openai.usage import usage_of

# --- read ---------------------------------------------------------------------------------------------------


def read_reply(body: dict[str, Any]) -> ChatReply:
    """Read a vendor's reply. Raises `ValueError` for one that failed or is none."""
    status = body.get("status", "completed")
    if body.get("error") or status in ("failed", "cancelled"):
        raise ValueError(f"the response did not succeed: {read_error(body.get('error') or {}).message}")
    if not isinstance(body.get("output"), list) or status not in ("completed", "incomplete"):
        raise ValueError("a reply without an `output` that has ended")
    parts = tuple(part for item in as_list(body.get("output")) for part in read_item(as_object(item)))
    citations = tuple(_citations(body))
    created = body.get("created_at")
    return ChatReply(
        id=as_text(body.get("id")),
        model=as_text(body.get("model")),
        created_s=int(created) if isinstance(created, int | float) and created > 0 else None,
        choices=(Choice(parts=parts, citations=citations, stop=stop_of(body, parts)),),
        usage=usage_of(as_object(body.get("usage"))),
    )


def stop_of(response: dict[str, Any], parts: tuple[Part, ...]) -> StopReason:
    """Say why a response ended."""
    reason = as_text(as_object(response.get("incomplete_details")).get("reason"))
    if response.get("status") == "incomplete":
        return StopReason.FILTERED if reason == "content_filter" else StopReason.LENGTH
    if any(isinstance(part, ToolCall) for part in parts):
        return StopReason.TOOLS
    return StopReason.REFUSED if any(isinstance(part, Refusal) for part in parts) else StopReason.END


def _citations(body: dict[str, Any]) -> Iterator[Citation]:
    offset = 0
    for item in map(as_object, as_list(body.get("output"))):
        yield from read_citations(item, offset)
        offset += sum(len(part.text) for part in read_item(item) if isinstance(part, Text))


def read_citations(item: dict[str, Any], offset: int) -> Iterator[Citation]:
    """Read what a message of an output cites; its first text begins at `offset` of the answer."""
    for part in map(as_object, as_list(item.get("content"))):
        length = len(as_text(part.get("text")))
        yield from read_notes(part.get("annotations"), length, offset)
        offset += length


def read_item(item: dict[str, Any]) -> Iterator[Part]:
    """Read one item of an output; what the vendor did by its own tools has no word and was not asked for."""
    read = _ITEMS.get(as_text(item.get("type")))
    if read is not None:
        yield from read(item)


def _read_message(item: dict[str, Any]) -> Iterator[Part]:
    for part in map(as_object, as_list(item.get("content"))):
        if text := as_text(part.get("text")):
            yield Text(text=text)
        elif refusal := as_text(part.get("refusal")):
            yield Refusal(text=refusal)


def _read_reasoning(item: dict[str, Any]) -> Iterator[Part]:
    texts = _texts(item.get("summary")) or _texts(item.get("content"))
    thought = thought_of(SUMMARY_GAP.join(texts), as_text(item.get("encrypted_content")))
    if thought is not None:
        yield thought


def _texts(parts: Any) -> list[str]:
    return [text for part in as_list(parts) if (text := as_text(as_object(part).get("text")))]


def _read_call(item: dict[str, Any]) -> Iterator[Part]:
    yield ToolCall(
        id=as_text(item.get("call_id")) or as_text(item.get("id")),
        name=as_text(item.get("name")),
        arguments=arguments_text(item) or "{}",
        signature=signature_of(item),
    )


def _read_picture(item: dict[str, Any]) -> Iterator[Part]:
    if data := as_text(item.get("result")):
        kind = as_text(item.get("output_format")) or "png"
        yield Blob(kind=BlobKind.IMAGE, media_type=f"image/{kind}", data=data)


_ITEMS: Mapping[str, Callable[[dict[str, Any]], Iterator[Part]]] = {
    "message": _read_message,
    "reasoning": _read_reasoning,
    "function_call": _read_call,
    "image_generation_call": _read_picture,
}


# --- write --------------------------------------------------------------------------------------------------


def write_reply(reply: ChatReply, facts: AnswerFacts) -> dict[str, Any]:
    """Write a reply to a caller. Raises `ValueError` for more answers than one, which this format cannot ask for."""
    (choice,) = reply.choices
    ending = Ending(choice.stop, refused=any(isinstance(part, Refusal) for part in choice.parts))
    return envelope(
        facts,
        ending.status,
        _write_output(choice, facts),
        incomplete_details=ending.details,
        usage=usage_field(reply.usage),
    )


def _write_output(choice: Choice, facts: AnswerFacts) -> list[dict[str, Any]]:
    """Write all items: texts and refusals side by side are one message."""
    output: list[dict[str, Any]] = []
    notes = _Notes(choice)
    for part in choice.parts:
        content = _content_of(part, notes)
        if content is None:
            output.append(_write_item(part, facts, len(output)))
        elif output and output[-1]["type"] == "message":
            output[-1]["content"].append(content)
        else:
            output.append(message_item(item_id("msg", facts, len(output)), [content]))
    return output


def _content_of(part: Part, notes: "_Notes") -> dict[str, Any] | None:
    """What stands within a message; None for what is an item of its own."""
    match part:
        case Text():
            return text_part(part.text, notes.of(part))
        case Refusal():
            return refusal_part(part.text)
        case Blob():
            link = picture_text(part)
            return None if link is None else text_part(link)
        case _:
            return None


class _Notes:
    """Shares out what an answer cites among its texts, to each what begins in it, to the last what is left."""

    def __init__(self, choice: Choice) -> None:
        self._left = list(choice.citations)
        self._texts = sum(isinstance(part, Text) for part in choice.parts)
        self._offset = 0

    def of(self, part: Text) -> list[dict[str, Any]]:
        self._texts -= 1
        offset, end = self._offset, self._offset + len(part.text)
        own = [each for each in self._left if each.start < end or not self._texts]
        self._left = [each for each in self._left if each not in own]
        self._offset = end
        return [response_note(each, offset) for each in own]


def _write_item(part: Part, facts: AnswerFacts, index: int) -> dict[str, Any]:
    match part:
        case Thinking():
            return reasoning_item(item_id("rs", facts, index), part)
        case ToolCall():
            return call_item(item_id("fc", facts, index), part)
        case Blob():
            return picture_item(item_id("ig", facts, index), part)
        case Text() | Refusal() | ToolResult():
            raise ValueError(f"no item of an output is a {type(part).__name__}")
