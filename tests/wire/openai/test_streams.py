from pathlib import Path
from typing import Any

import pytest
from tests.wire.strategies import deltas_of
from tests.wire.talk import events_of, frames_of, read, write

from halley.kernel.chat import (
    Began,
    Blob,
    BlobKind,
    BlobPiece,
    CallBegan,
    CallPiece,
    ChatReply,
    ChatUsage,
    Choice,
    Counted,
    Delta,
    Refusal,
    RefusalPiece,
    Stopped,
    StopReason,
    Text,
    TextPiece,
    Thinking,
    ThinkingPiece,
    ToolCall,
)
from halley.kernel.codec import encode
from halley.kernel.faults import Fault, Moderated, OutcomeUnknown, VendorBroken, VendorBusy
from halley.kernel.sse import Frame
from halley.wire.contract import AnswerFacts, ChatFormat, ReadStream, StreamFault
from halley.wire.gather import gather
from halley.wire.openai import CHAT, RESPONSES

GOLDEN = Path(__file__).parent / "golden"
FACTS = AnswerFacts(id="abc", model="m", created_s=1, body={"temperature": 0.5, "metadata": {"a": "b"}})
STOPPED = Stopped(reason=StopReason.END)
FORMATS = pytest.mark.parametrize("wire", [pytest.param(CHAT, id="chat"), pytest.param(RESPONSES, id="responses")])


def golden(reader: ReadStream, name: str) -> list[Delta]:
    return read(reader, (GOLDEN / f"{name}.txt").read_bytes())


def one(reader: ReadStream, value: object, event: str = "") -> list[Delta]:
    return list(reader.feed(Frame(encode(value), event)))


# --- read ---------------------------------------------------------------------------------------------------


def test_a_chat_of_text_is_read():
    reader = CHAT.read_stream()
    assert golden(reader, "chat_text") == [
        Began(id="chatcmpl-1", model="m-1", created_s=1_780_000_000),
        TextPiece(text="Hel"),
        TextPiece(text="lo"),
        STOPPED,
        Counted(usage=ChatUsage(input=9, output=2)),
    ]
    assert reader.complete


def test_interleaved_calls_are_read():
    found = golden(CHAT.read_stream(), "chat_calls")
    assert found[1:] == [
        CallBegan(slot=0, id="call_a", name="f"),
        CallBegan(slot=1, id="call_b", name="g"),
        CallPiece(slot=0, arguments='{"x"'),
        CallPiece(slot=1, arguments="{}"),
        CallPiece(slot=0, arguments=":1}"),
        Stopped(reason=StopReason.TOOLS),
    ]


def test_calls_that_come_whole_are_told_apart_and_end_without_done():
    reader = CHAT.read_stream()
    reply = gather(golden(reader, "chat_whole_calls"))
    assert reader.complete
    assert reply.choices == (
        Choice(
            parts=(
                ToolCall(id="call_a", name="f", arguments='{"x":1}'),
                ToolCall(id="call_b", name="f", arguments='{"x":2}'),
                ToolCall(id="call_1x_0_2", name="g", arguments="{}", signature="s"),
            ),
            stop=StopReason.TOOLS,
        ),
    )


def test_an_empty_object_of_arguments_is_the_beginning_of_them():
    first: dict[str, Any] = {"index": 0, "id": "c", "function": {"name": "f", "arguments": {}}}
    more: dict[str, Any] = {"index": 0, "function": {"arguments": '{"x":1}'}}
    chunks: list[Any] = [{"choices": [{"delta": {"tool_calls": [call]}}]} for call in (first, more)]
    reader = CHAT.read_stream()
    found = [delta for value in chunks for delta in one(reader, value)]
    assert found[1:] == [CallBegan(slot=0, id="c", name="f"), CallPiece(slot=0, arguments='{"x":1}')]


def test_thoughts_are_read_in_all_spellings():
    reply = gather(golden(CHAT.read_stream(), "chat_thoughts"))
    picture = Blob(kind=BlobKind.IMAGE, media_type="image/png", data="AAAA")
    assert reply.usage == ChatUsage(input=1, output=2)
    assert reply.choices == (
        Choice(
            parts=(
                Thinking(text="hm", signature="s"),
                Thinking(redacted="z"),
                Thinking(text="hm"),
                Text(text="xy"),
                picture,
            ),
            stop=StopReason.LENGTH,
        ),
    )


def test_an_error_in_a_chat_breaks_it():
    reader = CHAT.read_stream()
    with pytest.raises(StreamFault) as caught:
        golden(reader, "chat_error")
    assert isinstance(caught.value.fault, VendorBroken)
    assert "vendor.example" not in caught.value.fault.message
    assert not reader.complete


def test_a_response_is_read():
    reader = RESPONSES.read_stream()
    found = golden(reader, "responses")
    assert reader.complete
    assert found == [
        Began(id="resp_1", model="m-1", created_s=1_780_000_000),
        ThinkingPiece(text="First"),
        ThinkingPiece(text="\n\n"),
        ThinkingPiece(text="then"),
        ThinkingPiece(signature="gAAAAs"),
        TextPiece(text="Hello"),
        CallBegan(slot=0, id="call_1", name="f"),
        CallPiece(slot=0, arguments="{}"),
        CallBegan(slot=1, id="call_2", name="g"),
        CallPiece(slot=1, arguments='{"y":2}'),
        Counted(usage=ChatUsage(input=8, output=4, cached=2, reasoning=3)),
        Stopped(reason=StopReason.TOOLS),
    ]


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        pytest.param({"type": "response.refusal.delta", "delta": "no"}, [RefusalPiece(text="no")], id="refusal"),
        pytest.param({"type": "response.reasoning_text.delta", "delta": "h"}, [ThinkingPiece(text="h")], id="thoughts"),
        pytest.param(
            {"type": "response.output_item.done", "item": {"type": "message", "content": [{"text": "x"}]}},
            [TextPiece(text="x")],
            id="text that came at once",
        ),
        pytest.param(
            {"type": "response.output_item.done", "item": {"type": "message", "content": [{"refusal": "x"}]}},
            [RefusalPiece(text="x")],
            id="refusal that came at once",
        ),
        pytest.param(
            {"type": "response.output_item.done", "item": {"type": "image_generation_call", "result": "AAAA"}},
            [BlobPiece(blob=Blob(kind=BlobKind.IMAGE, media_type="image/png", data="AAAA"))],
            id="image",
        ),
        pytest.param(
            {"type": "response.incomplete", "response": {"status": "incomplete"}},
            [Began(id="", model=""), Stopped(reason=StopReason.LENGTH)],
            id="incomplete",
        ),
        pytest.param({"type": "response.web_search_call.searching"}, [], id="the vendor's tools"),
        pytest.param({"type": "keepalive"}, [], id="unknown"),
    ],
)
def test_each_event_of_a_response_is_read(event: dict[str, Any], expected: list[Delta]):
    assert one(RESPONSES.read_stream(), event) == expected


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        pytest.param(
            {"type": "error", "code": "rate_limit_exceeded", "message": "x", "param": None}, VendorBusy, id="error"
        ),
        pytest.param({"type": "error", "error": {"type": "server_error"}}, VendorBroken, id="error in an object"),
        pytest.param({"error": {"code": "content_filter"}}, Moderated, id="error without a type"),
        pytest.param(
            {"type": "response.failed", "response": {"error": {"code": "server_error", "message": "x"}}},
            VendorBroken,
            id="failed",
        ),
    ],
)
def test_a_response_that_fails_breaks_the_stream(event: dict[str, Any], kind: type[Fault]):
    with pytest.raises(StreamFault) as caught:
        one(RESPONSES.read_stream(), event)
    assert type(caught.value.fault) is kind


@pytest.mark.parametrize(
    ("wire", "value"),
    [
        pytest.param(CHAT, [], id="chat: no object"),
        pytest.param(RESPONSES, 1, id="responses: no object"),
        pytest.param(CHAT, {"choices": [{"finish_reason": "network_error"}]}, id="broken off"),
        pytest.param(
            CHAT,
            {"choices": [{"delta": {"tool_calls": [{"id": "c"}]}, "finish_reason": "tool_calls"}]},
            id="a call without a name",
        ),
        pytest.param(CHAT, {"choices": [{"index": n} for n in range(129)]}, id="too many answers"),
        pytest.param(
            RESPONSES, {"type": "response.function_call_arguments.delta", "delta": "{"}, id="arguments of no call"
        ),
    ],
)
def test_what_cannot_be_read_is_no_stream(wire: ChatFormat, value: object):
    with pytest.raises(ValueError):
        one(wire.read_stream(), value)


@FORMATS
def test_a_stream_that_is_cut_is_not_complete(wire: ChatFormat):
    reader, writer = wire.read_stream(), wire.write_stream(FACTS)
    assert not reader.complete
    for frame in frames_of(writer.write(TextPiece(text="Hel"))):
        list(reader.feed(frame))
    assert not reader.complete


# --- write --------------------------------------------------------------------------------------------------

REPLY = ChatReply(
    id="1",
    model="m",
    choices=(
        Choice(
            parts=(
                Thinking(text="hm", signature="s"),
                Thinking(redacted="z"),
                Text(text="Hey"),
                ToolCall(id="call_1", name="f", arguments="{}"),
            ),
            stop=StopReason.TOOLS,
        ),
    ),
    usage=ChatUsage(input=3, output=4),
)


def written(wire: ChatFormat) -> bytes:
    writer = wire.write_stream(FACTS)
    return write(writer, deltas_of(REPLY))


@pytest.mark.parametrize(
    ("wire", "name"),
    [
        pytest.param(CHAT, "written_chat", id="chat"),
        pytest.param(RESPONSES, "written_responses", id="responses"),
    ],
)
def test_a_stream_is_written_as_the_golden_one(wire: ChatFormat, name: str):
    assert written(wire).decode() == (GOLDEN / f"{name}.txt").read_text()


def test_usage_is_left_out_of_a_chat_that_did_not_ask():
    facts = AnswerFacts(id="abc", model="m", created_s=1, body={}, include_usage=False)
    writer = CHAT.write_stream(facts)
    stream = write(writer, deltas_of(REPLY))
    assert b"usage" not in stream
    assert stream.endswith(b"data: [DONE]\n\n")


def test_events_of_a_response_are_numbered():
    assert [event["sequence_number"] for event in events_of(written(RESPONSES))] == list(range(21))


def test_the_last_event_of_a_response_holds_what_a_whole_one_would():
    assert events_of(written(RESPONSES))[-1]["response"] == RESPONSES.write_reply(REPLY, FACTS)


def test_a_chat_that_breaks_says_so_and_is_not_done():
    writer = CHAT.write_stream(FACTS)
    writer.write(TextPiece(text="Hel"))
    (event,) = events_of(writer.fault(OutcomeUnknown("The vendor fell silent"), "req"))
    assert event["error"]["message"] == "The vendor fell silent"
    assert (event["error"]["code"], event["error"]["request_id"]) == ("outcome_unknown", "req")


def test_a_response_that_breaks_fails_and_then_says_why():
    writer = RESPONSES.write_stream(FACTS)
    writer.write(TextPiece(text="Hel"))
    failed, error = events_of(writer.fault(VendorBusy("Too many"), "req"))
    assert (failed["type"], failed["response"]["status"]) == ("response.failed", "failed")
    assert failed["response"]["error"] == {"code": "rate_limit_exceeded", "message": "Too many"}
    assert (error["type"], error["code"], error["message"]) == ("error", "vendor_rate_limited", "Too many")
    assert error["error"]["request_id"] == "req"


@FORMATS
def test_a_linked_image_and_a_refusal_are_written(wire: ChatFormat):
    parts = (Blob(kind=BlobKind.IMAGE, url="https://a.example/b.png"), Refusal(text="no"))
    reply = ChatReply(id="1", model="m", choices=(Choice(parts=parts, stop=StopReason.REFUSED),))
    writer = wire.write_stream(FACTS)
    stream = write(writer, deltas_of(reply))
    assert b"https://a.example/b.png" in stream
    assert b'"refusal":"no"' in stream or b'"delta":"no"' in stream


@FORMATS
def test_sounds_in_an_answer_are_refused(wire: ChatFormat):
    with pytest.raises(ValueError, match="kind audio"):
        wire.write_stream(FACTS).write(BlobPiece(blob=Blob(kind=BlobKind.AUDIO, data="AAAA")))


def test_a_response_holds_one_answer():
    with pytest.raises(ValueError, match="one answer"):
        RESPONSES.write_stream(FACTS).write(TextPiece(text="x", choice=1))


def test_more_of_a_call_that_did_not_begin_is_refused():
    with pytest.raises(ValueError, match="before its beginning"):
        RESPONSES.write_stream(FACTS).write(CallPiece(slot=0, arguments="{}"))
