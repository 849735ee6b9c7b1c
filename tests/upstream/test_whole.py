"""A prepared request on an idle connection: the same bytes out, the whole reply back, and the same ways to fail."""

import asyncio
import gzip
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.upstream.conftest import Tls
from tests.upstream.servers import Peer, answering, handing, reply, serving, serving_on_a_thread

from halley.kernel.clock import SystemClock
from halley.upstream import (
    FastClient,
    NotSent,
    OutcomeUnknown,
    Prepared,
    ReplyTooLarge,
    Stalled,
    UpstreamRequest,
    WholeReply,
)

OK = reply(b"ok")
Replying = asyncio.Future[WholeReply]


def order(origin: str, **changes: Any) -> UpstreamRequest:
    given: dict[str, Any] = {
        "method": "POST",
        "url": f"{origin}/v1/chat?x=100%25",
        "headers": (("content-type", "application/json"), ("x-key", "100%d")),
        "connect_timeout_s": 2.0,
        "answer_timeout_s": 5.0,
        "reply_bytes_max": 1_000,
    }
    return UpstreamRequest(**(given | changes))


@asynccontextmanager
async def idle(client: FastClient, **changes: Any) -> AsyncGenerator[tuple[Prepared, Peer]]:
    """A prepared request, and the server's end of the one idle connection."""
    peers: asyncio.Queue[Peer] = asyncio.Queue()
    async with serving(handing(peers)) as server, asyncio.timeout(10), asyncio.TaskGroup() as group:
        first = group.create_task(client.send(order(server.origin, body=b"first")))
        peer = await peers.get()
        await peer.send(OK)
        await first
        yield client.prepare(order(server.origin, **changes)), peer
        assert server.connections == 1


def begun(client: FastClient, prepared: Prepared, body: bytes = b"{}") -> Replying:
    replying = client.begin(prepared, body)
    assert replying is not None
    return replying


async def begun_soon(client: FastClient, prepared: Prepared) -> Replying:
    """Begin as soon as the connection is free."""
    for _ in range(10_000):
        replying = client.begin(prepared, b"{}")
        if replying is not None:
            return replying
        await asyncio.sleep(0)
    raise AssertionError("the connection stays busy")


async def test_a_whole_reply_comes_back(client: FastClient):
    async with idle(client) as (prepared, peer):
        replying = begun(client, prepared)
        await peer.next_request()
        await peer.send(reply(b"hello", status="402 Pay", headers="Content-Type: text/plain\r\nX-Id: a\r\nx-id: b\r\n"))
        got = await replying

    assert (got.status, got.body, got.content_type) == (402, b"hello", "text/plain")
    assert got.headers == {"content-type": "text/plain", "x-id": "a, b", "content-length": "5"}
    assert got.head_us > 0


@pytest.mark.parametrize("body", [b"", b'{"a":1}', bytes(200_000)], ids=["none", "small", "large"])
async def test_what_is_written_is_what_a_plain_call_writes(client: FastClient, body: bytes):
    async with serving(answering(OK, OK)) as server:
        request = order(server.origin, body=body)
        await client.send(request)
        await begun(client, client.prepare(request), body)

    assert server.requests[0] == server.requests[1]
    assert server.connections == 1


async def test_one_connection_serves_both_ways_in_turn(client: FastClient):
    async with serving(answering(*[OK] * 6)) as server:
        prepared = client.prepare(order(server.origin))
        for _ in range(2):
            async with await client.open(order(server.origin, body=b"{}")) as stream:
                assert await stream.read_all() == b"ok"
            assert (await begun(client, prepared)).body == b"ok"
            assert (await client.send(order(server.origin, body=b"{}"))).body == b"ok"

    assert (server.connections, len(server.requests)) == (1, 6)


async def test_without_an_idle_connection_nothing_begins(client: FastClient):
    async with serving(answering(OK)) as server:
        assert client.begin(client.prepare(order(server.origin)), b"{}") is None

    assert server.connections == 0


async def test_a_busy_connection_is_not_idle(client: FastClient):
    async with idle(client) as (prepared, peer):
        replying = begun(client, prepared)
        await peer.next_request()
        assert client.begin(prepared, b"{}") is None
        await peer.send(OK)
        await replying


async def test_a_connection_that_the_server_closed_while_the_loop_was_busy_takes_nothing(client: FastClient):
    with serving_on_a_thread(answering(OK)) as server:
        prepared = client.prepare(order(server.origin))
        await client.send(order(server.origin, body=b"{}"))
        time.sleep(0.05)  # noqa: ASYNC251, TID251  the farewell shall wait unread

        assert client.begin(prepared, b"{}") is None


async def test_a_connection_idle_for_too_long_takes_nothing():
    client = FastClient(SystemClock(), idle_s=0.05)
    async with serving(answering(OK, OK)) as server:
        await client.send(order(server.origin, body=b"{}"))
        prepared = client.prepare(order(server.origin))
        await asyncio.sleep(0.07)
        assert client.begin(prepared, b"{}") is None
    await client.aclose()


async def test_a_prepared_request_finds_the_connections_of_later():
    client = FastClient(SystemClock(), idle_s=0.05)
    async with serving(answering(OK, OK)) as server:
        prepared = client.prepare(order(server.origin))
        await client.send(order(server.origin, body=b"{}"))
        await asyncio.sleep(0.15)  # the idle one is swept away
        await client.send(order(server.origin, body=b"{}"))
        assert (await begun(client, prepared)).body == b"ok"

    assert server.connections == 2
    await client.aclose()


async def test_without_room_nothing_begins():
    client = FastClient(SystemClock(), inflight_max=1)
    async with serving(answering(*[OK] * 3)) as other, idle(client) as (prepared, peer):
        await client.send(order(other.origin, body=b"{}"))
        elsewhere = client.prepare(order(other.origin))
        for _ in range(2):
            replying = begun(client, prepared)
            await peer.next_request()
            assert client.begin(elsewhere, b"{}") is None
            await peer.send(OK)
            await replying
            assert (await begun(client, elsewhere)).body == b"ok"

    assert (other.connections, len(other.requests)) == (1, 3)
    await client.aclose()


async def test_a_closed_client_begins_nothing(client: FastClient):
    async with idle(client) as (prepared, _):
        await client.aclose()
        assert client.begin(prepared, b"{}") is None


async def test_closing_the_client_ends_what_is_on_the_way(client: FastClient):
    async with idle(client) as (prepared, peer):
        replying = begun(client, prepared)
        await client.aclose()
        with pytest.raises(OutcomeUnknown, match="the gateway closed"):
            await replying
        await peer.gone()


@pytest.mark.parametrize(
    "change",
    [{"url": "nonsense"}, {"headers": (("x", "a\r\nx-injected: b"),)}, {"method": "GET"}, {"method": "PO ST"}],
    ids=["url", "header", "no body", "method"],
)
async def test_what_is_malformed_is_not_prepared(client: FastClient, change: dict[str, Any]):
    with pytest.raises(NotSent):
        client.prepare(order("http://127.0.0.1:1", **change))


@pytest.mark.parametrize(
    "part",
    [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello"],
    ids=["before the head", "within the body"],
)
async def test_who_leaves_closes_the_connection_at_once(client: FastClient, part: bytes):
    async with idle(client) as (prepared, peer), asyncio.TaskGroup() as group:
        replying = begun(client, prepared)
        await peer.next_request()

        async def wait() -> None:
            await replying

        waiting = group.create_task(wait())
        await peer.send(part)
        await asyncio.sleep(0.02)
        waiting.cancel()
        await peer.gone()
        assert client.begin(prepared, b"{}") is None


async def test_who_leaves_after_the_end_leaves_the_connection_to_the_next(client: FastClient):
    async with idle(client) as (prepared, peer):
        replying = begun(client, prepared)
        await peer.next_request()
        await peer.send(OK)
        await asyncio.wait([replying])
        assert not replying.cancel()
        next_one = begun(client, prepared)
        await peer.next_request()
        await peer.send(OK)
        assert (await next_one).body == b"ok"


BROKEN = {
    "half a head": (b"HTTP/1.1 200 OK\r\nContent-Le", None),
    "garbage": (b"\x00\x01 this is no HTTP\r\n\r\n", None),
    "shorter than its length": (b"HTTP/1.1 402 Pay\r\nContent-Length: 50\r\n\r\nhello", 402),
    "an encoding that is not its own": (reply(b"plain", headers="Content-Encoding: gzip\r\n"), 200),
}


@pytest.mark.parametrize(("wire", "status"), BROKEN.values(), ids=BROKEN)
async def test_a_broken_reply_is_unknown(client: FastClient, wire: bytes, status: int | None):
    async with idle(client) as (prepared, peer):
        replying = begun(client, prepared)
        await peer.next_request()
        await peer.send(wire)
        peer.writer.close()
        with pytest.raises(OutcomeUnknown) as caught:
            await replying

    assert caught.value.status == status


@pytest.mark.parametrize(
    ("change", "part", "kind", "words"),
    [
        ({"head_timeout_s": 0.05}, b"", OutcomeUnknown, "beginning"),
        ({"answer_timeout_s": 0.05, "head_timeout_s": 3.0}, b"", OutcomeUnknown, r"within 0\.05 s"),
        ({"stall_timeout_s": 0.05}, OK[:-1], Stalled, r"0\.05 s"),
        ({"answer_timeout_s": 0.05, "stall_timeout_s": 3.0}, OK[:-1], OutcomeUnknown, r"within 0\.05 s"),
    ],
    ids=["head", "total", "stall", "total within the body"],
)
async def test_a_reply_that_takes_too_long_is_unknown_and_closed(
    client: FastClient, change: dict[str, Any], part: bytes, kind: type[OutcomeUnknown], words: str
):
    async with idle(client, **change) as (prepared, peer):
        replying = begun(client, prepared)
        await peer.next_request()
        if part:
            await peer.send(part)
        with pytest.raises(OutcomeUnknown, match=words) as caught:
            await replying
        await peer.gone()

    assert type(caught.value) is kind


async def test_each_piece_gives_a_reply_new_time(client: FastClient):
    async with idle(client, stall_timeout_s=0.15) as (prepared, peer):
        replying = begun(client, prepared)
        await peer.next_request()
        for piece in (OK[:5], OK[5:-2], OK[-2:-1], OK[-1:]):
            await peer.send(piece)
            await asyncio.sleep(0.06)
        assert (await replying).body == b"ok"


async def test_the_time_of_one_call_is_not_that_of_the_next(client: FastClient):
    """All calls of a connection share one timer."""
    async with idle(client, answer_timeout_s=0.1) as (soon, peer):
        origin = f"http://127.0.0.1:{peer.writer.get_extra_info('sockname')[1]}"
        late = client.prepare(order(origin, answer_timeout_s=0.4))
        replying = begun(client, soon)
        await peer.next_request()
        await peer.send(OK)
        await replying
        replying = begun(client, late)
        await peer.next_request()
        await asyncio.sleep(0.2)
        await peer.send(OK)
        assert (await replying).body == b"ok"
        replying = begun(client, soon)
        await peer.next_request()
        await peer.send(OK)
        await replying
        with pytest.raises(OutcomeUnknown, match=r"within 0\.4 s"):
            await begun(client, late)
        await peer.gone()


TOO_LARGE = {
    "told": b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + bytes(1_001),
}


@pytest.mark.parametrize("wire", TOO_LARGE.values(), ids=TOO_LARGE)
async def test_a_reply_over_the_bound_is_too_large_before_its_end_and_closed(client: FastClient, wire: bytes):
    async with idle(client) as (prepared, peer):
        replying = begun(client, prepared)
        await peer.next_request()
        await peer.send(wire)
        with pytest.raises(ReplyTooLarge) as caught:
            await replying
        await peer.gone()

    assert caught.value.status == 200


async def test_a_bomb_is_too_large_and_the_connection_is_kept(client: FastClient):
    async with idle(client) as (prepared, peer):
        replying = begun(client, prepared)
        await peer.next_request()
        await peer.send(reply(gzip.compress(bytes(100_000)), headers="Content-Encoding: gzip\r\n"))
        with pytest.raises(ReplyTooLarge):
            await replying
        replying = begun(client, prepared)
        await peer.next_request()
        await peer.send(OK)
        assert (await replying).body == b"ok"


async def test_who_leaves_while_a_reply_is_unpacked_leaves_a_good_connection(client: FastClient):
    complaints: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    async with idle(client, reply_bytes_max=100_000_000) as (prepared, peer):
        replying = begun(client, prepared)
        await peer.next_request()
        await peer.send(reply(gzip.compress(bytes(50_000_000)), headers="Content-Encoding: gzip\r\n"))
        other = await begun_soon(client, prepared)
        assert replying.cancel()
        await peer.next_request()
        await peer.send(OK)
        assert (await other).body == b"ok"
        await loop.shutdown_default_executor()
        await asyncio.sleep(0)

    assert complaints == []


async def test_a_reply_in_very_many_pieces_is_gathered(client: FastClient):
    body = bytes(range(256)) * 200
    async with idle(client, reply_bytes_max=len(body)) as (prepared, peer):
        replying = begun(client, prepared)
        await peer.next_request()
        chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")
        assert (await replying).body == body


async def test_a_prepared_request_goes_over_tls(tls: Tls):
    client = FastClient(SystemClock(), extra_roots_pem=tls.roots_pem)
    async with serving(answering(OK, reply(b"again")), tls.server) as server:
        await client.send(order(server.origin, body=b"{}"))
        assert (await begun(client, client.prepare(order(server.origin)))).body == b"again"
    await client.aclose()

    assert server.connections == 1
