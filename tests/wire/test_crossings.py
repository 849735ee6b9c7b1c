"""Every format to every other: what both can say arrives as it was meant."""

from collections.abc import Iterator
from itertools import permutations
from typing import Any

import msgspec
import pytest
from tests.wire.normal import turned
from tests.wire.strategies import deltas_of

from halley.kernel.chat import (
    Blob,
    BlobKind,
    ChatOrder,
    ChatReply,
    ChatUsage,
    Choice,
    Message,
    OutputFormat,
    OutputKind,
    Part,
    Reasoning,
    Role,
    StopReason,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolMode,
    ToolResult,
)
from halley.kernel.codec import decode, encode
from halley.kernel.sse import Splitter
from halley.wire.anthropic import MESSAGES
from halley.wire.contract import AnswerFacts, ChatFormat
from halley.wire.gather import gather
from halley.wire.gemini import CONTENT
from halley.wire.openai import CHAT, RESPONSES

FORMATS = (CHAT, RESPONSES, MESSAGES, CONTENT)
PAIRS = [pytest.param(one, other, id=f"{one.name} to {other.name}") for one, other in permutations(FORMATS, 2)]
ALL = [pytest.param(each, id=each.name) for each in FORMATS]
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
ORDER = ChatOrder(
    model="some-model",
    messages=(
        Message(role=Role.SYSTEM, parts=(Text(text="Be brief."),)),
        Message(
            role=Role.USER,
            parts=(
                Text(text="What is this, and how warm is it there? ☀"),
                Blob(kind=BlobKind.IMAGE, media_type="image/png", data="iVBORw0KGgo="),
            ),
        ),
        Message(
            role=Role.ASSISTANT,
            parts=(
                Text(text="Paris or Rome."),
                ToolCall(id="toolu_1", name="weather", arguments='{"city":"Paris"}'),
                ToolCall(id="toolu_2", name="weather", arguments='{"city":"Rome"}'),
            ),
        ),
        Message(role=Role.USER, parts=(ToolResult(call_id="toolu_1", parts=(Text(text='{"c":20}'),)),)),
        Message(role=Role.USER, parts=(ToolResult(call_id="toolu_2", parts=(Text(text="24 °C"),)),)),
        Message(role=Role.USER, parts=(Text(text="And tomorrow?"),)),
    ),
    tools=(Tool(name="weather", description="Tells the weather", parameters=SCHEMA),),
    tool_choice=ToolChoice(mode=ToolMode.REQUIRED, name="weather"),
    output_tokens_max=500,
    temperature=0.5,
    top_p=0.9,
    output=OutputFormat(kind=OutputKind.SCHEMA, name="answer", schema=SCHEMA),
    reasoning=Reasoning(effort="low"),
    stream=True,
)
REPLY = ChatReply(
    id="r1",
    model="some-model",
    choices=(
        Choice(
            parts=(
                Text(text="I will look it up. ☀"),
                ToolCall(id="toolu_1", name="weather", arguments='{"city":"Paris"}'),
                ToolCall(id="toolu_2", name="weather", arguments='{"city":"Rome"}'),
            ),
            stop=StopReason.TOOLS,
        ),
    ),
    usage=ChatUsage(input=100, output=50, cached=40, reasoning=20),
)


def sent(form: ChatFormat, order: ChatOrder) -> dict[str, Any]:
    """The body as its reader gets it: of one format model and way of answering come from the path."""
    body = decode(encode(form.write_order(order)))
    return {**body, "model": order.model, "stream": order.stream} if form is CONTENT else body


def meant(order: ChatOrder) -> ChatOrder:
    """Labels aside: the name of a schema, and the functions' names that some formats repeat in results."""
    output = order.output
    plain = None if output is None else OutputFormat(kind=output.kind, schema=output.schema)
    tools = tuple(msgspec.structs.replace(tool, strict=tool.strict or None) for tool in order.tools)
    return msgspec.structs.replace(turned(order, _nameless), output=plain, tools=tools)


def _nameless(part: Part) -> Part:
    return msgspec.structs.replace(part, name=None) if isinstance(part, ToolResult) else part


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_an_order_with_tools_and_pictures_crosses_over(one: ChatFormat, other: ChatFormat):
    asked = one.read_order(sent(one, ORDER))
    passed_on = other.read_order(sent(other, asked))
    assert meant(passed_on) == meant(asked) == meant(ORDER)


def facts(reply: ChatReply) -> AnswerFacts:
    return AnswerFacts(id=reply.id, model=reply.model, created_s=1, body={})


def answered(reply: ChatReply) -> ChatReply:
    """Ids and times are each format's own."""
    return msgspec.structs.replace(reply, id="", created_s=None)


def streamed(form: ChatFormat, reply: ChatReply) -> ChatReply:
    """The reply written as a stream, read and put together again."""
    writer, reader = form.write_stream(facts(reply)), form.read_stream()
    data = b"".join([*(writer.write(delta) for delta in deltas_of(reply)), writer.end()])
    frames = (frame for _, frame in Splitter().feed(data) if frame is not None)
    read = gather(delta for frame in frames for delta in reader.feed(frame))
    assert reader.complete
    return read


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_a_reply_with_calls_crosses_over(one: ChatFormat, other: ChatFormat):
    from_vendor = one.read_reply(decode(encode(one.write_reply(REPLY, facts(REPLY)))))
    to_caller = other.read_reply(decode(encode(other.write_reply(from_vendor, facts(REPLY)))))
    assert answered(to_caller) == answered(from_vendor) == answered(REPLY)


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_a_stream_with_calls_crosses_over(one: ChatFormat, other: ChatFormat):
    assert answered(streamed(other, streamed(one, REPLY))) == answered(REPLY)


def tolds(form: ChatFormat, reply: ChatReply) -> Iterator[ChatReply]:
    yield form.read_reply(decode(encode(form.write_reply(reply, facts(reply)))))
    yield streamed(form, reply)


@pytest.mark.parametrize("stop", [StopReason.END, StopReason.LENGTH], ids=str)
@pytest.mark.parametrize("form", ALL)
def test_a_text_with_its_thoughts_is_told_by_every_format(form: ChatFormat, stop: StopReason):
    thoughtful = Choice(parts=(Thinking(text="Hm."), Text(text="Yes.")), stop=stop)
    for reply in tolds(form, msgspec.structs.replace(REPLY, choices=(thoughtful,))):
        assert reply.choices == (thoughtful,)
        assert reply.usage == REPLY.usage
