"""Where a reply begins and ends, which connection may be used again, and large requests."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any

import pytest
from tests.upstream.conftest import Tls
from tests.upstream.servers import Behaviour, Peer, Reader, Server, Writer, answering, handing, reply, serving

from halley.kernel.clock import SystemClock
from halley.upstream import FastClient, NotSent, OutcomeUnknown, UpstreamReply, UpstreamRequest
from halley.upstream.connect import Found, Names
from halley.upstream.head import read_url


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


async def twice(client: FastClient, wire: bytes, **changes: Any) -> tuple[UpstreamReply, int]:
    """The reply to the first of two requests, and how many connections both took."""
    async with serving(answering(wire, reply(b"next"))) as server:
        first = await client.send(order(server.origin, **changes))
        assert (await client.send(order(server.origin))).body == b"next"
        return first, server.connections


def status(line: bytes, rest: bytes = b"") -> bytes:
    return b"HTTP/1.1 " + line + b"\r\n" + rest


CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
KEPT = {
    "length": status(b"200 OK", b"Content-Length: 2\r\n\r\nhi"),
    "no reason": status(b"200", b"Content-Length: 2\r\n\r\nhi"),
    "chunked": status(b"200 OK", CHUNKED + b"1\r\nh\r\n1\r\ni\r\n0\r\n\r\n"),
    "chunks with extensions": status(b"200 OK", CHUNKED + b"2;a=b\r\nhi\r\n0;c\r\n\r\n"),
    "trailers": status(b"200 OK", CHUNKED + b"2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n"),
    "after 100": status(b"100 Continue", b"\r\n" + status(b"200 OK", b"Content-Length: 2\r\n\r\nhi")),
    "after two of 103": status(b"103 Early Hints", b"Link: a\r\n\r\n") * 2
    + status(b"200 OK", b"Content-Length: 2\r\n\r\nhi"),
    "with an offer of another protocol": status(
        b"200 OK", b"Upgrade: h2,h2c\r\nConnection: Upgrade, Keep-Alive\r\nContent-Length: 2\r\n\r\nhi"
    ),
    "HTTP/1.0 that says keep-alive": b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi",
}


@pytest.mark.parametrize("wire", KEPT.values(), ids=KEPT)
async def test_a_reply_with_a_clear_end_keeps_the_connection(client: FastClient, wire: bytes):
    got, connections = await twice(client, wire)

    assert (got.status, got.body, connections) == (200, b"hi", 1)
    assert not {"link", "x-sum"} & set(got.headers)


@pytest.mark.parametrize(
    ("line", "headers"),
    [(b"204 No Content", b"\r\n"), (b"304 Not Modified", b"Content-Length: 9\r\n\r\n"), (b"204 No Content", CHUNKED)],
    ids=["204", "304 with a length", "204 that says chunked"],
)
async def test_a_status_without_body_has_none(client: FastClient, line: bytes, headers: bytes):
    got, _ = await twice(client, status(line, headers))

    assert (got.status, got.body) == (int(line[:3]), b"")


NOT_KEPT = {
    "said so": status(b"200 OK", b"Connection: close\r\nContent-Length: 2\r\n\r\nhi"),
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    "another reply behind": status(b"200 OK", b"Content-Length: 2\r\n\r\nhi") + reply(b"fake"),
    "the first letter of one": status(b"200 OK", b"Content-Length: 2\r\n\r\nhiH"),
    "garbage behind": status(b"200 OK", b"Content-Length: 2\r\n\r\nhi\x00\x01"),
    "garbage behind chunks": status(b"200 OK", CHUNKED + b"2\r\nhi\r\n0\r\n\r\nxx"),
}


@pytest.mark.parametrize("wire", NOT_KEPT.values(), ids=NOT_KEPT)
async def test_a_reply_that_leaves_a_doubt_is_the_last_on_its_connection(client: FastClient, wire: bytes):
    peers: asyncio.Queue[Peer] = asyncio.Queue()
    async with serving(handing(peers)) as server, asyncio.TaskGroup() as group:
        call = group.create_task(client.send(order(server.origin)))
        peer = await peers.get()
        await peer.send(wire)
        assert (await call).body == b"hi"
        await peer.gone()


async def test_what_comes_unasked_later_closes_the_idle_connection(client: FastClient):
    peers: asyncio.Queue[Peer] = asyncio.Queue()
    async with serving(handing(peers)) as server, asyncio.TaskGroup() as group:
        call = group.create_task(client.send(order(server.origin)))
        peer = await peers.get()
        await peer.send(reply(b"hi"))
        await call
        await peer.send(reply(b"fake"))
        await peer.gone()


async def test_an_idle_connection_is_closed_when_its_time_is_over():
    client = FastClient(SystemClock(), idle_s=0.1)
    peers: asyncio.Queue[Peer] = asyncio.Queue()
    async with serving(handing(peers)) as server, asyncio.TaskGroup() as group:
        call = group.create_task(client.send(order(server.origin)))
        peer = await peers.get()
        await peer.send(reply(b"hi"))
        await call
        await peer.gone()
    await client.aclose()


async def test_a_body_without_a_length_ends_with_its_connection(client: FastClient):
    async with serving(answering(status(b"200 OK", b"\r\nhi there"))) as server:
        assert (await client.send(order(server.origin))).body == b"hi there"


async def test_a_body_without_a_length_that_is_reset_is_unknown(client: FastClient):
    peers: asyncio.Queue[Peer] = asyncio.Queue()
    async with serving(handing(peers)) as server, asyncio.TaskGroup() as group:
        opening = group.create_task(client.open(order(server.origin)))
        peer = await peers.get()
        await peer.send(status(b"200 OK", b"\r\nhi there"))
        stream = await opening
        assert await stream.read() == b"hi there"
        peer.reset()
        with pytest.raises(OutcomeUnknown, match="reset"):
            await stream.read()


BROKEN = {
    "one giant header": status(b"200 OK", b"X: " + b"x" * 70_000 + b"\r\nContent-Length: 0\r\n\r\n"),
    "many headers": status(b"200 OK", b"X: y\r\n" * 300 + b"Content-Length: 0\r\n\r\n"),
    "many of 100": status(b"100 Continue", b"\r\n") * 4_000,
    "endless trailers": status(b"200 OK", CHUNKED + b"0\r\n" + b"X: y\r\n" * 20_000),
    "another protocol": status(b"101 Switching Protocols", b"Connection: upgrade\r\nUpgrade: h2c\r\n\r\n"),
    "another protocol, and a reply": status(b"101 Switching Protocols", b"Connection: upgrade\r\nUpgrade: h2c\r\n\r\n")
    + reply(b"hi"),
    "length and chunked": status(b"200 OK", b"Content-Length: 2\r\n" + CHUNKED + b"2\r\nhi\r\n0\r\n\r\n"),
    "a chunk larger than a number can be": status(b"200 OK", CHUNKED + b"fffffffffffffffff\r\nhi\r\n"),
    "a status without sense": b"HTTP/1.1 2OO OK\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("wire", BROKEN.values(), ids=BROKEN)
async def test_a_reply_that_is_no_proper_http_is_unknown_at_once_and_closed(client: FastClient, wire: bytes):
    peers: asyncio.Queue[Peer] = asyncio.Queue()

    async def answer() -> None:
        peer = await peers.get()
        with contextlib.suppress(ConnectionError):  # the client need not take all of it
            await peer.send(wire)
        await peer.gone()

    uncaught: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: uncaught.append(context))
    async with serving(handing(peers)) as server, asyncio.timeout(2), asyncio.TaskGroup() as group:
        group.create_task(answer())
        with pytest.raises(OutcomeUnknown):
            await client.send(order(server.origin))
    assert not uncaught


async def test_a_reply_in_pieces_of_one_byte_is_the_same(client: FastClient):
    peers: asyncio.Queue[Peer] = asyncio.Queue()
    async with serving(handing(peers)) as server, asyncio.TaskGroup() as group:
        call = group.create_task(client.send(order(server.origin)))
        peer = await peers.get()
        for byte in KEPT["after two of 103"][:-2] + b"hi":
            await peer.send(bytes([byte]))
            await asyncio.sleep(0)
        got = await call

    assert (got.status, got.body) == (200, b"hi")


async def test_many_at_once_get_each_their_own_reply(client: FastClient):
    def echo(server: Server) -> Behaviour:
        async def behave(reader: Reader, writer: Writer) -> None:
            while True:
                await server.read(reader)
                writer.write(reply(server.requests.pop().rpartition(b"\r\n\r\n")[2]))
                await writer.drain()

        return behave

    async with serving(echo) as server:
        for _ in range(5):
            bodies = [b"%d" % number * 50 for number in range(50)]
            got = await asyncio.gather(*(client.send(order(server.origin, body=body)) for body in bodies))
            assert [one.body for one in got] == bodies

    assert server.connections <= 50


LARGE = bytes(range(256)) * 40_000


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
async def test_a_large_body_arrives_whole_at_a_slow_server(tls: Tls, secure: bool):
    client = FastClient(SystemClock(), extra_roots_pem=tls.roots_pem)
    received: list[bytes] = []

    def slow(server: Server) -> Behaviour:
        del server

        async def behave(reader: Reader, writer: Writer) -> None:
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(0.1)
            received.append(await reader.readexactly(len(LARGE)))
            writer.write(reply(b"ok"))
            await writer.drain()
            await reader.read()

        return behave

    async with serving(slow, tls.server if secure else None) as server:
        assert (await client.send(order(server.origin, body=LARGE))).body == b"ok"
    await client.aclose()

    assert received == [LARGE]


def early(answer: bytes, *, leave: bool) -> Callable[[Server], Behaviour]:
    """Answer when the head is read, and not a byte of the body."""

    def make(server: Server) -> Behaviour:
        async def behave(reader: Reader, writer: Writer) -> None:
            server.requests.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(answer)
            await writer.drain()
            if not leave:
                await asyncio.Event().wait()

        return behave

    return make


@pytest.mark.parametrize("leave", [False, True], ids=["and stays", "and closes"])
async def test_an_answer_before_the_whole_request_was_written_is_read_and_the_last_one(client: FastClient, leave: bool):
    answer = reply(b"too large", status="413 Content Too Large")
    async with serving(early(answer, leave=leave)) as server, asyncio.timeout(2):
        for _ in range(2):
            got = await client.send(order(server.origin, body=LARGE))
            assert (got.status, got.body) == (413, b"too large")

    assert server.connections == 2


async def test_the_next_address_is_tried_when_the_first_refuses(client: FastClient):
    async with serving(answering(reply(b"hi"))) as server:
        got = await client.send(order(f"http://localhost:{server.port}/"))  # ::1 first, where there is IPv6

    assert got.body == b"hi"


def _listens(host: str) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as raw:
            raw.bind((host, 0))
    except OSError:
        return False
    return True


async def test_an_address_is_reached_without_a_name(client: FastClient):
    for host in filter(_listens, ("127.0.0.1", "::1")):  # the second where the machine has it; below, where it has not
        literal = f"[{host}]" if ":" in host else host
        async with serving(answering(reply(b"hi")), host=host) as server:
            got = await client.send(order(f"http://{literal}:{server.port}/"))

        assert got.body == b"hi"
        assert f"host: {literal}:{server.port}".encode() in server.requests[0]


async def test_an_ipv6_address_is_dialled_as_one_and_never_looked_up():
    async def resolve(host: str, port: int) -> list[Found]:
        raise AssertionError(f"{host}:{port} was looked up")

    place = read_url("http://[2001:DB8::1]:81/")

    assert place.authority == "[2001:db8::1]:81"
    assert await Names(resolve).find(place.origin) == [Found(socket.AF_INET6, ("2001:db8::1", 81, 0, 0))]


async def test_a_name_is_sent_in_the_handshake_and_checked_against_the_certificate(tls: Tls):
    client = FastClient(SystemClock(), extra_roots_pem=tls.roots_pem)
    names: list[str | None] = []
    tls.server.sni_callback = lambda _socket, name, _context: names.append(name)
    try:
        async with serving(answering(reply(b"hi")), tls.server) as server:
            with pytest.raises(NotSent, match="certificate is refused"):
                await client.send(order(f"https://localhost:{server.port}/"))
    finally:
        tls.server.sni_callback = None
    await client.aclose()

    assert names == ["localhost"]


@pytest.mark.parametrize("proper", [True, False], ids=["proper", "cut"])
async def test_a_body_without_a_length_over_tls_needs_the_farewell_of_tls(tls: Tls, proper: bool):
    client = FastClient(SystemClock(), extra_roots_pem=tls.roots_pem)
    peers: asyncio.Queue[Peer] = asyncio.Queue()
    async with serving(handing(peers), tls.server) as server, asyncio.TaskGroup() as group:
        opening = group.create_task(client.open(order(server.origin)))
        peer = await peers.get()
        await peer.send(status(b"200 OK", b"\r\nhi there"))
        stream = await opening
        assert await stream.read() == b"hi there"
        if proper:
            peer.writer.close()
            assert await stream.read() == b""
        else:
            peer.writer.transport.abort()
            with pytest.raises(OutcomeUnknown):
                await stream.read()
    await client.aclose()
