import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire.strategies import calls, deltas_of, images, refusals, replies, signed_thoughts, texts, thoughts

from halley.kernel.chat import (
    Began,
    CallBegan,
    CallPiece,
    ChatReply,
    ChatUsage,
    Counted,
    Stopped,
    StopReason,
    Text,
    TextPiece,
    Thinking,
    ThinkingPiece,
    ToolCall,
)
from halley.wire.gather import gather

BEGAN = Began(id="1", model="m")


@given(reply=replies(st.one_of(texts, refusals, thoughts, signed_thoughts, calls, images), choices_max=3))
def test_the_pieces_of_a_reply_gather_to_it(reply: ChatReply):
    assert gather(deltas_of(reply)) == reply


def test_interleaved_calls_are_kept_apart():
    reply = gather(
        (
            BEGAN,
            CallBegan(slot=0, id="a", name="f"),
            CallBegan(slot=1, id="b", name="g"),
            CallPiece(slot=0, arguments="{}"),
            CallPiece(slot=1, arguments="[1"),
            CallPiece(slot=1, arguments="]"),
            Stopped(reason=StopReason.TOOLS),
        )
    )
    assert reply.choices[0].parts == (
        ToolCall(id="a", name="f", arguments="{}"),
        ToolCall(id="b", name="g", arguments="[1]"),
    )


def test_a_signature_closes_a_thought():
    reply = gather(
        (
            BEGAN,
            ThinkingPiece(text="one"),
            ThinkingPiece(signature="s"),
            ThinkingPiece(text="two"),
            Stopped(reason=StopReason.END),
        )
    )
    assert reply.choices[0].parts == (Thinking(text="one", signature="s"), Thinking(text="two"))


def test_the_last_usage_counts_and_empty_pieces_make_no_part():
    first, last = ChatUsage(input=1, output=0), ChatUsage(input=1, output=2)
    reply = gather(
        (
            Began(id="1", model="m", usage=first),
            TextPiece(text=""),
            TextPiece(text="x"),
            Counted(usage=last),
            Stopped(reason=StopReason.END),
        )
    )
    assert (reply.usage, reply.choices[0].parts) == (last, (Text(text="x"),))


@pytest.mark.parametrize(
    "deltas",
    [
        pytest.param((), id="nothing"),
        pytest.param((BEGAN,), id="no answer"),
        pytest.param((BEGAN, TextPiece(text="x")), id="no end"),
        pytest.param((BEGAN, CallPiece(slot=0, arguments="{}")), id="a call without a beginning"),
    ],
)
def test_an_incomplete_stream_gathers_to_nothing(deltas: tuple[Began | TextPiece | CallPiece, ...]):
    with pytest.raises(ValueError):
        gather(deltas)
