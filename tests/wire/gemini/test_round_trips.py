"""Whatever this format can say comes back as it was, but for the losses that are named here."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from tests.wire.normal import sayable, shaped, turned
from tests.wire.strategies import (
    calls,
    deltas_of,
    efforts,
    files,
    images,
    messages,
    orders,
    proofs,
    replies,
    sampling,
    sounds,
    texts,
    thoughts,
)
from tests.wire.talk import events_of, facts_of, retold, streamed, write

from halley.kernel.chat import (
    ChatOrder,
    ChatReply,
    Part,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolMode,
    ToolResult,
)
from halley.kernel.codec import decode, encode
from halley.wire.gemini import CONTENT, write_array_stream

signed = st.builds(Thinking, text=texts.map(lambda text: text.text), signature=proofs)
turns = messages(st.one_of(texts, images, files, sounds), st.one_of(texts, thoughts, signed, calls), texts | images)
speakable = orders(
    turns,
    parallel_tools=st.none(),
    output_tokens_max=st.none() | st.integers(1, 100_000),
    top_k=st.none() | st.integers(1, 100),
    reasoning=st.none() | efforts,
    **sampling,
)
answers = replies(st.one_of(texts, thoughts, signed, calls, images), choices_max=3)


def named(order: ChatOrder) -> ChatOrder:
    """Results name their function."""
    return turned(order, lambda part: msgspec.structs.replace(part, name="f") if isinstance(part, ToolResult) else part)


def normal(order: ChatOrder) -> ChatOrder:
    """Losses: turns of one role are one; strictness is that of all tools, and only where none is demanded."""
    tools, choice = strict(order.tools, order.tool_choice)
    output = shaped(order.output)
    return msgspec.structs.replace(
        turned(order, plain), tools=tools, tool_choice=choice, output=output, stream=order.stream
    )


def plain(part: Part) -> Part:
    """An empty object of arguments is none at all; an object said as text comes back as the same text."""
    return msgspec.structs.replace(part, arguments=part.arguments or "{}") if isinstance(part, ToolCall) else part


def strict(tools: tuple[Tool, ...], choice: ToolChoice | None) -> tuple[tuple[Tool, ...], ToolChoice | None]:
    auto = choice is None or choice.mode is ToolMode.AUTO
    kept = True if auto and any(tool.strict for tool in tools) else None
    told = tuple(msgspec.structs.replace(tool, strict=kept) for tool in tools)
    if kept:
        return told, ToolChoice(mode=ToolMode.AUTO)
    nothing = not tools and (choice is None or choice.mode is not ToolMode.REQUIRED)
    return told, None if nothing else choice


@given(order=speakable)
def test_an_order_comes_back(order: ChatOrder):
    asked = sayable(named(order))
    body = decode(encode(CONTENT.write_order(asked)))
    assert CONTENT.read_order({**body, "model": asked.model, "stream": asked.stream}) == normal(asked)


def told(reply: ChatReply) -> ChatReply:
    """Losses: the time, and what was written to the cache."""
    usage = reply.usage
    kept = None if usage is None else msgspec.structs.replace(usage, cache_write=0, cache_write_1h=0)
    return msgspec.structs.replace(reply, created_s=None, usage=kept)


@given(reply=answers)
def test_a_reply_comes_back(reply: ChatReply):
    assert retold(CONTENT, reply) == told(reply)


@given(reply=answers)
def test_a_stream_comes_back_as_the_reply(reply: ChatReply):
    assert streamed(CONTENT, reply) == told(reply)


@given(reply=answers)
def test_an_array_holds_what_the_events_hold(reply: ChatReply):
    events, array = CONTENT.write_stream(facts_of(reply)), write_array_stream(facts_of(reply))
    assert decode(write(array, deltas_of(reply))) == events_of(write(events, deltas_of(reply)))
