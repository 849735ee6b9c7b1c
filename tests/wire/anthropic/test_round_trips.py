"""Whatever this format can say comes back as it was, but for the losses that are named here."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from tests.wire.normal import joined, sayable, shaped
from tests.wire.strategies import (
    calls,
    efforts,
    files,
    images,
    linked_images,
    messages,
    orders,
    outputs,
    prose,
    replies,
    signed_thoughts,
    texts,
    thoughts,
)
from tests.wire.talk import retold, streamed

from halley.kernel.chat import (
    ChatOrder,
    ChatReply,
    OutputKind,
    Tool,
    ToolChoice,
    ToolMode,
)
from halley.kernel.codec import decode, encode
from halley.wire.anthropic import MESSAGES

turns = messages(
    st.one_of(texts, images, linked_images, files), st.one_of(texts, signed_thoughts, calls), texts | images
)
speakable = orders(
    turns,
    output_tokens_max=st.integers(1, 100_000),
    temperature=st.none() | st.floats(0, 1),
    top_k=st.none() | st.integers(1, 100),
    stop=st.lists(prose, max_size=3).map(tuple),
    output=st.none() | outputs.filter(lambda output: output.kind is not OutputKind.JSON),
    reasoning=st.none() | efforts,
)
answers = replies(st.one_of(texts, thoughts, signed_thoughts, calls))


def normal(order: ChatOrder) -> ChatOrder:
    """Losses: turns of one role are one, a tool without a schema takes none, some words say what holds anyway."""
    choice = order.tool_choice
    parallel = False if order.parallel_tools is False else None
    if not order.tools and (choice is None or choice.mode is not ToolMode.REQUIRED):
        choice, parallel = None, None
    elif choice is None and parallel is False:
        choice = ToolChoice(mode=ToolMode.AUTO)
    elif choice is not None and choice.mode is ToolMode.NONE:
        parallel = None
    return msgspec.structs.replace(
        order,
        messages=joined(order.messages),
        tools=tuple(plain(tool) for tool in order.tools),
        tool_choice=choice,
        parallel_tools=parallel,
        output=shaped(order.output),
    )


def plain(tool: Tool) -> Tool:
    return msgspec.structs.replace(tool, strict=tool.strict or None)


@given(order=speakable)
def test_an_order_comes_back(order: ChatOrder):
    asked = sayable(order)
    assert MESSAGES.read_order(decode(encode(MESSAGES.write_order(asked)))) == normal(asked)


def told(reply: ChatReply) -> ChatReply:
    """Losses: the time."""
    return msgspec.structs.replace(reply, id=f"msg_{reply.id}", created_s=None)


@given(reply=answers)
def test_a_reply_comes_back(reply: ChatReply):
    assert retold(MESSAGES, reply) == told(reply)


@given(reply=answers)
def test_a_stream_comes_back_as_the_reply(reply: ChatReply):
    assert streamed(MESSAGES, reply) == told(reply)
