"""Orders, replies and their pieces for the properties of all chat formats.

Everything here is in the normal form that formats read: no empty texts, no two texts side by side, and so on. Each
test chooses the parts and the fields that its format can say.
"""

import base64
import string
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from halley.kernel.chat import (
    Began,
    Blob,
    BlobKind,
    BlobPiece,
    CallBegan,
    CallPiece,
    ChatOrder,
    ChatReply,
    ChatUsage,
    Choice,
    Cited,
    Counted,
    Delta,
    Message,
    OutputFormat,
    OutputKind,
    Part,
    Reasoning,
    Refusal,
    RefusalPiece,
    Role,
    Stopped,
    StopReason,
    Text,
    TextPiece,
    Thinking,
    ThinkingPiece,
    Tool,
    ToolCall,
    ToolChoice,
    ToolMode,
    ToolResult,
)
from halley.kernel.codec import encode

PIECE_CHARACTERS = 3

words = st.text(alphabet=string.ascii_letters + string.digits + "_", min_size=1, max_size=12)
prose = st.text(alphabet=st.characters(codec="utf-8"), min_size=1, max_size=40)
base64s = st.sampled_from(("aGVsbG8=", "AAAA", "/+8="))
proofs = st.binary(min_size=1, max_size=9).map(lambda data: base64.b64encode(data).decode())
"""Signatures as most vendors write them; a reader may turn another alphabet of base64 into this one."""
json_objects: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    words,
    st.none() | st.booleans() | st.integers(-1000, 1000) | prose | st.lists(st.integers(0, 9), max_size=3),
    max_size=3,
)
arguments = json_objects.map(lambda value: encode(value).decode())


def _schema(names: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": {name: {"type": "string"} for name in names}}


schemas = st.lists(words, max_size=3).map(_schema)
tokens = st.integers(0, 100_000)
fractions = st.floats(0, 2, allow_nan=False)

texts = st.builds(Text, text=prose)
refusals = st.builds(Refusal, text=prose)
thoughts = st.builds(Thinking, text=prose)
signed_thoughts = st.builds(Thinking, text=prose, signature=words) | st.builds(Thinking, redacted=words)
images = st.builds(
    Blob, kind=st.just(BlobKind.IMAGE), media_type=st.sampled_from(("image/png", "image/webp")), data=base64s
)
linked_images = words.map(lambda word: Blob(kind=BlobKind.IMAGE, url=f"https://pictures.example/{word}.png"))
files = st.builds(Blob, kind=st.just(BlobKind.FILE), media_type=st.just("application/pdf"), data=base64s, name=words)
sounds = st.builds(
    Blob, kind=st.just(BlobKind.AUDIO), media_type=st.sampled_from(("audio/wav", "audio/mpeg")), data=base64s
)
calls = st.builds(ToolCall, id=words.map("call_{}".format), name=words, arguments=arguments)


def settled(parts: list[Part]) -> tuple[Part, ...]:
    """The parts without neighbours that a stream would join, and without two calls of one id."""
    kept: list[Part] = []
    ids: set[str] = set()
    for part in parts:
        if isinstance(part, ToolCall):
            if part.id in ids:
                continue
            ids.add(part.id)
        elif kept and type(part) is type(kept[-1]) and not isinstance(part, Blob):
            continue
        kept.append(part)
    return tuple(kept)


# --- orders ---------------------------------------------------------------------------------------------------


def messages(
    user_parts: st.SearchStrategy[Part],
    assistant_parts: st.SearchStrategy[Part],
    result_parts: st.SearchStrategy[Text | Blob] = texts,
) -> st.SearchStrategy[tuple[Message, ...]]:
    """Turns in normal form: a result stands in a message of its own, no two assistant's messages side by side."""
    one = st.one_of(
        st.builds(Message, role=st.just(Role.SYSTEM), parts=texts.map(lambda text: (text,))),
        st.builds(Message, role=st.just(Role.USER), parts=_some(user_parts)),
        st.builds(Message, role=st.just(Role.ASSISTANT), parts=_some(assistant_parts)),
        st.builds(
            Message,
            role=st.just(Role.USER),
            parts=st.builds(ToolResult, call_id=words, parts=result_parts.map(lambda part: (part,))).map(
                lambda result: (result,)
            ),
        ),
    )
    return st.lists(one, min_size=1, max_size=5).map(_taking_turns)


def _some(parts: st.SearchStrategy[Part]) -> st.SearchStrategy[tuple[Part, ...]]:
    return st.lists(parts, min_size=1, max_size=4).map(settled)


def _taking_turns(turns: list[Message]) -> tuple[Message, ...]:
    later = (turn for before, turn in pairwise(turns) if not before.role is turn.role is Role.ASSISTANT)
    return (turns[0], *later)


tools = st.builds(
    Tool, name=words, description=st.none() | prose, parameters=schemas, strict=st.sampled_from((None, True))
)
tool_choices = st.sampled_from(tuple(ToolChoice(mode=mode) for mode in ToolMode)) | words.map(
    lambda name: ToolChoice(mode=ToolMode.REQUIRED, name=name)
)
outputs = st.just(OutputFormat(kind=OutputKind.JSON)) | st.builds(
    OutputFormat,
    kind=st.just(OutputKind.SCHEMA),
    name=words,
    schema=schemas,
    strict=st.none() | st.booleans(),
    description=st.none() | prose,
)
efforts = st.just(Reasoning(enabled=False)) | st.builds(Reasoning, effort=st.sampled_from(("low", "medium", "high")))


def orders(
    turns: st.SearchStrategy[tuple[Message, ...]], **fields: st.SearchStrategy[Any]
) -> st.SearchStrategy[ChatOrder]:
    """Orders whose every field may be set or not; `fields` says what a format has other words for."""
    usual: dict[str, st.SearchStrategy[Any]] = {
        "tools": st.lists(tools, max_size=2).map(tuple),
        "tool_choice": st.none() | tool_choices,
        "parallel_tools": st.none() | st.booleans(),
        "output_tokens_max": st.none() | st.integers(1, 100_000),
        "temperature": st.none() | fractions,
        "top_p": st.none() | st.floats(0, 1),
        "output": st.none() | outputs,
        "reasoning": st.none() | efforts,
        "stream": st.booleans(),
    }
    return st.builds(ChatOrder, model=words, messages=turns, **{**usual, **fields})


sampling: dict[str, st.SearchStrategy[Any]] = {
    "stop": st.lists(prose, max_size=3).map(tuple),
    "seed": st.none() | st.integers(0, 2**31),
    "presence_penalty": st.none() | st.floats(0.1, 2),
    "frequency_penalty": st.none() | st.floats(-2, -0.1),
    "count": st.none() | st.integers(2, 8),
}
"""What not all formats have."""

# --- replies --------------------------------------------------------------------------------------------------


@st.composite
def usages(draw: st.DrawFn) -> ChatUsage:
    cached, written, reasoning = draw(tokens), draw(tokens), draw(tokens)
    return ChatUsage(
        input=cached + written + draw(tokens),
        output=reasoning + draw(st.integers(1, 1000)),
        cached=cached,
        cache_write=written,
        reasoning=reasoning,
    )


def replies(parts: st.SearchStrategy[Part], choices_max: int = 1) -> st.SearchStrategy[ChatReply]:
    """Whole answers; the stop reason fits the parts."""
    contents = st.lists(_some(parts), min_size=1, max_size=choices_max)
    return st.builds(
        ChatReply,
        id=words,
        model=words,
        created_s=st.integers(1, 2**32),
        choices=contents.flatmap(lambda found: st.tuples(*(_choices(n, one) for n, one in enumerate(found)))),
        usage=st.none() | usages(),
    )


def _choices(index: int, parts: tuple[Part, ...]) -> st.SearchStrategy[Choice]:
    usual = (StopReason.END, StopReason.LENGTH)
    stops = (StopReason.TOOLS, StopReason.LENGTH) if any(isinstance(part, ToolCall) for part in parts) else usual
    if any(isinstance(part, Refusal) for part in parts):
        stops = (StopReason.REFUSED,)
    return st.builds(Choice, index=st.just(index), parts=st.just(parts), stop=st.sampled_from(stops))


def deltas_of(reply: ChatReply) -> Iterator[Delta]:
    """The pieces that a stream of this reply would have, in small bits."""
    yield Began(id=reply.id, model=reply.model, created_s=reply.created_s)
    for choice in reply.choices:
        slot = 0
        for part in choice.parts:
            yield from _pieces(part, slot, choice.index)
            slot += isinstance(part, ToolCall)
        yield from (Cited(citation=citation, choice=choice.index) for citation in choice.citations)
        yield Stopped(reason=choice.stop, stop_sequence=choice.stop_sequence, choice=choice.index)
    if reply.usage is not None:
        yield Counted(usage=reply.usage)


def _pieces(part: Part, slot: int, choice: int) -> Iterator[Delta]:
    match part:
        case Text():
            yield from (TextPiece(text=bit, choice=choice) for bit in _bits(part.text))
        case Refusal():
            yield from (RefusalPiece(text=bit, choice=choice) for bit in _bits(part.text))
        case Thinking(redacted=None):
            yield from (ThinkingPiece(text=bit, choice=choice) for bit in _bits(part.text))
            if part.signature is not None:
                yield ThinkingPiece(signature=part.signature, choice=choice)
        case Thinking():
            yield ThinkingPiece(redacted=part.redacted, choice=choice)
        case ToolCall():
            yield CallBegan(slot=slot, id=part.id, name=part.name, signature=part.signature, choice=choice)
            yield from (CallPiece(slot=slot, arguments=bit, choice=choice) for bit in _bits(part.arguments))
        case Blob():
            yield BlobPiece(blob=part, choice=choice)
        case ToolResult():
            raise ValueError("a reply has no tool results")


def _bits(text: str) -> Iterator[str]:
    return (text[start : start + PIECE_CHARACTERS] for start in range(0, len(text), PIECE_CHARACTERS))
