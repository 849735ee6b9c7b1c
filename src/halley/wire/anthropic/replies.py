"""Whole replies: from a vendor into our words, and from our words for a caller."""

from collections.abc import Iterator, Mapping
from typing import Any

from halley.kernel.chat import (
    Blob,
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
from halley.kernel.codec import encode
from halley.kernel.loose import as_list, as_object, as_text
from halley.wire.anthropic.citations import cut, read_citations, settled, write_citation
from halley.wire.anthropic.usage import usage_of, write_usage
from halley.wire.contract import AnswerFacts
from halley.wire.cut_short import whole_parts
from halley.wire.extras import not_conveyed
from halley.wire.shape import object_of

Json = dict[str, Any]

STOPS: Mapping[str, StopReason] = {
    "end_turn": StopReason.END,
    "max_tokens": StopReason.LENGTH,
    "model_context_window_exceeded": StopReason.LENGTH,
    "stop_sequence": StopReason.STOP_SEQUENCE,
    "tool_use": StopReason.TOOLS,
    "pause_turn": StopReason.PAUSED,
    "refusal": StopReason.REFUSED,
}
STOP_WORDS: Mapping[StopReason, str] = {
    StopReason.END: "end_turn",
    StopReason.LENGTH: "max_tokens",
    StopReason.STOP_SEQUENCE: "stop_sequence",
    StopReason.TOOLS: "tool_use",
    StopReason.PAUSED: "pause_turn",
    StopReason.REFUSED: "refusal",
    StopReason.FILTERED: "refusal",
}


def read_reply(body: Json) -> ChatReply:
    """Raises `ValueError` for a reply that cannot be read."""
    if body.get("content") is None:
        raise ValueError("the reply has no `content`")
    parts: list[Part] = []
    citations: list[Citation] = []
    length = 0
    for block in map(as_object, as_list(body["content"])):
        if (part := _read_block(block)) is None:
            continue
        if isinstance(part, Text):
            citations += read_citations(block.get("citations"), length, length + len(part.text))
            length += len(part.text)
        parts.append(part)
    explanation = explained(body)
    if explanation:
        parts.append(Refusal(text=explanation))
    choice = Choice(
        parts=tuple(parts),
        citations=tuple(dict.fromkeys(citations)),
        stop=stop_of(body.get("stop_reason")),
        stop_sequence=as_text(body.get("stop_sequence")) or None,
    )
    return ChatReply(
        id=as_text(body.get("id")),
        model=as_text(body.get("model")),
        choices=(choice,),
        usage=usage_of(body.get("usage")),
    )


def stop_of(word: object) -> StopReason:
    """Raises `ValueError` for a word that nobody here knows: it must not pass for a proper end."""
    stop = STOPS.get(word) if isinstance(word, str) else None
    if stop is None:
        raise ValueError(f"`stop_reason` is {word!r:.60}")
    return stop


def explained(holder: Json) -> str:
    """The model's words for not answering."""
    return as_text(as_object(holder.get("stop_details")).get("explanation"))


def _read_block(block: Json) -> Part | None:
    match block.get("type"):
        case "text":
            text = as_text(block.get("text"))
            return Text(text=text) if text else None
        case "thinking":
            return Thinking(text=as_text(block.get("thinking")), signature=as_text(block.get("signature")) or None)
        case "redacted_thinking":
            return Thinking(redacted=as_text(block.get("data")))
        case "tool_use":
            arguments = encode(as_object(block.get("input"))).decode()
            return ToolCall(id=as_text(block.get("id")), name=as_text(block.get("name")), arguments=arguments)
        case kind:
            raise ValueError(f"the reply holds a block of type {kind!r:.60}")


def write_reply(reply: ChatReply, facts: AnswerFacts) -> Json:
    """Raises `NotConveyed` for an answer with images or sound, `ValueError` for arguments that are no object."""
    choice = reply.choices[0]
    refused = choice.stop is StopReason.REFUSED
    words = "".join(part.text for part in choice.parts if isinstance(part, Refusal)) if refused else ""
    shown = [part for part in whole_parts(choice) if not (refused and isinstance(part, Refusal))]
    return {
        "id": message_id(facts),
        "type": "message",
        "role": "assistant",
        "model": facts.model,
        "content": list(_write_parts(shown, choice.citations)),
        "stop_reason": STOP_WORDS[choice.stop],
        "stop_sequence": choice.stop_sequence,
        **write_details(words),
        "usage": write_usage(reply.usage),
    }


def message_id(facts: AnswerFacts) -> str:
    return f"msg_{facts.id}"


def write_details(words: str) -> Json:
    """What stands beside the stop of a refusal."""
    return {"stop_details": {"type": "refusal", "category": None, "explanation": words}} if words else {}


def _write_parts(parts: list[Part], citations: tuple[Citation, ...]) -> Iterator[Json]:
    """Write all blocks: a text is cut into those that cite the same pages."""
    offset = 0
    placed = settled(citations, sum(len(part.text) for part in parts if isinstance(part, Text)))
    for part in parts:
        if isinstance(part, Text) and placed:
            for text, cited in cut(part.text, offset, placed):
                notes = {"citations": [write_citation(each) for each in cited]} if cited else {}
                yield {"type": "text", "text": text, **notes}
            offset += len(part.text)
        elif (block := _write_part(part)) is not None:
            yield block


def _write_part(part: Part) -> Json | None:
    match part:
        case Text(text="") | Refusal(text=""):
            return None
        case Text(text=text) | Refusal(text=text):
            return {"type": "text", "text": text}
        case ToolCall():
            return {"type": "tool_use", "id": part.id, "name": part.name, "input": _input(part)}
        case Thinking(redacted=str(data)):
            return {"type": "redacted_thinking", "data": data}
        case Thinking():
            return {"type": "thinking", "thinking": part.text, "signature": part.signature or ""}
        case Blob():
            raise not_conveyed("model", f"its answer holds {part.kind.value}, which this format has no block for")
        case ToolResult():
            raise ValueError("an answer cannot hold the result of a tool")


def _input(call: ToolCall) -> Json:
    return object_of(call.arguments, f"the model's arguments for `{call.name}`")
