from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from tests.wire.talk import FACTS, events_of, frames_of, read
from tests.wire.talk import write as write_with

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
from halley.kernel.codec import decode, encode
from halley.kernel.faults import NotConveyed, VendorBroken, VendorBusy
from halley.kernel.sse import Frame
from halley.wire.anthropic import MESSAGES
from halley.wire.contract import StreamFault
from halley.wire.gather import gather

GOLDEN = Path(__file__).parent / "golden"
BEGAN = Began(id="r", model="m")
DONE = Stopped(reason=StopReason.TOOLS)


def write(deltas: Iterable[Delta]) -> bytes:
    return write_with(MESSAGES.write_stream(FACTS), deltas)


def blocks(data: bytes) -> list[str]:
    """The events of blocks, short: which opens, what comes, which closes."""
    told: list[str] = []
    for event in events_of(data):
        match event["type"]:
            case "content_block_start":
                told.append(f"{event['index']}+{event['content_block']['type']}")
            case "content_block_delta":
                told.append(f"{event['index']}:{list(event['delta'].values())[1]}")
            case "content_block_stop":
                told.append(f"{event['index']}-")
            case _:
                pass
    return told


def frame(kind: str, **fields: Any) -> Frame:
    return Frame(encode({"type": kind, **fields}), kind)


def test_the_golden_stream_is_read():
    stream = MESSAGES.read_stream()
    deltas = read(stream, (GOLDEN / "tools.sse").read_bytes())
    assert stream.complete
    assert gather(deltas) == ChatReply(
        id="msg_01",
        model="claude-opus-5",
        choices=(
            Choice(
                parts=(
                    Thinking(text="Two cities, two calls.", signature="c2ln"),
                    Thinking(redacted="ZGF0YQ=="),
                    Text(text="I will look it up."),
                    ToolCall(id="toolu_1", name="weather", arguments='{"city": "Paris"}'),
                    ToolCall(id="toolu_2", name="now", arguments="{}"),
                ),
                stop=StopReason.TOOLS,
            ),
        ),
        usage=ChatUsage(input=42, output=57, cached=30),
    )


def test_what_we_write_is_the_golden_answer():
    deltas = read(MESSAGES.read_stream(), (GOLDEN / "tools.sse").read_bytes())
    assert write(deltas) == (GOLDEN / "tools_written.sse").read_bytes()


def test_a_stream_without_its_end_is_not_complete():
    data = (GOLDEN / "tools.sse").read_bytes()
    stream = MESSAGES.read_stream()
    read(stream, data[: data.index(b"event: message_stop")])
    assert not stream.complete


@pytest.mark.parametrize(
    ("word", "kind"), [("overloaded_error", VendorBusy), ("api_error", VendorBroken), ("other", VendorBroken)]
)
def test_an_error_event_is_a_fault(word: str, kind: type[Exception]):
    stream = MESSAGES.read_stream()
    with pytest.raises(StreamFault) as caught:
        list(stream.feed(frame("error", error={"type": word, "message": "m"})))
    assert type(caught.value.fault) is kind


@pytest.mark.parametrize(
    "bad",
    [
        Frame(b"{", "message_start"),
        frame("content_block_start", index=0, content_block={"type": "web_search_tool_result"}),
        frame("content_block_start", content_block={"type": "tool_use"}),
        frame("content_block_delta", index=0, delta={"type": "input_json_delta", "partial_json": "{"}),
        frame("content_block_delta", index=0, delta={"type": "new_delta"}),
        frame("message_delta", delta={"stop_reason": "brand_new"}),
    ],
    ids=["cut", "block", "no index", "no call", "delta", "stop"],
)
def test_what_cannot_be_read_is_said(bad: Frame):
    with pytest.raises(ValueError):
        list(MESSAGES.read_stream().feed(bad))


def test_arguments_that_come_at_once_are_read():
    stream = MESSAGES.read_stream()
    block = {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}
    assert list(stream.feed(frame("content_block_start", index=0, content_block=block))) == [
        CallBegan(slot=0, id="t", name="f"),
        CallPiece(slot=0, arguments='{"a":1}'),
    ]
    assert list(stream.feed(frame("content_block_stop", index=0))) == []


def test_the_words_of_a_refusal_are_read():
    details = {"type": "refusal", "category": "bio", "explanation": "I may not."}
    deltas = list(
        MESSAGES.read_stream().feed(frame("message_delta", delta={"stop_reason": "refusal", "stop_details": details}))
    )
    assert deltas == [RefusalPiece(text="I may not."), Stopped(reason=StopReason.REFUSED)]


def test_interleaved_calls_are_told_one_after_the_other():
    data = write(
        (
            BEGAN,
            CallBegan(slot=0, id="a", name="f"),
            CallBegan(slot=1, id="b", name="g"),
            CallPiece(slot=1, arguments='{"y":'),
            CallPiece(slot=0, arguments='{"x":1'),
            CallPiece(slot=1, arguments="2}"),
            CallPiece(slot=0, arguments="}"),
            TextPiece(text="done"),
            DONE,
        ),
    )
    assert blocks(data) == [
        *("0+tool_use", '0:{"x":1', "0:}", "0-"),
        *("1+tool_use", '1:{"y":', "1:2}", "1-"),
        *("2+text", "2:done", "2-"),
    ]


def test_the_next_call_is_told_at_once_when_the_one_before_is_whole():
    writer = MESSAGES.write_stream(FACTS)
    for delta in (BEGAN, CallBegan(slot=0, id="a", name="f"), CallPiece(slot=0, arguments='{"x":1} ')):
        writer.write(delta)
    assert blocks(writer.write(CallBegan(slot=1, id="b", name="g"))) == ["0-", "1+tool_use"]
    assert blocks(writer.write(CallPiece(slot=1, arguments="{"))) == ["1:{"]
    assert writer.write(CallPiece(slot=0, arguments="\n")) == b""


def test_calls_that_never_become_whole_are_closed_at_the_end():
    data = write(
        (
            BEGAN,
            CallBegan(slot=0, id="a", name="f"),
            CallPiece(slot=0, arguments='{"x'),
            CallBegan(slot=1, id="b", name="g"),
            TextPiece(text="t"),
            CallPiece(slot=1, arguments='{"y'),
            Stopped(reason=StopReason.LENGTH),
        ),
    )
    assert blocks(data) == ["0+tool_use", '0:{"x', "0-", "1+tool_use", '1:{"y', "1-", "2+text", "2:t", "2-"]


def test_arguments_behind_their_end_are_not_made_up_into_something():
    writer = MESSAGES.write_stream(FACTS)
    for delta in (BEGAN, CallBegan(slot=0, id="a", name="f"), CallPiece(slot=0, arguments="{}")):
        writer.write(delta)
    writer.write(TextPiece(text="t"))
    with pytest.raises(ValueError):
        writer.write(CallPiece(slot=0, arguments=',"b":1'))


def test_a_signature_closes_a_thought():
    deltas = (BEGAN, ThinkingPiece(text="a"), ThinkingPiece(signature="s"), ThinkingPiece(text="b"), DONE)
    assert blocks(write(deltas)) == [
        "0+thinking",
        "0:a",
        "0:s",
        "0-",
        "1+thinking",
        "1:b",
        "1-",
    ]


def test_the_usage_that_comes_last_is_told_last():
    first, last = ChatUsage(input=5, output=1), ChatUsage(input=5, output=9, reasoning=2)
    told = events_of(
        write(
            (Began(id="r", model="m", usage=first), Stopped(reason=StopReason.END), Counted(usage=last)),
        )
    )
    assert [event["type"] for event in told] == ["message_start", "message_delta", "message_stop"]
    assert told[0]["message"]["usage"]["input_tokens"] == 5
    assert told[1]["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}
    assert told[1]["usage"] == {
        "input_tokens": 5,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 9,
        "output_tokens_details": {"thinking_tokens": 2},
    }


def test_a_stream_without_usage_says_so_wherever_the_format_allows_it():
    told = events_of(write((BEGAN, Stopped(reason=StopReason.END))))
    caches = {"cache_creation_input_tokens": None, "cache_read_input_tokens": None}
    assert told[0]["message"]["usage"] == {"input_tokens": 0, "output_tokens": 0, "cache_creation": None, **caches}
    assert told[1]["usage"] == {"input_tokens": None, "output_tokens": 0, **caches}


def test_the_words_of_a_refusal_stand_beside_the_stop_and_else_are_text():
    words = RefusalPiece(text="no")
    refusal = write((BEGAN, words, Stopped(reason=StopReason.REFUSED)))
    assert events_of(refusal)[1]["delta"]["stop_details"]["explanation"] == "no"
    other = write((BEGAN, words, Stopped(reason=StopReason.END)))
    assert blocks(other) == ["0+text", "0:no", "0-"]
    ended = gather(read(MESSAGES.read_stream(), other))
    assert ended.choices[0].parts == (Text(text="no"),)
    again = gather(read(MESSAGES.read_stream(), refusal))
    assert again.choices[0].parts == (Refusal(text="no"),)


def test_a_picture_in_a_stream_is_refused():
    writer = MESSAGES.write_stream(FACTS)
    with pytest.raises(StreamFault) as caught:
        writer.write(BlobPiece(blob=Blob(kind=BlobKind.IMAGE, data="AA==")))
    assert isinstance(caught.value.fault, NotConveyed)


def test_a_broken_stream_says_so():
    told = MESSAGES.write_stream(FACTS).fault(VendorBusy("busy"), "req_1")
    (frame,) = frames_of(told)
    assert frame.event == "error"
    assert decode(frame.data) == {
        "type": "error",
        "error": {"type": "overloaded_error", "message": "busy", "code": "vendor_rate_limited"},
        "request_id": "req_1",
    }


def test_text_that_comes_with_the_beginning_of_a_block_is_read():
    stream = MESSAGES.read_stream()
    assert list(stream.feed(frame("content_block_start", index=0, content_block={"type": "text", "text": "a"}))) == [
        TextPiece(text="a")
    ]
    thinking = {"type": "thinking", "thinking": "b", "signature": ""}
    assert list(stream.feed(frame("content_block_start", index=1, content_block=thinking))) == [ThinkingPiece(text="b")]


def test_notes_beside_a_text_and_a_foreign_end_are_let_be():
    stream = MESSAGES.read_stream()
    delta: dict[str, Any] = {"type": "citations_delta", "citation": {}}
    assert list(stream.feed(frame("content_block_delta", index=0, delta=delta))) == []
    assert list(stream.feed(Frame(b"[DONE]"))) == []
