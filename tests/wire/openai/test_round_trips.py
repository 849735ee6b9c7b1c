import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire.strategies import (
    arguments,
    calls,
    deltas_of,
    files,
    images,
    linked_images,
    messages,
    orders,
    prose,
    refusals,
    replies,
    sampling,
    signed_thoughts,
    sounds,
    texts,
    thoughts,
    words,
)

from halley.kernel.chat import (
    ChatOrder,
    ChatReply,
    Choice,
    Delta,
    Message,
    Part,
    Refusal,
    Role,
    StopReason,
    Text,
    Thinking,
    ToolCall,
)
from halley.kernel.codec import decode_object, encode
from halley.kernel.sse import Splitter
from halley.wire.contract import AnswerFacts, ChatFormat
from halley.wire.gather import gather
from halley.wire.openai import CHAT, RESPONSES

FACTS = AnswerFacts(id="abc", model="caller/model", created_s=1_780_000_000, body={})
OURS = {CHAT.name: "chatcmpl-abc", RESPONSES.name: "resp_abc"}
FORMATS = pytest.mark.parametrize("wire", [pytest.param(CHAT, id="chat"), pytest.param(RESPONSES, id="responses")])

signed_calls = st.builds(ToolCall, id=words, name=words, arguments=arguments, signature=st.none() | words)
# Texts of a refusal stand beside the content, so a reply has one or the other.
chat_parts = st.one_of(texts, thoughts, signed_thoughts, signed_calls, images, linked_images)
proofs = st.builds(Thinking, signature=words)
"""Of thoughts whose words are left out."""
responses_parts = st.one_of(texts, thoughts, signed_thoughts, proofs, signed_calls, images)
refusing = st.one_of(refusals, thoughts)


def through(wire: ChatFormat, reply: ChatReply) -> ChatReply:
    return wire.read_reply(decode_object(encode(wire.write_reply(reply, FACTS))))


def streamed(wire: ChatFormat, reply: ChatReply) -> ChatReply:
    writer, reader, splitter = wire.write_stream(FACTS), wire.read_stream(), Splitter()
    deltas: list[Delta] = []
    for written in (*(writer.write(delta) for delta in deltas_of(reply)), writer.end()):
        for _, frame in splitter.feed(written):
            assert frame is not None
            deltas.extend(reader.feed(frame))
    assert reader.complete
    return gather(deltas)


def ours(wire: ChatFormat, reply: ChatReply) -> ChatReply:
    """The reply as the caller sees it: with our id, the caller's model, our time."""
    return msgspec.structs.replace(reply, id=OURS[wire.name], model="caller/model", created_s=1_780_000_000)


def in_fields(reply: ChatReply) -> ChatReply:
    """What chat can say: each kind of part in a field of its own, texts joined."""
    choices = (msgspec.structs.replace(choice, parts=_in_fields(choice.parts)) for choice in reply.choices)
    return msgspec.structs.replace(reply, choices=tuple(choices))


def _in_fields(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    thought = tuple(part for part in parts if isinstance(part, Thinking))
    if not any(one.signature or one.redacted for one in thought) and thought:
        thought = (Thinking(text="".join(one.text for one in thought)),)
    text = "".join(part.text for part in parts if isinstance(part, Text))
    refusal = "".join(part.text for part in parts if isinstance(part, Refusal))
    kinds = (Thinking, Text, Refusal, ToolCall)
    pictures = (part for part in parts if not isinstance(part, kinds))
    called = (part for part in parts if isinstance(part, ToolCall))
    said = (Text(text=text),) if text else ()
    return (*thought, *said, *((Refusal(text=refusal),) if refusal else ()), *pictures, *called)


@given(reply=replies(chat_parts, choices_max=3) | replies(refusing, choices_max=2))
def test_a_chat_reply_reads_as_it_was_written(reply: ChatReply):
    assert through(CHAT, reply) == in_fields(ours(CHAT, reply))


@given(reply=replies(chat_parts, choices_max=3) | replies(refusing, choices_max=2))
def test_a_streamed_chat_gathers_to_the_reply(reply: ChatReply):
    assert streamed(CHAT, reply) == ours(CHAT, reply)


@given(reply=replies(responses_parts) | replies(refusing))
def test_a_response_reads_as_it_was_written(reply: ChatReply):
    assert through(RESPONSES, reply) == ours(RESPONSES, reply)


@given(reply=replies(responses_parts) | replies(refusing))
def test_a_streamed_response_gathers_to_the_reply(reply: ChatReply):
    assert streamed(RESPONSES, reply) == ours(RESPONSES, reply)


@FORMATS
@given(reply=replies(texts))
def test_a_whole_reply_and_a_stream_tell_the_same_usage(wire: ChatFormat, reply: ChatReply):
    assert wire.read_usage(encode(wire.write_reply(reply, FACTS))) == reply.usage
    assert streamed(wire, reply).usage == reply.usage


chat_turns = messages(
    st.one_of(texts, images, linked_images, files, sounds),
    st.one_of(texts, calls),
).map(lambda turns: tuple(_ordered(turn) for turn in turns))
responses_turns = messages(
    st.one_of(texts, images, linked_images, files, sounds),
    st.one_of(texts, refusals, calls, st.builds(Thinking, text=prose, signature=words.map("gAAAA{}".format))),
    st.one_of(texts, images),
)


def _ordered(turn: Message) -> Message:
    """An assistant's texts stand before its calls in chat."""
    if turn.role is not Role.ASSISTANT:
        return turn
    return msgspec.structs.replace(turn, parts=tuple(sorted(turn.parts, key=lambda part: isinstance(part, ToolCall))))


@given(order=orders(chat_turns, **sampling))
def test_a_chat_order_reads_as_it_was_written(order: ChatOrder):
    assert CHAT.read_order(decode_object(encode(CHAT.write_order(order)))) == order


@given(order=orders(responses_turns))
def test_an_order_of_responses_reads_as_it_was_written(order: ChatOrder):
    assert RESPONSES.read_order(decode_object(encode(RESPONSES.write_order(order)))) == order


@FORMATS
@pytest.mark.parametrize(
    ("stop", "expected"),
    [
        pytest.param(StopReason.STOP_SEQUENCE, StopReason.END, id="stop sequences have no word"),
        pytest.param(StopReason.PAUSED, StopReason.END, id="pauses have no word"),
        pytest.param(StopReason.REFUSED, StopReason.FILTERED, id="a refusal without words is a filter's"),
        pytest.param(StopReason.FILTERED, StopReason.FILTERED, id="filtered"),
        pytest.param(StopReason.LENGTH, StopReason.LENGTH, id="length"),
    ],
)
def test_stop_reasons_are_told_as_well_as_the_format_can(wire: ChatFormat, stop: StopReason, expected: StopReason):
    reply = ChatReply(id="1", model="m", choices=(Choice(parts=(Text(text="x"),), stop=stop),))
    assert through(wire, reply).choices[0].stop is expected
    assert streamed(wire, reply).choices[0].stop is expected
