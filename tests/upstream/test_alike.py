"""Two ways to read a reply, gathered whole (`Pending`) and as a stream read to its end: they must say the same."""

import asyncio
import gzip
import socket
from itertools import pairwise
from typing import Any, NamedTuple

from hypothesis import example, given, settings
from hypothesis import strategies as st

from halley.kernel.clock import SystemClock
from halley.upstream import OutcomeUnknown, ReplyTooLarge, UpstreamRequest
from halley.upstream.connection import Connection, Exchange, Shelf
from halley.upstream.head import Origin
from halley.upstream.incoming import Incoming
from halley.upstream.stream import ReplyStream
from halley.upstream.whole import Pending

BYTES_MAX = 40
REQUEST = UpstreamRequest(
    method="POST", url="http://a.example/", connect_timeout_s=1.0, answer_timeout_s=60.0, reply_bytes_max=BYTES_MAX
)


class Line(asyncio.Transport):
    """A connection without a network; what is written to it is nobody's business here."""

    closed = False

    def is_closing(self) -> bool:
        return self.closed

    def abort(self) -> None:
        self.closed = True

    def write(self, data: Any) -> None:
        assert data

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        assert name == "ssl_object"
        return default


class Books:
    """Who keeps the connection: whether it may be used again."""

    def __init__(self) -> None:
        self.kept: list[bool] = []

    def made(self, connection: Connection) -> None:
        """Nothing is kept count of."""

    def freed(self, connection: Connection, *, may_keep: bool) -> None:
        del connection
        self.kept.append(may_keep)

    def crowded(self) -> bool:
        return False

    def lost(self, connection: Connection) -> None:
        """Nothing is kept count of."""


class Wire(NamedTuple):
    """A reply as it comes, in pieces, and whether the server closes the connection behind it or it breaks."""

    pieces: list[bytes]
    closes: bool = True


class Outcome(NamedTuple):
    answer: tuple[int, bytes, dict[str, str], str] | None
    """Status, body, headers and content type."""
    error: type[Exception] | None
    status: int | None
    kept: bool | None
    """Not told of a reply that is too large: the one who gathers it notices sooner."""


async def short(pending: Pending) -> tuple[int, bytes, dict[str, str], str]:
    reply = await pending
    return reply.status, reply.body, reply.headers, reply.content_type


async def long(incoming: Incoming) -> tuple[int, bytes, dict[str, str], str]:
    await incoming.wait(0)
    stream = ReplyStream(incoming, 0)
    body = await stream.read_all()
    return stream.status, body, stream.headers, stream.headers.get("content-type", "")


async def play(wire: Wire, *, whole: bool) -> Outcome:
    """Read a reply the one way or the other."""
    loop, books, line = asyncio.get_running_loop(), Books(), Line()
    with socket.socket() as raw:
        connection = Connection(Shelf(Origin("http", "a.example", 80)), raw, books, loop)
        connection.connection_made(line)
        exchange: Exchange
        if whole:
            exchange = Pending(loop, REQUEST, loop.time() + 60, SystemClock())
            reading = short(exchange)
        else:
            exchange = Incoming(loop, REQUEST, loop.time() + 60)
            reading = long(exchange)
        assert connection.start(exchange, b"POST", b"{}", loop.time())
        async with asyncio.TaskGroup() as group:
            told = group.create_task(outcome(reading, books))
            await feed(connection, line, wire)
        return told.result()


async def feed(connection: Connection, line: Line, wire: Wire) -> None:
    await turns()
    for piece in wire.pieces:
        if not line.closed:
            connection.data_received(piece)
            await turns()
    if wire.closes and not line.closed:
        connection.eof_received()
        await turns()
    connection.connection_lost(None if wire.closes else ConnectionResetError(104, "reset"))


async def turns() -> None:
    """Let everybody do what there is to do."""
    for _ in range(5):
        await asyncio.sleep(0)


async def outcome(reading: Any, books: Books) -> Outcome:
    try:
        answer = await reading
    except OutcomeUnknown as error:
        kept = None if isinstance(error, ReplyTooLarge) else books.kept == [True]
        return Outcome(None, type(error), error.status, kept)
    return Outcome(answer, None, None, books.kept == [True])


STATUSES = (
    "200 OK",
    "200",
    "201 Created",
    "204 No",
    "304 Same",
    "402 Pay",
    "404 None",
    "429 Slow",
    "503 Away",
)
HEADERS: tuple[bytes, ...] = (
    b"content-type: application/json",
    b"Content-Type: Text/Event-Stream",
    b"CONTENT-TYPE:  text/plain; charset=utf-8 ",
    b"content-type: caf\xe9",
    b"connection: close",
    b"Connection: keep-alive",
    b"content-encoding: gzip",
    b"Content-Encoding: identity",
    b"content-encoding: br",
    b"content-encoding: \xe9",
    b"set-cookie: a=b",
    b"Set-Cookie: c",
    b"x-name: caf\xe9",
    b"x-empty:",
    b"upgrade: h2c",
)
MALFORMED: tuple[bytes, ...] = (b"x y: no name", b"x: \x00", b"Content-Length: x", b"Content-Length: 0")
BODIES = st.binary(max_size=60) | st.sampled_from([gzip.compress(b"hello"), gzip.compress(bytes(5_000)), b""])
BEHIND = (b"", b"", b"", b"H", b"\r\n", b"\x00", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


def _chunked(body: bytes, size: int, trailer: bytes) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x;a=b\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n" + trailer + b"\r\n"


@st.composite
def replies(draw: st.DrawFn) -> bytes:
    """A reply that is mostly proper HTTP."""
    body = draw(BODIES)
    lines = draw(st.lists(st.sampled_from(HEADERS), max_size=4))
    if draw(st.integers(0, 9)) == 0:
        lines.append(draw(st.sampled_from(MALFORMED)))
    framing = draw(st.sampled_from(["length", "length", "length", "chunked", "chunked", "none"]))
    sent = body
    if framing == "length":
        lines.append(b"Content-Length: %d" % (len(body) + draw(st.sampled_from([0, 0, 0, 0, 0, -1, 1]))))
    elif framing == "chunked":
        lines.append(b"Transfer-Encoding: chunked")
        sent = _chunked(body, draw(st.integers(1, 20)), draw(st.sampled_from([b"", b"X-Sum: 1\r\n"])))
    lines = draw(st.permutations(lines))
    version = draw(st.sampled_from([b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0"]))
    before = draw(
        st.sampled_from([b"", b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Hints\r\nLink: a\r\n\r\n"])
    )
    head = b"\r\n".join([b"%b %b" % (version, draw(st.sampled_from(STATUSES)).encode()), *lines, b"", b""])
    return before + head + sent + draw(st.sampled_from(BEHIND))


@st.composite
def wires(draw: st.DrawFn) -> Wire:
    """A reply, perhaps cut short or with a byte changed, in random pieces."""
    data = draw(replies())
    harm = draw(st.sampled_from(["none"] * 6 + ["cut", "changed"]))
    at = draw(st.integers(0, len(data) - 1))
    if harm == "cut":
        data = data[:at]
    elif harm == "changed":
        data = data[:at] + draw(st.binary(min_size=1, max_size=1)) + data[at + 1 :]
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(data) - 1)), max_size=6)))
    ends = [0, *cuts, len(data)]
    pieces = [data[start:end] for start, end in pairwise(ends) if start < end]
    return Wire(pieces, closes=draw(st.booleans()))


@settings(max_examples=400, deadline=None)
@given(wires())
@example(Wire([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiH"]))
@example(Wire([b"HTTP/1.1 304 Same\r\nContent-Length: 9999\r\n\r\n"]))
@example(Wire([b"HTTP/1.1 200 OK\r\n\r\nup to the end"]))
@example(Wire([b"HTTP/1.1 200 OK\r\n\r\nup to the reset"], closes=False))
@example(
    Wire([b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 33\r\n\r\n", gzip.compress(bytes(5_000))])
)
@example(Wire([b"HTTP/1.1 200 OK\r\nContent-Type: a\r\ncontent-type: b\r\nContent-Length: 0\r\n\r\n"]))
def test_a_reply_is_the_same_whole_or_read_to_its_end(wire: Wire):
    async def both() -> tuple[Outcome, Outcome]:
        return await play(wire, whole=True), await play(wire, whole=False)

    whole, streamed = asyncio.run(both())

    assert whole == streamed
