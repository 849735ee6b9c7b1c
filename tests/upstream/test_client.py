"""What a call tells about itself when things go wrong, over real sockets: above all, can the vendor have seen it?"""

import asyncio
import gzip
import zlib
from typing import Any

import pytest
from tests.upstream.conftest import Tls
from tests.upstream.servers import (
    Behaviour,
    Reader,
    Server,
    Writer,
    answering,
    closing_unread,
    deaf,
    endless,
    full_backlog,
    redirect,
    refused_port,
    reply,
    resetting,
    routing,
    serving,
    silent,
    stalling,
)

from halley.kernel import volley
from halley.kernel.clock import SystemClock
from halley.upstream import FastClient, NotSent, OutcomeUnknown, ReplyTooLarge, UpstreamRequest


def post(url: str, **changes: Any) -> UpstreamRequest:
    given: dict[str, Any] = {
        "method": "POST",
        "url": url,
        "headers": (("content-type", "application/json"), ("x-key", "k")),
        "body": b'{"prompt":"a fox"}',
        "connect_timeout_s": 2.0,
        "answer_timeout_s": 5.0,
        "reply_bytes_max": 1_000,
    }
    return UpstreamRequest(**(given | changes))


async def test_a_whole_reply_comes_back_with_lower_case_headers(client: FastClient):
    async with serving(answering(reply(b"hello", status="202 Accepted", headers="X-Id: a\r\nx-id: b\r\n"))) as server:
        got = await client.send(post(f"{server.origin}/v1/flux"))

    assert (got.status, got.body) == (202, b"hello")
    assert got.headers == {"x-id": "a, b", "content-length": "5"}
    assert got.elapsed_us > 0


async def test_the_request_on_the_wire_is_the_one_given(client: FastClient):
    extra = (("x-key", "k"), ("Host", "other.example"), ("Content-Length", "3"), ("accept-encoding", "br"))
    async with serving(answering(reply(b""))) as server:
        await client.send(post(f"{server.origin}/v1/flux?x=%20", headers=extra))

    line, *head = server.requests[0].decode().split("\r\n")
    assert line == "POST /v1/flux?x=%20 HTTP/1.1"
    assert {item.lower() for item in head[:-2]} == {
        "accept: */*",
        "accept-encoding: identity",
        "content-length: 18",
        f"host: 127.0.0.1:{server.port}",
        "user-agent: halley",
        "x-key: k",
    }


async def test_a_refused_port_is_not_sent(client: FastClient):
    with refused_port() as port, pytest.raises(NotSent, match="refused"):
        await client.send(post(f"http://127.0.0.1:{port}/?key=secret"))


async def test_a_name_that_does_not_resolve_is_not_sent(client: FastClient):
    with pytest.raises(NotSent):
        await client.send(post("http://nowhere.invalid/", connect_timeout_s=2.0, answer_timeout_s=5.0))


async def test_a_connect_that_hangs_is_not_sent_after_its_time_out(client: FastClient):
    with full_backlog() as port, pytest.raises(NotSent):
        await client.send(post(f"http://127.0.0.1:{port}/", connect_timeout_s=0.3))


async def test_a_tls_handshake_that_hangs_is_not_sent(client: FastClient):
    async with serving(deaf) as server:
        with pytest.raises(NotSent):
            await client.send(post(f"https://127.0.0.1:{server.port}/", connect_timeout_s=0.3))


async def test_a_server_that_speaks_no_tls_is_not_sent(client: FastClient):
    async with serving(answering(b"")) as server:
        with pytest.raises(NotSent):
            await client.send(post(f"https://127.0.0.1:{server.port}/", connect_timeout_s=0.3))

    assert server.requests == []


async def test_an_unknown_certificate_is_not_sent(client: FastClient, tls: Tls):
    async with serving(answering(reply(b"")), tls.server) as server:
        with pytest.raises(NotSent, match="certificate"):
            await client.send(post(f"{server.origin}/"))

    assert server.requests == []


async def test_a_known_certificate_is_answered(tls: Tls):
    client = FastClient(SystemClock(), extra_roots_pem=tls.roots_pem)
    async with serving(answering(reply(b"hi")), tls.server) as server:
        got = await client.send(post(f"{server.origin}/"))
    await client.aclose()

    assert got.body == b"hi"


BROKEN = {
    "closed after it is read": answering(b""),
    "reset after it is read": resetting,
    "never answered": silent,
    "half a head": answering(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "garbage": answering(b"\x00\x01 this is no HTTP\r\n\r\n"),
    "negative length": answering(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello"),
    "two lengths": answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello"),
    "shorter than its length": answering(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello"),
    "cut between chunks": answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
    "stalled within the body": stalling(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello"),
    "a head without an end": answering(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 500 + b"\r\n"),
    "an encoding that is not its own": answering(reply(b"plain", headers="Content-Encoding: gzip\r\n")),
    "an encoding cut short": answering(reply(gzip.compress(b"a" * 99)[:-9], headers="Content-Encoding: gzip\r\n")),
    "an encoding that nobody asked for": answering(reply(b"x", headers="Content-Encoding: br\r\n")),
}


@pytest.mark.parametrize("behaviour", BROKEN.values(), ids=BROKEN.keys())
async def test_whatever_breaks_after_the_connection_is_unknown_and_sent_once(client: FastClient, behaviour: Any):
    async with serving(behaviour) as server:
        with pytest.raises(OutcomeUnknown) as caught:
            await client.send(post(f"{server.origin}/?key=secret", answer_timeout_s=0.4))

    assert server.connections == 1
    assert len(server.requests) <= 1
    assert "secret" not in str(caught.value)


async def test_what_is_closed_before_it_is_read_is_unknown_unless_it_was_never_written(client: FastClient):
    async with serving(closing_unread) as server:
        with pytest.raises((OutcomeUnknown, NotSent)) as caught:
            await client.send(post(f"{server.origin}/", answer_timeout_s=0.4))

    assert server.connections == 1
    # Where others are under way, what is written waits for the end of the loop's turn.
    assert caught.type is OutcomeUnknown or volley.CROWD == 0


async def test_an_unknown_outcome_keeps_the_status_that_had_come(client: FastClient):
    async with serving(answering(b"HTTP/1.1 402 Payment Required\r\nContent-Length: 50\r\n\r\nno")) as server:
        with pytest.raises(OutcomeUnknown) as caught:
            await client.send(post(f"{server.origin}/"))

    assert caught.value.status == 402


async def test_a_reply_longer_than_its_length_is_cut_there_and_never_taken_for_the_next(client: FastClient):
    smuggled = reply(b"ok") + reply(b"fake")
    async with serving(answering(smuggled, reply(b"ok"))) as server:
        bodies = [(await client.send(post(f"{server.origin}/"))).body for _ in range(5)]

    assert bodies == [b"ok"] * 5


async def test_a_redirect_is_an_answer(client: FastClient):
    async with serving(routing({"/a": redirect("/b"), "/b": reply(b"b")})) as server:
        got = await client.send(post(f"{server.origin}/a"))

    assert (got.status, got.headers["location"]) == (302, "/b")
    assert len(server.requests) == 1


async def test_cookies_are_not_kept(client: FastClient):
    async with serving(answering(reply(b"", headers="Set-Cookie: a=b; Path=/\r\n"), reply(b""))) as server:
        await client.send(post(f"{server.origin}/"))
        await client.send(post(f"{server.origin}/"))

    assert b"cookie" not in server.requests[1].lower()


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch):
    with refused_port() as port:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{port}")
        client = FastClient(SystemClock())
        async with serving(answering(reply(b"direct"))) as server:
            got = await client.send(post(f"{server.origin}/"))
        await client.aclose()

    assert got.body == b"direct"


TOO_LARGE = {
    "told": answering(reply(b"x" * 1_001)),
    "chunked": endless,
    "gzip bomb": answering(reply(gzip.compress(bytes(10_000_000))[:900_000], headers="Content-Encoding: gzip\r\n")),
}


@pytest.mark.parametrize(("name", "bytes_max"), [("told", 1_000), ("chunked", 1_000), ("gzip bomb", 100_000)])
async def test_a_reply_over_the_bound_is_too_large_and_thereby_unknown(client: FastClient, name: str, bytes_max: int):
    async with serving(TOO_LARGE[name]) as server:
        with pytest.raises(ReplyTooLarge) as caught:
            await client.send(post(f"{server.origin}/", reply_bytes_max=bytes_max))

    assert isinstance(caught.value, OutcomeUnknown)


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [("gzip", gzip.compress(b"hello")), ("Deflate", zlib.compress(b"hello")), ("identity", b"hello")],
    ids=["gzip", "deflate", "identity"],
)
async def test_a_body_compressed_unasked_is_read(client: FastClient, encoding: str, packed: bytes):
    async with serving(answering(reply(packed, headers=f"Content-Encoding: {encoding}\r\n"))) as server:
        got = await client.send(post(f"{server.origin}/"))

    assert got.body == b"hello"


async def test_a_body_of_exactly_the_bound_is_read(client: FastClient):
    async with serving(answering(reply(b"x" * 1_000))) as server:
        got = await client.send(post(f"{server.origin}/"))

    assert len(got.body) == 1_000


async def test_a_header_that_is_not_ascii_does_not_lose_a_paid_reply(client: FastClient):
    async with serving(answering(reply(b"id", headers="X-Name: caf\xe9\r\nX-Id: 7\r\n"))) as server:
        got = await client.send(post(f"{server.origin}/"))

    assert got.body == b"id"
    assert got.headers == {"x-id": "7", "content-length": "2"}


async def test_the_length_in_the_answer_to_a_head_is_not_its_own(client: FastClient):
    async with serving(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n")) as server:
        got = await client.send(post(f"{server.origin}/", method="HEAD", body=None))

    assert (got.body, got.headers["content-length"]) == (b"", "999999")


@pytest.mark.parametrize(
    "change",
    [
        {"url": "nonsense"},
        {"url": "ftp://127.0.0.1/"},
        {"headers": (("x", "a\r\nx-injected: b"),)},
        {"headers": (("x y", "a"),)},
        {"method": "PO ST"},
    ],
    ids=["no url", "no http", "header value", "header name", "method"],
)
async def test_what_is_no_http_request_is_not_sent(client: FastClient, change: dict[str, Any]):
    with pytest.raises(NotSent) as caught:
        await client.send(post(**({"url": "http://127.0.0.1:1/?key=secret"} | change)))

    assert "injected" not in str(caught.value)


async def test_more_calls_than_there_is_room_for_are_not_sent():
    client = FastClient(SystemClock(), inflight_max=1)
    arrived = asyncio.Event()

    def make(server: Server) -> Behaviour:
        async def behave(reader: Reader, writer: Writer) -> None:
            del writer
            await server.read(reader)
            arrived.set()
            await asyncio.Event().wait()

        return behave

    async with serving(make) as server, asyncio.TaskGroup() as group:

        async def first() -> None:
            with pytest.raises(OutcomeUnknown):
                await client.send(post(f"{server.origin}/", answer_timeout_s=1.5))

        group.create_task(first())
        await arrived.wait()
        with pytest.raises(NotSent, match="too many"):
            await client.send(post(f"{server.origin}/", answer_timeout_s=5.0))
        assert len(server.requests) == 1
    await client.aclose()


async def test_a_closed_client_sends_nothing(client: FastClient):
    await client.aclose()
    with pytest.raises(NotSent, match="closed"):
        await client.send(post("http://127.0.0.1:1/"))


@pytest.mark.parametrize(
    "part",
    [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello"],
    ids=["before the head", "within the body"],
)
async def test_a_call_that_is_left_closes_its_connection_at_once(client: FastClient, part: bytes):
    arrived, gone = asyncio.Event(), asyncio.Event()

    def make(server: Server) -> Behaviour:
        async def behave(reader: Reader, writer: Writer) -> None:
            await server.read(reader)
            writer.write(part)
            arrived.set()
            await reader.read()
            gone.set()

        return behave

    async with serving(make) as server, asyncio.timeout(5), asyncio.TaskGroup() as group:
        call = group.create_task(client.send(post(f"{server.origin}/", answer_timeout_s=5.0)))
        await arrived.wait()
        await asyncio.sleep(0.1)
        call.cancel()
        async with asyncio.timeout(0.5):
            await gone.wait()
