"""A reply that is read as it comes: each piece at once, every way to end, and a sender that is held back."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.upstream.conftest import Tls
from tests.upstream.servers import Behaviour, Peer, Reader, Server, Writer, handing, reply, serving

from halley.kernel.clock import SystemClock
from halley.upstream import FastClient, NotSent, OutcomeUnknown, ReplyTooLarge, Stalled, UpstreamRequest
from halley.upstream.messages import UpstreamStream

CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"


def order(url: str, **changes: Any) -> UpstreamRequest:
    given: dict[str, Any] = {
        "method": "POST",
        "url": url,
        "body": b"{}",
        "connect_timeout_s": 2.0,
        "answer_timeout_s": 5.0,
        "reply_bytes_max": 100_000_000,
    }
    return UpstreamRequest(**(given | changes))


@asynccontextmanager
async def opened(
    client: FastClient, head: bytes = CHUNKED, **changes: Any
) -> AsyncGenerator[tuple[UpstreamStream, Peer]]:
    """A stream whose head has come, and the server's end of its connection."""
    peers: asyncio.Queue[Peer] = asyncio.Queue()
    async with serving(handing(peers)) as server, asyncio.timeout(10), asyncio.TaskGroup() as group:
        opening = group.create_task(client.open(order(server.origin, **changes)))
        peer = await peers.get()
        await peer.send(head)
        yield await opening, peer


async def rest(stream: UpstreamStream, between: Callable[[], Awaitable[None]] | None = None) -> list[bytes]:
    pieces: list[bytes] = []
    while between is None or await between() is None:
        piece = await stream.read()
        if not piece:
            break
        pieces.append(piece)
        await asyncio.sleep(0.001)
    return pieces


async def test_the_head_comes_before_any_piece(client: FastClient):
    async with opened(client) as (stream, _):
        assert (stream.status, stream.headers["content-type"]) == (200, "text/event-stream")
        assert stream.head_us > 0


async def test_each_piece_can_be_read_before_the_next_one_is_sent(client: FastClient):
    async with opened(client) as (stream, peer):
        for number in range(20):
            await peer.chunk(b"data: %d\n\n" % number)
            assert await stream.read() == b"data: %d\n\n" % number
        await peer.send(END)
        assert [await stream.read() for _ in range(3)] == [b"", b"", b""]


async def test_pieces_that_wait_are_read_together(client: FastClient):
    async with opened(client) as (stream, peer):
        await peer.chunk(b"a")
        await peer.chunk(b"b")
        await asyncio.sleep(0.05)

        assert await stream.read() == b"ab"


async def test_the_rest_is_read_at_once(client: FastClient):
    async with opened(client) as (stream, peer):
        await peer.chunk(b"first")
        assert await stream.read() == b"first"
        await peer.chunk(b"second")
        await peer.send(b"5\r\nthird\r\n" + END)

        assert await stream.read_all() == b"secondthird"


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
async def test_a_cut_stream_gives_what_had_come_and_then_says_so(client: FastClient, reset: bool):
    async with opened(client) as (stream, peer):
        await peer.chunk(b"some")
        await asyncio.sleep(0.05)
        if reset:
            peer.reset()
        else:
            peer.writer.close()
        await asyncio.sleep(0.05)

        assert await stream.read() == b"some"
        with pytest.raises(OutcomeUnknown, match="in the middle") as caught:
            await stream.read()
        assert caught.value.status == 200


async def test_a_malformed_chunk_ends_the_stream_as_broken_and_closes_it(client: FastClient):
    async with opened(client) as (stream, peer):
        await peer.send(b"4\r\nsome\r\nzz\r\nmore\r\n")

        assert await stream.read() == b"some"
        with pytest.raises(OutcomeUnknown, match="not proper HTTP"):
            await stream.read()
        await peer.gone()


async def test_a_stream_that_stands_still_is_stalled_and_closed(client: FastClient):
    async with opened(client, stall_timeout_s=0.1) as (stream, peer):
        for _ in range(4):  # each piece gives it new time
            await asyncio.sleep(0.05)
            await peer.chunk(b"x")
            assert await stream.read() == b"x"
        with pytest.raises(Stalled) as caught:
            await stream.read()

        assert caught.value.status == 200
        await peer.gone()


async def test_a_stream_that_lives_beyond_its_total_time_is_unknown_and_closed(client: FastClient):
    async with opened(client, answer_timeout_s=0.3, stall_timeout_s=0.2) as (stream, peer):
        with pytest.raises(OutcomeUnknown, match=r"within 0\.3 s") as caught:
            await rest(stream, between=lambda: peer.chunk(b"x"))

        assert not isinstance(caught.value, Stalled)
        await peer.gone()


async def test_a_head_that_does_not_come_in_its_time_is_unknown_and_the_connection_is_closed(client: FastClient):
    peers: asyncio.Queue[Peer] = asyncio.Queue()
    async with serving(handing(peers)) as server:
        with pytest.raises(OutcomeUnknown, match="beginning") as caught:
            await client.open(order(server.origin, head_timeout_s=0.1))
        await (await peers.get()).gone()

    assert caught.value.status is None


@pytest.mark.parametrize("way", ["open", "send"])
async def test_who_leaves_before_the_head_closes_the_connection_at_once(client: FastClient, way: str):
    peers: asyncio.Queue[Peer] = asyncio.Queue()
    async with serving(handing(peers)) as server, asyncio.TaskGroup() as group:
        call = group.create_task(getattr(client, way)(order(server.origin)))
        peer = await peers.get()
        call.cancel()
        await peer.gone()


async def test_who_leaves_within_the_body_closes_the_connection_at_once(client: FastClient):
    async with opened(client) as (stream, peer), asyncio.TaskGroup() as group:
        reading = group.create_task(stream.read())
        await asyncio.sleep(0.01)
        reading.cancel()
        await peer.gone()


async def test_closing_a_stream_before_its_end_closes_the_connection_and_makes_room():
    client = FastClient(SystemClock(), inflight_max=1)
    async with opened(client) as (stream, peer):
        await peer.chunk(b"some")
        async with stream:
            assert await stream.read() == b"some"
        await peer.gone()
        await stream.aclose()
        with pytest.raises(OutcomeUnknown, match="left"):
            await stream.read()
    async with opened(client):
        pass
    await client.aclose()


async def test_a_stream_read_to_its_end_leaves_its_connection_to_the_next(client: FastClient):
    peers: asyncio.Queue[Peer] = asyncio.Queue()
    async with serving(handing(peers)) as server, asyncio.TaskGroup() as group:
        opening = group.create_task(client.open(order(server.origin)))
        peer = await peers.get()
        await peer.send(CHUNKED + b"2\r\nhi\r\n" + END)
        async with await opening as stream:
            assert await stream.read_all() == b"hi"

        opening = group.create_task(client.open(order(server.origin)))
        await peer.next_request()
        await peer.send(CHUNKED + END)
        async with await opening as stream:
            assert await stream.read() == b""

    assert server.connections == 1


async def test_a_slow_reader_holds_the_sender_back_and_is_not_taken_for_a_stall(client: FastClient):
    sent = 0

    def make(server: Server) -> Behaviour:
        async def behave(reader: Reader, writer: Writer) -> None:
            nonlocal sent
            await server.read(reader)
            writer.write(CHUNKED)
            while sent < 60_000_000:
                writer.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")
                await writer.drain()
                sent += 0x10000
            writer.write(END)

        return behave

    async with serving(make) as server, await client.open(order(server.origin, stall_timeout_s=0.3)) as stream:
        await asyncio.sleep(0.5)
        before = sent
        await asyncio.sleep(0.2)
        assert before == sent < 20_000_000  # what the kernel's buffers hold, and little more
        assert len(await stream.read_all()) == sent


async def test_a_stream_over_its_bound_is_too_large_and_closed(client: FastClient):
    async with opened(client, reply_bytes_max=10) as (stream, peer):
        await peer.chunk(b"x" * 10)
        assert await stream.read() == b"x" * 10
        await peer.chunk(b"x")
        with pytest.raises(ReplyTooLarge):
            await stream.read()
        await peer.gone()


async def test_a_length_over_the_bound_is_too_large_before_it_comes(client: FastClient):
    async with opened(client, b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n", reply_bytes_max=10) as (stream, peer):
        with pytest.raises(ReplyTooLarge):
            await stream.read()
        await peer.gone()


@pytest.mark.parametrize(("encoding", "window_bits"), [("gzip", 31), ("deflate", 15)])
async def test_a_stream_compressed_unasked_is_unpacked_piece_by_piece(
    client: FastClient, encoding: str, window_bits: int
):
    head = CHUNKED.replace(b"\r\n", f"\r\nContent-Encoding: {encoding}\r\n".encode(), 1)
    packer = zlib.compressobj(wbits=window_bits)
    async with opened(client, head) as (stream, peer):
        for piece in (b"data: 1\n\n", b"data: 2\n\n"):
            await peer.chunk(packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH))
            assert await stream.read() == piece
        await peer.chunk(packer.flush())
        await peer.send(END)
        assert await stream.read_all() == b""


EMPTY_BLOCK = b"\x00\x00\x00\xff\xff"
GZIP = CHUNKED.replace(b"\r\n", b"\r\nContent-Encoding: gzip\r\n", 1)


async def test_a_stream_that_unpacks_to_more_than_its_bound_is_too_large(client: FastClient):
    async with opened(client, GZIP, reply_bytes_max=1_000_000) as (stream, peer):
        await peer.chunk(gzip.compress(bytes(100_000_000), 9)[:90_000])
        with pytest.raises(ReplyTooLarge):
            await rest(stream)
        await peer.gone()


async def test_what_unpacks_to_nothing_counts_against_the_bound_as_well(client: FastClient):
    packer = zlib.compressobj(wbits=31)
    async with opened(client, GZIP, reply_bytes_max=100_000) as (stream, peer):
        await peer.chunk(packer.compress(b"data: hello\n\n") + packer.flush(zlib.Z_SYNC_FLUSH))
        assert await stream.read() == b"data: hello\n\n"
        await peer.chunk(EMPTY_BLOCK * 30_000)
        with pytest.raises(ReplyTooLarge):
            await stream.read()
        await peer.gone()


async def test_what_follows_the_end_of_what_was_packed_is_left_alone(client: FastClient):
    async with opened(client, GZIP, reply_bytes_max=100_000) as (stream, peer):
        await peer.chunk(gzip.compress(b"hello"))
        assert await stream.read() == b"hello"
        await peer.chunk(b"x" * 1_000)
        assert await stream.read() == b""
        await peer.gone()


async def test_the_end_of_what_was_packed_is_not_yet_that_of_the_reply(client: FastClient):
    async with opened(client, GZIP) as (stream, peer), asyncio.TaskGroup() as group:
        await peer.chunk(gzip.compress(b"hello"))
        assert await stream.read() == b"hello"
        await peer.send(END)
        assert await stream.read() == b""
        origin = f"http://127.0.0.1:{peer.writer.get_extra_info('sockname')[1]}"
        again = group.create_task(client.send(order(origin)))
        await peer.next_request()
        await peer.send(reply(b"on the same connection"))
        assert (await again).body == b"on the same connection"


@pytest.mark.parametrize("size", [262_144, 262_145, 1_000_000])
async def test_a_piece_that_unpacks_to_much_comes_whole_in_several_reads(client: FastClient, size: int):
    async with opened(client, GZIP) as (stream, peer):
        await peer.chunk(gzip.compress(bytes(size)))
        await peer.send(END)
        pieces = await rest(stream)

    assert sum(map(len, pieces)) == size
    assert max(map(len, pieces)) <= 262_144


@pytest.mark.parametrize(
    ("encoding", "body"),
    [(b"gzip", gzip.compress(b"a" * 99)[:-9]), (b"gzip", b"plain"), (b"br", b"x"), (b"gzip, br", b"x")],
    ids=["cut short", "not what it says", "unknown", "two"],
)
async def test_a_stream_that_cannot_be_unpacked_is_unknown(client: FastClient, encoding: bytes, body: bytes):
    async with opened(client, GZIP.replace(b"gzip", encoding)) as (stream, peer):
        await peer.chunk(body)
        await peer.send(END)
        with pytest.raises(OutcomeUnknown) as caught:
            await rest(stream)

    assert caught.value.status == 200


async def test_a_stream_over_tls_comes_piece_by_piece_and_closes_when_left(tls: Tls):
    client = FastClient(SystemClock(), extra_roots_pem=tls.roots_pem)
    peers: asyncio.Queue[Peer] = asyncio.Queue()
    async with serving(handing(peers), tls.server) as server, asyncio.TaskGroup() as group:
        opening = group.create_task(client.open(order(server.origin)))
        peer = await peers.get()
        await peer.send(CHUNKED)
        stream = await opening
        for number in range(5):
            await peer.chunk(b"%d" % number)
            assert await stream.read() == b"%d" % number
        await stream.aclose()
        await peer.gone()
    await client.aclose()


async def test_a_slow_reader_over_tls_gets_all(tls: Tls):
    client = FastClient(SystemClock(), extra_roots_pem=tls.roots_pem)
    peers: asyncio.Queue[Peer] = asyncio.Queue()
    async with serving(handing(peers), tls.server) as server, asyncio.TaskGroup() as group:
        opening = group.create_task(client.open(order(server.origin)))
        peer = await peers.get()
        await peer.send(CHUNKED)
        stream = await opening
        sending = group.create_task(peer.send(b"900000\r\n" + bytes(0x900000) + b"\r\n" + END))
        await asyncio.sleep(0.1)
        assert len(await stream.read_all()) == 0x900000
        await sending
    await client.aclose()


async def test_closing_the_client_ends_streams_and_takes_no_more():
    client = FastClient(SystemClock())
    async with opened(client) as (stream, peer):
        await client.aclose()
        with pytest.raises(OutcomeUnknown, match="the gateway closed"):
            await stream.read()
        await peer.gone()
    with pytest.raises(NotSent, match="closed"):
        await client.open(order("http://127.0.0.1:1/"))


class Tapped:
    """Takes pieces until it has as many as it wants."""

    def __init__(self, wanted: int = 1_000, error: Exception | None = None) -> None:
        self.pieces: list[bytes] = []
        self._wanted = wanted
        self._error = error

    def take(self, piece: bytes) -> bool:
        if self._error is not None:
            raise self._error
        if len(self.pieces) == self._wanted:
            return False
        self.pieces.append(piece)
        return True

    async def until(self, *pieces: bytes) -> None:
        for _ in range(5_000):
            if self.pieces == [*pieces]:
                return
            await asyncio.sleep(0.001)
        raise AssertionError(self.pieces)


@asynccontextmanager
async def poured(
    client: FastClient, tapped: Tapped, **changes: Any
) -> AsyncGenerator[tuple[UpstreamStream, Peer, asyncio.Task[None]]]:
    """A stream whose first piece was read and whose others go to the tap."""
    async with opened(client, **changes) as (stream, peer), asyncio.TaskGroup() as group:
        await peer.chunk(b"first")
        assert await stream.read() == b"first"
        pouring = group.create_task(stream.pour(tapped.take))
        await asyncio.sleep(0)
        yield stream, peer, pouring


async def test_pieces_are_poured_where_they_come_in_and_wake_nobody_before_the_end(client: FastClient):
    tapped = Tapped()
    async with poured(client, tapped) as (stream, peer, pouring):
        await peer.chunk(b"a")
        await tapped.until(b"a")
        await peer.chunk(b"b")
        await tapped.until(b"a", b"b")
        assert not pouring.done()
        await peer.send(END)
        await pouring
        assert await stream.read() == b""


async def test_what_comes_with_the_end_is_left_to_be_read(client: FastClient):
    tapped = Tapped()
    async with poured(client, tapped) as (stream, peer, pouring):
        await peer.send(b"4\r\nlast\r\n" + END)
        await pouring
        assert [*tapped.pieces, await stream.read(), await stream.read()] == [b"last", b""]


async def test_a_piece_that_the_tap_does_not_take_is_left_to_be_read(client: FastClient):
    tapped = Tapped(wanted=1)
    async with poured(client, tapped) as (stream, peer, pouring):
        await peer.chunk(b"a")
        await tapped.until(b"a")
        await peer.chunk(b"b")
        await pouring
        assert await stream.read() == b"b"
        again = Tapped()
        await peer.chunk(b"c")
        await asyncio.sleep(0.05)
        await stream.pour(again.take)  # there is something to read already
        assert again.pieces == []
        assert await stream.read() == b"c"


async def test_what_the_tap_raises_reaches_who_pours(client: FastClient):
    async with opened(client) as (stream, peer):
        await peer.chunk(b"first")
        await stream.read()
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(asyncio.sleep(0.05))
            sending.add_done_callback(lambda _: group.create_task(peer.chunk(b"a")))
            with pytest.raises(ZeroDivisionError):
                await stream.pour(Tapped(error=ZeroDivisionError()).take)
        await stream.aclose()
        await peer.gone()


@pytest.mark.parametrize("reset", [False, True])
async def test_a_stream_that_is_cut_while_it_is_poured_says_so_when_read(client: FastClient, reset: bool):
    tapped = Tapped()
    async with poured(client, tapped) as (stream, peer, pouring):
        await peer.chunk(b"a")
        await tapped.until(b"a")
        if reset:
            peer.reset()
        else:
            peer.writer.close()
        await pouring
        with pytest.raises(OutcomeUnknown):
            await stream.read()


async def test_what_is_poured_counts_against_the_bound(client: FastClient):
    tapped = Tapped()
    async with poured(client, tapped, reply_bytes_max=6) as (stream, peer, pouring):
        await peer.chunk(b"6")
        await tapped.until(b"6")
        await peer.chunk(b"7")
        await pouring
        assert tapped.pieces == [b"6"]
        with pytest.raises(ReplyTooLarge):
            await stream.read()
        await peer.gone()


async def test_a_poured_stream_that_stands_still_is_stalled_and_one_that_goes_on_is_not(client: FastClient):
    tapped = Tapped()
    async with poured(client, tapped, stall_timeout_s=0.3) as (stream, peer, pouring):
        for _ in range(6):
            await asyncio.sleep(0.1)
            await peer.chunk(b"a")
        await tapped.until(*[b"a"] * 6)
        await pouring
        with pytest.raises(Stalled):
            await stream.read()
        await peer.gone()


async def test_who_leaves_while_pouring_closes_the_connection_at_once(client: FastClient):
    tapped = Tapped()
    async with poured(client, tapped) as (_, peer, pouring):
        await peer.chunk(b"a")
        await tapped.until(b"a")
        pouring.cancel()
        await peer.chunk(b"b")
        await peer.gone()
        assert tapped.pieces == [b"a"]


async def test_nothing_is_poured_before_the_first_read_nor_of_what_is_compressed(client: FastClient):
    tapped = Tapped()
    async with opened(client) as (stream, _):
        await stream.pour(tapped.take)
    head = CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n")
    async with opened(client, head) as (stream, peer):
        await peer.chunk(gzip.compress(b"first"))
        assert await stream.read() == b"first"
        await stream.pour(tapped.take)
    assert tapped.pieces == []
