"""Every format to every other: what both can say arrives as it was meant."""

from collections.abc import Iterator
from itertools import permutations
from typing import Any

import msgspec
import pytest
from tests.wire.normal import turned
from tests.wire.talk import retold, streamed

from halley.kernel.chat import (
    Blob,
    BlobKind,
    ChatOrder,
    ChatReply,
    ChatUsage,
    Choice,
    Citation,
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
from halley.kernel.faults import NotConveyed
from halley.wire.anthropic import MESSAGES
from halley.wire.contract import ChatFormat
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


def answered(reply: ChatReply) -> ChatReply:
    """Ids and times are each format's own."""
    return msgspec.structs.replace(reply, id="", created_s=None)


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_a_reply_with_calls_crosses_over(one: ChatFormat, other: ChatFormat):
    from_vendor = retold(one, REPLY)
    to_caller = retold(other, from_vendor)
    assert answered(to_caller) == answered(from_vendor) == answered(REPLY)


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_a_stream_with_calls_crosses_over(one: ChatFormat, other: ChatFormat):
    assert answered(streamed(other, streamed(one, REPLY))) == answered(REPLY)


def tolds(form: ChatFormat, reply: ChatReply) -> Iterator[ChatReply]:
    yield retold(form, reply)
    yield streamed(form, reply)


@pytest.mark.parametrize("stop", [StopReason.END, StopReason.LENGTH], ids=str)
@pytest.mark.parametrize("form", ALL)
def test_a_text_with_its_thoughts_is_told_by_every_format(form: ChatFormat, stop: StopReason):
    thoughtful = Choice(parts=(Thinking(text="Hm."), Text(text="Yes.")), stop=stop)
    for reply in tolds(form, msgspec.structs.replace(REPLY, choices=(thoughtful,))):
        assert reply.choices == (thoughtful,)
        assert reply.usage == REPLY.usage


KEPT: dict[str, dict[str, Any]] = {
    CHAT.name: {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}]},
    RESPONSES.name: {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "file-1"}]}]},
    MESSAGES.name: {
        "max_tokens": 9,
        "messages": [
            {"role": "user", "content": [{"type": "document", "source": {"type": "file", "file_id": "file_1"}}]}
        ],
    },
    CONTENT.name: {"contents": [{"parts": [{"fileData": {"mimeType": "application/pdf", "fileUri": "files/1"}}]}]},
}
"""Orders with a file that the vendor of their format keeps."""


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_a_file_that_a_vendor_keeps_is_refused_by_name_where_that_vendor_is_not_asked(
    one: ChatFormat, other: ChatFormat
):
    asked = one.read_order({"model": "some-model", **KEPT[one.name]})
    with pytest.raises(NotConveyed, match="kept by a vendor that does not serve this model") as caught:
        other.write_order(asked)
    assert (caught.value.param or "").endswith("file_id")


CITED = Choice(
    parts=(Text(text="Rain in Paris ☔. Sun in Rome."),),
    citations=(
        Citation(url="https://a.example/paris", title="Paris", start=0, end=16),
        Citation(url="https://a.example/rome", title="Rome", start=17, end=29),
        Citation(url="https://a.example/both", title="Both", start=17, end=29),
    ),
    stop=StopReason.END,
)


def words_of(choice: Choice) -> str:
    return "".join(part.text for part in choice.parts if isinstance(part, Text))


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_what_an_answer_cites_crosses_over(one: ChatFormat, other: ChatFormat):
    (choice,) = retold(other, retold(one, msgspec.structs.replace(REPLY, choices=(CITED,)))).choices
    assert words_of(choice) == words_of(CITED)
    assert choice.citations == CITED.citations


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_what_a_stream_cites_crosses_over(one: ChatFormat, other: ChatFormat):
    (choice,) = streamed(other, streamed(one, msgspec.structs.replace(REPLY, choices=(CITED,)))).choices
    assert choice.parts == CITED.parts
    assert [(each.url, each.title) for each in choice.citations] == [(each.url, each.title) for each in CITED.citations]
    if MESSAGES not in (one, other):  # whose blocks are cited whole, and the words have been told already
        assert choice.citations == CITED.citations


@pytest.mark.parametrize("form", [pytest.param(each, id=each.name) for each in (MESSAGES, CONTENT)])
def test_half_a_character_in_arguments_breaks_no_answer(form: ChatFormat):
    call = ToolCall(id="toolu_1", name="f", arguments=r'{"a":"x \ud83d"}')
    (choice,) = retold(
        form, msgspec.structs.replace(REPLY, choices=(Choice(parts=(call,), stop=StopReason.TOOLS),))
    ).choices
    assert choice.parts == (ToolCall(id="toolu_1", name="f", arguments='{"a":"x \ufffd"}'),)
