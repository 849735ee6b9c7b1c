"""Reads what a caller got, to its end: whole answers, streams of events, arrays, and errors in each dialect's shape."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

import msgspec

from halley.kernel import codec
from halley.kernel.chat import (
    CallBegan,
    ChatReply,
    ChatUsage,
    Counted,
    Delta,
    Stopped,
    StopReason,
    ToolCall,
)
from halley.kernel.embedding import EmbedReply
from halley.kernel.faults import Fault, Refused
from halley.kernel.loose import as_list, as_object, as_text
from halley.kernel.operation import COUNTING, KINDS, Kind, Operation
from halley.kernel.sse import DONE, Frame, Splitter
from halley.pipeline.answers.pipe import text_of
from halley.pipeline.answers.translate import texts
from halley.testing.client import Reply
from halley.testing.conformance.answer_cells import Mode
from halley.wire import embedding
from halley.wire.anthropic.errors import render_fault as anthropic_fault
from halley.wire.contract import StreamFault
from halley.wire.formats import CHAT_FORMATS
from halley.wire.gemini.errors import render_fault as gemini_fault
from halley.wire.openai.errors import render_fault as openai_fault
from halley.wire.openai.usage import read_usage

SOUND_BYTES_MIN = 1_000
_RENDER = {"openai": openai_fault, "anthropic": anthropic_fault, "gemini": gemini_fault}
_REFUSALS = (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY)
_ENDS = ("speech.audio.done", "transcript.text.done", "image_generation.completed", "image_edit.completed")
_LAST_WORDS = {Operation.RESPONSES: ("response.failed", "error")}
"""How a stream says that it broke, where it takes more than one frame: each kind of client reads another."""


class Heard(msgspec.Struct, kw_only=True):
    """What an answer holds."""

    text: str = ""
    usage: ChatUsage | None = None
    stop: StopReason | None = None
    calls: int = 0
    pieces: int = 0
    """How many frames came before any error."""
    errors: tuple[Any, ...] = ()
    """The frames that say that the stream broke, as JSON."""
    complete: bool = False
    """Whether a proper end came."""


def read_whole(operation: Operation, reply: Reply) -> Heard:
    """Read an answer that came whole. It fails where anything is missing."""
    if operation is Operation.SPEECH:
        assert reply.headers["content-type"].startswith("audio/"), reply.headers
        assert len(reply.body) >= SOUND_BYTES_MIN
        return Heard(complete=True)
    assert reply.headers["content-type"].startswith("application/json"), reply.headers
    if operation in CHAT_FORMATS:
        return _of_reply(CHAT_FORMATS[operation].read_reply(reply.json))
    if KINDS[operation] is Kind.EMBEDDING:
        return _of_vectors(embedding.read_reply(operation, reply.json))
    assert _has_content(operation, reply.json), reply.body[:400]
    return Heard(usage=read_usage(reply.body), complete=True)


def read_stream(operation: Operation, mode: Mode, reply: Reply) -> Heard:
    """Read a stream as far as it goes; an error frame is no failure here, but nothing may follow it."""
    kind = "application/json" if mode is Mode.ARRAY else "text/event-stream"
    assert reply.headers["content-type"].startswith(kind), reply.headers
    frames = list(_items(reply.body) if mode is Mode.ARRAY else _events(reply.body))
    heard = _of_chat(operation, frames) if operation in CHAT_FORMATS else _of_events(frames)
    assert len(heard.errors) in (0, len(_LAST_WORDS.get(operation, ("error",)))), heard.errors
    return heard


def check_fault(operation: Operation, reply: Reply, kinds: tuple[type[Fault], ...]) -> None:
    """Assert that a reply is one of these faults, as the operation's own dialect shows it."""
    shown = _shown(operation.dialect, reply.json)
    assert shown["message"], reply.json
    assert shown["request_id"], reply.json
    if Refused in kinds and reply.status in _REFUSALS:
        assert shown["kind"] in ("invalid_request_error", "INVALID_ARGUMENT", "image_generation_user_error"), shown
        return
    wanted = [_rendered(operation.dialect, kind) for kind in kinds]
    assert (reply.status, shown["code"]) in wanted, (reply.status, shown, wanted)


def check_error_frame(operation: Operation, frame: Any) -> None:
    """Assert that a frame says in the dialect's words that the stream broke."""
    shown = _shown(operation.dialect, as_object(frame))
    assert shown["message"], frame
    assert shown["code"], frame
    assert shown["request_id"], frame


def _rendered(dialect: str, kind: type[Fault]) -> tuple[int, str]:
    status, body = _RENDER[dialect](kind("x"), "req_x")
    return status, _shown(dialect, body)["code"]


def _shown(dialect: str, body: Mapping[str, Any]) -> dict[str, str]:
    """Give the words of an error. Its envelope must be the dialect's."""
    error = as_object(body.get("error"))
    if dialect == "gemini":
        details = [as_object(each) for each in as_list(error.get("details"))]
        info = next((each for each in details if "reason" in each), as_object(None))
        request = next((each for each in details if "requestId" in each), as_object(None))
        return {
            "message": as_text(error.get("message")),
            "kind": as_text(error.get("status")),
            "code": as_text(info.get("reason")),
            "request_id": as_text(request.get("requestId")),
        }
    if dialect == "anthropic":
        assert body.get("type") == "error", body
    return {
        "message": as_text(error.get("message")),
        "kind": as_text(error.get("type")),
        "code": as_text(error.get("code")),
        "request_id": as_text((body if dialect == "anthropic" else error).get("request_id")),
    }


def _of_vectors(reply: EmbedReply) -> Heard:
    assert all(len(vector) > 1 for vector in reply.vectors)
    assert reply.usage_input, "the vendor tells no usage, which every simulator does"
    return Heard(usage=ChatUsage(input=reply.usage_input, output=0), complete=True)


def _of_reply(reply: ChatReply) -> Heard:
    calls = sum(isinstance(part, ToolCall) for choice in reply.choices for part in choice.parts)
    stop = reply.choices[0].stop if reply.choices else None
    return Heard(text="".join(texts(reply)), usage=reply.usage, stop=stop, calls=calls, complete=True)


def _of_chat(operation: Operation, frames: list[Frame]) -> Heard:
    heard, reader = Heard(), CHAT_FORMATS[operation].read_stream()
    for place, frame in enumerate(frames):
        try:
            for delta in reader.feed(frame):
                _take(heard, delta)
        except StreamFault:
            heard.errors = tuple(codec.decode(each.data) for each in frames[place:])
            break
        heard.pieces += 1
        heard.complete = reader.complete
    return heard


def _take(heard: Heard, delta: Delta) -> None:
    heard.text += text_of(delta)
    match delta:
        case Counted():
            heard.usage = delta.usage
        case Stopped():
            heard.stop = delta.reason
        case CallBegan():
            heard.calls += 1
        case _:
            pass


def _of_events(frames: list[Frame]) -> Heard:
    """Of streams that no chat format reads: completions, sound, transcripts and pictures."""
    heard = Heard()
    for frame in frames:
        if frame.data == DONE:
            heard.complete = True
            continue
        event = as_object(codec.decode(frame.data))
        if event.get("error") is not None:
            heard.errors += (event,)
            continue
        assert not heard.errors, "something follows the error"
        heard.pieces += 1
        heard.complete = heard.complete or event.get("type") in _ENDS
        heard.text += as_text(event.get("delta"))
        heard.text += "".join(as_text(as_object(each).get("text")) for each in as_list(event.get("choices")))
        heard.usage = read_usage(frame.data) or heard.usage
    return heard


def _events(body: bytes) -> Iterator[Frame]:
    splitter = Splitter()
    yield from (frame for _, frame in splitter.feed(body) if frame is not None)
    assert not splitter.rest.strip(), f"the stream ends in the middle of a frame: {splitter.rest[:200]!r}"


def _items(body: bytes) -> Iterator[Frame]:
    yield from (Frame(codec.encode(item)) for item in as_list(codec.decode(body)))


def _has_content(operation: Operation, body: dict[str, Any]) -> bool:
    if operation in COUNTING:
        return (body.get("input_tokens") or body.get("totalTokens") or 0) > 0
    first = as_object(next(iter(as_list(body.get(_LISTS.get(operation, "data")))), None))
    match operation:
        case Operation.TRANSCRIPTION | Operation.TRANSLATION:
            return bool(as_text(body.get("text")))
        case _:
            return any(first.get(name) not in (None, "", []) for name in _CONTENTS)


_LISTS = {
    Operation.COMPLETION: "choices",
    Operation.MODERATION: "results",
    Operation.RERANK: "results",
}
_CONTENTS = ("b64_json", "url", "text", "categories", "relevance_score")
