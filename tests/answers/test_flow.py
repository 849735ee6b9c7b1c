"""A flow hands pieces straight to the caller while nothing has to be waited for, and gives all others itself."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from tests.wire.talk import FACTS

from halley.kernel import codec, faults
from halley.kernel.operation import Operation
from halley.kernel.sse import frame
from halley.pipeline.answers.flow import Flow
from halley.pipeline.answers.pipe import Binary, Translated
from halley.wire.contract import StreamFault
from halley.wire.formats import CHAT_FORMATS

UNREADABLE = b"unreadable"
PIECES = [b"%d" % n for n in range(9)]


class Stream:
    """Pieces that come one after another; what is poured comes where nobody reads."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = list(pieces)

    async def read(self) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""

    async def pour(self, tap: Callable[[bytes], bool]) -> None:
        while self._pieces and tap(self._pieces[0]):
            del self._pieces[0]

    async def aclose(self) -> None:
        pass


class Sink:
    """Takes pieces, and has enough after those of some numbers."""

    def __init__(self, *full_after: int) -> None:
        self.taken: list[bytes] = []
        self._full_after = full_after

    def take(self, piece: bytes) -> bool:
        self.taken.append(piece)
        return len(self.taken) not in self._full_after


class Callers:
    """The keys known; a new epoch says that some may have been revoked."""

    epoch = 0


class Pipe(Binary):
    """Lets all through, but for one piece that it cannot read, and says that a stream broke."""

    def take(self, data: bytes) -> bytes:
        if data == UNREADABLE:
            raise ValueError("not a frame")
        return super().take(data)

    def fault(self, fault: faults.Fault, request_id: str) -> bytes:
        del request_id
        return type(fault).__name__.encode()


def flow_of(*pieces: bytes, callers: Callers | None = None) -> Flow:
    clock = SimpleNamespace(monotonic=lambda: 0.0)
    world: Any = SimpleNamespace(callers=callers or Callers(), clock=clock)
    ask: Any = SimpleNamespace(caller=None, request=SimpleNamespace(id="req_1"), admitted_at=0)
    return Flow(world, ask, cast("Any", Stream(*pieces)), Pipe(), "audio/mpeg")


async def test_without_a_sink_all_pieces_are_given():
    flow = flow_of(*PIECES)
    await flow.begin(0.0)
    assert [piece async for piece in flow.pieces()] == PIECES
    assert flow.complete


@pytest.mark.parametrize("full_after", [(), (1,), (3,), (1, 2, 3), (2, 4, 6, 8), tuple(range(10))])
async def test_all_pieces_come_once_and_in_order_whichever_way_they_take(full_after: tuple[int, ...]):
    flow = flow_of(*PIECES)
    await flow.begin(0.0)
    sink = Sink(*full_after)
    flow.pour(sink.take)
    given: list[bytes] = []
    async for piece in flow.pieces():
        given.append(piece)
        sink.take(piece)
    assert sink.taken == PIECES
    assert given[0] == PIECES[0]
    assert flow.complete
    if not full_after:
        assert given == PIECES[:1]


async def test_a_sink_that_has_enough_gets_nothing_before_the_next_piece_was_given():
    flow = flow_of(*PIECES)
    await flow.begin(0.0)
    sink = Sink(2)
    flow.pour(sink.take)
    pieces = flow.pieces()
    assert await anext(pieces) == b"0"
    assert await anext(pieces) == b"3"
    assert sink.taken == [b"1", b"2"]


async def test_a_key_that_may_have_been_revoked_is_looked_at_before_the_next_piece(monkeypatch: pytest.MonkeyPatch):
    async def revoked(_world: Any, _caller: Any) -> None:
        raise faults.Unauthenticated("the key was revoked")

    monkeypatch.setattr("halley.pipeline.answers.flow.confirm", revoked)
    callers = Callers()
    flow = flow_of(*PIECES, callers=callers)
    await flow.begin(0.0)
    sink = Sink()

    def take(piece: bytes) -> bool:
        callers.epoch = int(piece == b"4")
        return sink.take(piece)

    flow.pour(take)
    assert [piece async for piece in flow.pieces()] == [b"0", b"Unauthenticated"]
    assert sink.taken == [b"1", b"2", b"3", b"4"]
    assert isinstance(flow.broken, faults.Unauthenticated)
    assert not flow.complete


async def test_a_piece_that_cannot_be_read_breaks_the_flow_there():
    flow = flow_of(*PIECES[:5], UNREADABLE, *PIECES[5:])
    await flow.begin(0.0)
    sink = Sink()
    flow.pour(sink.take)
    assert [piece async for piece in flow.pieces()] == [b"0", b"OutcomeUnknown"]
    assert sink.taken == PIECES[1:5]
    assert isinstance(flow.broken, faults.OutcomeUnknown)


async def test_what_came_with_a_part_that_cannot_be_told_goes_out_before_it_breaks():
    pipe = Translated(
        CHAT_FORMATS[Operation.CONTENT].read_stream(), CHAT_FORMATS[Operation.MESSAGES].write_stream(FACTS)
    )
    parts = [{"text": "spoken"}, {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}}]
    told = {"candidates": [{"content": {"role": "model", "parts": parts}}]}
    assert b"spoken" in pipe.take(frame(codec.encode(told)))
    with pytest.raises(StreamFault, match="audio"):
        pipe.take(b"")
