"""Whole replies: from a vendor into our words, and from our words for a caller."""

from collections.abc import Iterator, Mapping
from typing import Any

from halley.kernel.chat import (
    Blob,
    ChatReply,
    Choice,
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
from halley.wire.contract import AnswerFacts, Unusable
from halley.wire.cut_short import whole_parts
from halley.wire.gemini.grounding import read_grounding, write_grounding
from halley.wire.gemini.names import is_made, made_id, standard_base64
from halley.wire.gemini.parts import kind_of, linked
from halley.wire.gemini.usage import usage_of, write_usage
from halley.wire.shape import object_of
from halley.wire.words import bounded

Json = dict[str, Any]

STOPS: Mapping[str, StopReason] = {
    "STOP": StopReason.END,
    "MAX_TOKENS": StopReason.LENGTH,
    **dict.fromkeys(
        (
            "SAFETY",
            "RECITATION",
            "LANGUAGE",
            "BLOCKLIST",
            "PROHIBITED_CONTENT",
            "SPII",
            "IMAGE_SAFETY",
            "IMAGE_PROHIBITED_CONTENT",
            "IMAGE_RECITATION",
            "MODEL_ARMOR",
        ),
        StopReason.FILTERED,
    ),
}
"""Other words (`MALFORMED_FUNCTION_CALL`, `OTHER`, …) say that the model failed: no answer that anyone could use.

Its vendor counts and bills it all the same. https://ai.google.dev/api/generate-content#FinishReason
"""
STOP_WORDS: Mapping[StopReason, str] = {
    StopReason.END: "STOP",
    StopReason.TOOLS: "STOP",
    StopReason.STOP_SEQUENCE: "STOP",
    StopReason.LENGTH: "MAX_TOKENS",
    StopReason.FILTERED: "SAFETY",
    StopReason.REFUSED: "SAFETY",
    StopReason.PAUSED: "OTHER",
}


def read_reply(body: Json) -> ChatReply:
    """Raises `Unusable`, or another `ValueError` for a reply that cannot be read."""
    reply_id = as_text(body.get("responseId"))
    candidates = [as_object(each) for each in as_list(body.get("candidates"))]
    blocked = blocked_words(body)
    if not candidates and blocked is None:
        raise ValueError("the reply has no `candidates`")
    choices = [_read_candidate(each, index, reply_id) for index, each in enumerate(candidates)]
    return ChatReply(
        id=reply_id,
        model=as_text(body.get("modelVersion")),
        choices=tuple(choices) or (_blocked(blocked or ""),),
        usage=usage_of(body.get("usageMetadata")),
    )


def blocked_words(body: Json) -> str | None:
    """Give why the vendor did not even begin to answer; None if it did."""
    feedback = as_object(body.get("promptFeedback"))
    reason = as_text(feedback.get("blockReason"))
    if not reason or reason == "BLOCKED_REASON_UNSPECIFIED":
        return None
    return as_text(feedback.get("blockReasonMessage"))


def _blocked(words: str) -> Choice:
    """An answer that was filtered before its first word: the vendor counts the prompt, so it is no error."""
    return Choice(parts=(Refusal(text=words),) if words else (), stop=StopReason.FILTERED)


def _read_candidate(candidate: Json, index: int, reply_id: str) -> Choice:
    parts: list[Part] = []
    calls = 0
    texts: dict[int, str] = {}
    for number, each in enumerate(as_list(as_object(candidate.get("content")).get("parts"))):
        for part in read_part(as_object(each), calls, reply_id):
            parts.append(part)
            calls += isinstance(part, ToolCall)
            if isinstance(part, Text):
                texts[number] = part.text
    citations = tuple(read_grounding(as_object(candidate.get("groundingMetadata")), texts))
    stop = stop_of(candidate.get("finishReason"), called=calls > 0)
    told = candidate.get("index")
    place = told if isinstance(told, int) else index
    return Choice(index=place, parts=tuple(_joined(parts)), citations=citations, stop=stop)


def is_stop(word: object) -> bool:
    """Whether a candidate of a stream that says so goes on no more."""
    return word is not None and word != "FINISH_REASON_UNSPECIFIED"


def stop_of(word: object, *, called: bool) -> StopReason:
    """Raises `Unusable` for a word that leaves no answer, `ValueError` for none."""
    if not isinstance(word, str) or not is_stop(word):
        raise ValueError(f"the model's answer ended with `finishReason` {word!r:.60}")
    stop = STOPS.get(word)
    if stop is None:
        message = f"The model ended without an answer (`{bounded(word)}`); what its vendor counted is charged"
        raise Unusable(f"{message}. Change the request")
    return StopReason.TOOLS if called and stop is StopReason.END else stop


def read_part(part: Json, calls: int, reply_id: str) -> Iterator[Part]:
    """Give ours; `calls` is how many calls came before. Raises `ValueError` for a part that nobody asked for."""
    signature = as_text(part.get("thoughtSignature")) or None
    match part:
        case {"text": str(text), "thought": True}:
            yield Thinking(text=text, signature=signature)
            return
        case {"text": str(text)}:
            if text:
                yield Text(text=text)
        case {"functionCall": dict(call)}:  # pyright: ignore[reportUnknownVariableType]  JSON's names are strings
            yield _read_call(as_object(call), calls, reply_id, signature)
            return
        case {"inlineData": dict(inline)}:  # pyright: ignore[reportUnknownVariableType]  the same
            yield _read_blob(as_object(inline))
        case {"fileData": dict(link)}:  # pyright: ignore[reportUnknownVariableType]  the same
            link = as_object(link)
            yield linked(as_text(link.get("fileUri")), as_text(link.get("mimeType")) or None, None)
        case _ if part.keys() - {"thoughtSignature", "thought"}:
            raise ValueError(f"the reply holds a part of {', '.join(sorted(part))[:100]}")
        case _:
            pass
    if signature is not None:
        yield Thinking(signature=signature)


def _read_call(call: Json, calls: int, reply_id: str, signature: str | None) -> ToolCall:
    name = as_text(call.get("name"))
    return ToolCall(
        id=as_text(call.get("id")) or made_id(calls, name, reply_id),
        name=name,
        arguments=encode(as_object(call.get("args"))).decode(),
        signature=signature,
    )


def _read_blob(inline: Json) -> Blob:
    media_type = as_text(inline.get("mimeType"))
    data = standard_base64(as_text(inline.get("data")))
    return Blob(kind=kind_of(media_type), media_type=media_type, data=data)


def _joined(parts: list[Part]) -> Iterator[Part]:
    """Put texts side by side together: the vendor cuts them as it likes."""
    text: list[str] = []
    for part in parts:
        if isinstance(part, Text):
            text.append(part.text)
            continue
        if text:
            yield Text(text="".join(text))
            text.clear()
        yield part
    if text:
        yield Text(text="".join(text))


def write_reply(reply: ChatReply, facts: AnswerFacts) -> Json:
    """Raises `ValueError` for arguments that are no object."""
    written: Json = {"candidates": [_candidate(choice) for choice in reply.choices]}
    if reply.usage is not None:
        written["usageMetadata"] = write_usage(reply.usage)
    return {**written, "modelVersion": facts.model, "responseId": facts.id}


def _candidate(choice: Choice) -> Json:
    parts: list[Json] = []
    texts: dict[int, str] = {}
    for part in whole_parts(choice):
        if isinstance(part, Text):
            texts[len(parts)] = part.text
        if isinstance(part, Thinking) and part.signature and not part.text and parts and "text" in parts[-1]:
            parts[-1] = {**parts[-1], "thoughtSignature": part.signature}
        else:
            parts += write_part(part)
    grounding = {"groundingMetadata": write_grounding(choice.citations, texts)} if choice.citations else {}
    return {**candidate(parts, choice.index, STOP_WORDS[choice.stop]), **grounding}


def candidate(parts: list[Json], index: int, stop: str | None = None) -> Json:
    """One candidate of a reply or of a stream's chunk."""
    finish = {"finishReason": stop} if stop is not None else {}
    return {"content": {"parts": parts, "role": "model"}, **finish, "index": index}


def write_part(part: Part) -> list[Json]:
    match part:
        case Text(text="") | Refusal(text=""):
            return []
        case Text(text=text) | Refusal(text=text):
            return [{"text": text}]
        case Thinking(redacted=str()):
            # Nobody may read it, and no vendor but its own may be handed it back.
            return []
        case Thinking():
            return [_write_thought(part)] if part.text or part.signature else []
        case ToolCall():
            return [_write_call(part)]
        case Blob():
            return [_write_blob(part)]
        case ToolResult():
            raise ValueError("an answer cannot hold the result of a tool")


def _write_thought(thought: Thinking) -> Json:
    proof = {"thoughtSignature": thought.signature} if thought.signature else {}
    return {"text": thought.text, **({"thought": True} if thought.text else {}), **proof}


def _write_call(call: ToolCall) -> Json:
    arguments = object_of(call.arguments, f"the model's arguments for `{call.name}`")
    known = {} if is_made(call.id, call.name) else {"id": call.id}
    written: Json = {"functionCall": {**known, "name": call.name, "args": arguments}}
    return {**written, "thoughtSignature": call.signature} if call.signature else written


def _write_blob(blob: Blob) -> Json:
    if blob.data is not None:
        return {"inlineData": {"mimeType": blob.media_type or "application/octet-stream", "data": blob.data}}
    kind = {"mimeType": blob.media_type} if blob.media_type else {}
    return {"fileData": {**kind, "fileUri": blob.url or blob.file_id}}
