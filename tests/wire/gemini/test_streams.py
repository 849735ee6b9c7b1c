from pathlib import Path
from typing import Any

import pytest
from tests.wire.talk import FACTS, events_of, read, write

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
from halley.kernel.faults import VendorBroken, VendorBusy
from halley.kernel.sse import Frame
from halley.wire.contract import StreamFault, Unusable
from halley.wire.gather import gather
from halley.wire.gemini import CONTENT, write_array_stream

GOLDEN = Path(__file__).parent / "golden"
BEGAN = Began(id="r", model="m")
DELTAS = (
    BEGAN,
    TextPiece(text="Hi"),
    Stopped(reason=StopReason.END),
    Counted(usage=ChatUsage(input=3, output=4, reasoning=1)),
)


def parts(data: bytes) -> list[Any]:
    """All parts of all chunks but the last, which is empty."""
    return [part for chunk in events_of(data)[:-1] for part in chunk["candidates"][0]["content"]["parts"]]


def frame(**fields: Any) -> Frame:
    return Frame(encode(fields))


def test_the_golden_stream_is_read():
    stream = CONTENT.read_stream()
    deltas = read(stream, (GOLDEN / "tools.sse").read_bytes())
    assert stream.complete
    assert gather(deltas) == ChatReply(
        id="qQ8-abcdefgh",
        model="gemini-3-pro-002",
        choices=(
            Choice(
                parts=(
                    Thinking(text="Two cities, two calls."),
                    Text(text="I will look it up."),
                    ToolCall(
                        id="call_0_weather_abcdefgh", name="weather", arguments='{"city":"Paris"}', signature="c2ln"
                    ),
                    ToolCall(id="call_1_weather_abcdefgh", name="weather", arguments='{"city":"Rome"}'),
                ),
                stop=StopReason.TOOLS,
            ),
        ),
        usage=ChatUsage(input=12, output=39, reasoning=9),
    )


def test_what_we_write_is_the_golden_answer():
    deltas = read(CONTENT.read_stream(), (GOLDEN / "tools.sse").read_bytes())
    assert write(CONTENT.write_stream(FACTS), deltas) == (GOLDEN / "tools_written.sse").read_bytes()


def test_a_stream_without_its_end_is_not_complete():
    data = (GOLDEN / "tools.sse").read_bytes()
    stream = CONTENT.read_stream()
    read(stream, data[: data.rindex(b"data: ")])
    assert not stream.complete


def test_each_choice_must_come_to_its_end():
    stream = CONTENT.read_stream()
    one = {"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP", "index": 0}
    two = {"content": {"parts": [{"text": "b"}]}, "index": 1}
    list(stream.feed(frame(candidates=[one, two])))
    assert not stream.complete
    list(stream.feed(frame(candidates=[{"finishReason": "MAX_TOKENS", "index": 1}])))
    assert stream.complete


def test_a_blocked_prompt_is_a_complete_answer():
    stream = CONTENT.read_stream()
    feedback = {"blockReason": "SAFETY", "blockReasonMessage": "Not this."}
    assert list(stream.feed(frame(responseId="r", modelVersion="m", promptFeedback=feedback))) == [
        BEGAN,
        RefusalPiece(text="Not this."),
        Stopped(reason=StopReason.FILTERED),
    ]
    assert stream.complete


@pytest.mark.parametrize(("code", "kind"), [(503, VendorBusy), (500, VendorBroken), (None, VendorBroken)])
def test_an_error_chunk_is_a_fault(code: int | None, kind: type[Exception]):
    with pytest.raises(StreamFault) as caught:
        list(CONTENT.read_stream().feed(frame(error={"code": code, "message": "m"})))
    assert type(caught.value.fault) is kind


@pytest.mark.parametrize(
    "bad",
    [
        Frame(b"{"),
        frame(candidates=[{"content": {"parts": [{"executableCode": {}}]}}]),
        frame(candidates=[{"finishReason": 1}]),
    ],
    ids=["cut", "part", "stop"],
)
def test_what_cannot_be_read_is_said(bad: Frame):
    with pytest.raises(ValueError):
        list(CONTENT.read_stream().feed(bad))


def test_an_end_without_an_answer_is_said_once_all_of_its_chunk_is_told():
    usage = {"promptTokenCount": 100, "thoughtsTokenCount": 900}
    ended = [{"content": {"parts": [{"text": "Hm"}]}, "finishReason": "OTHER"}]
    deltas = iter(CONTENT.read_stream().feed(frame(candidates=ended, usageMetadata=usage)))
    assert [type(next(deltas)) for _ in range(3)] == [Began, TextPiece, Counted]
    with pytest.raises(Unusable, match="OTHER"):
        next(deltas)


def test_calls_are_told_whole_and_in_their_order():
    data = write(
        CONTENT.write_stream(FACTS),
        (
            BEGAN,
            CallBegan(slot=0, id="a", name="f"),
            CallBegan(slot=1, id="b", name="g", signature="s"),
            CallPiece(slot=1, arguments='{"y":2}'),
            CallPiece(slot=0, arguments='{"x"'),
            CallPiece(slot=0, arguments=":1}"),
            TextPiece(text="done"),
            Stopped(reason=StopReason.TOOLS),
        ),
    )
    assert parts(data) == [
        {"functionCall": {"id": "a", "name": "f", "args": {"x": 1}}},
        {"functionCall": {"id": "b", "name": "g", "args": {"y": 2}}, "thoughtSignature": "s"},
        {"text": "done"},
    ]


def test_thoughts_pictures_and_refusals_are_told():
    picture = Blob(kind=BlobKind.IMAGE, media_type="image/png", data="AAAA")
    data = write(
        CONTENT.write_stream(FACTS),
        (
            BEGAN,
            ThinkingPiece(text="hm"),
            ThinkingPiece(signature="s"),
            ThinkingPiece(redacted="d"),
            BlobPiece(blob=picture),
            RefusalPiece(text="no"),
            Stopped(reason=StopReason.REFUSED),
        ),
    )
    assert parts(data) == [
        {"text": "hm", "thought": True},
        {"text": "", "thoughtSignature": "s"},
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
        {"text": "no"},
    ]
    assert events_of(data)[-1]["candidates"][0]["finishReason"] == "SAFETY"


def test_arguments_that_are_no_object_are_not_made_up():
    writer = CONTENT.write_stream(FACTS)
    for delta in (BEGAN, CallBegan(slot=0, id="a", name="f"), CallPiece(slot=0, arguments='{"x"')):
        writer.write(delta)
    with pytest.raises(ValueError):
        writer.write(Stopped(reason=StopReason.TOOLS))


def test_a_call_that_is_cut_short_is_left_out():
    writer = CONTENT.write_stream(FACTS)
    whole = (CallBegan(slot=0, id="a", name="f"), CallPiece(slot=0, arguments='{"x":1}'))
    half = (CallBegan(slot=1, id="b", name="f"), CallPiece(slot=1, arguments='{"x"'))
    data = b"".join(map(writer.write, (BEGAN, *whole, *half, Stopped(reason=StopReason.LENGTH)))) + writer.end()
    assert [part for part in parts(data) if "functionCall" in part] == [
        {"functionCall": {"id": "a", "name": "f", "args": {"x": 1}}}
    ]
    assert events_of(data)[-1]["candidates"][0]["finishReason"] == "MAX_TOKENS"


def test_the_last_chunk_tells_the_stop_and_the_usage():
    assert events_of(write(CONTENT.write_stream(FACTS), DELTAS))[-1] == {
        "candidates": [{"content": {"parts": [{"text": ""}], "role": "model"}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {
            "promptTokenCount": 3,
            "candidatesTokenCount": 3,
            "totalTokenCount": 7,
            "thoughtsTokenCount": 1,
        },
        "modelVersion": "alias",
        "responseId": "abc",
    }


def test_an_array_has_the_same_chunks_as_its_elements():
    assert decode(write(write_array_stream(FACTS), DELTAS)) == events_of(write(CONTENT.write_stream(FACTS), DELTAS))


def test_an_array_grows_element_by_element():
    writer = write_array_stream(FACTS)
    written = [writer.write(delta) for delta in DELTAS] + [writer.end()]
    assert [bool(each) for each in written] == [False, True, False, False, True]
    assert written[1].startswith(b"[{")
    assert written[-1].startswith(b",\r\n{")
    assert written[-1].endswith(b"}]")


def test_a_broken_stream_says_so_in_either_shape():
    fault = VendorBusy("busy", retry_after_s=3)
    (told,) = events_of(CONTENT.write_stream(FACTS).fault(fault, "req_1"))
    assert (told["error"]["code"], told["error"]["status"], told["error"]["message"]) == (503, "UNAVAILABLE", "busy")
    writer = write_array_stream(FACTS)
    data = b"".join((*(writer.write(delta) for delta in DELTAS[:2]), writer.fault(fault, "req_1")))
    assert decode(data)[1] == told
    assert decode(write_array_stream(FACTS).fault(fault, "req_1")) == [told]
