"""What the app is told of a request, and which requests never reach it; in plain ASGI, as uvicorn's own has it."""

import asyncio

import pytest
from tests.server.rig import (
    END,
    Receive,
    Scope,
    Send,
    answer,
    chunked,
    echo,
    one,
    read,
    read_body,
    request,
    serving,
)

SERVERS = pytest.mark.parametrize("stock", [False, True], ids=["own", "uvicorn"])


@pytest.mark.parametrize(
    "raw",
    [
        request("GET /a%20b/%C3%A4?x=1&y=%20"),
        request("GET /"),
        request("GET //a//b?"),
        request("GET /a?b?c=/d"),
        request("GET http://elsewhere/a?b=c"),
        request("OPTIONS *"),
        request("DELETE /a", "X-Up: VALUE", "x-up: again", "empty:"),
        request("POST /a", body=b"hello"),
        request("POST /a", "Transfer-Encoding: chunked", body=chunked(b"hel", b"lo")),
        request("POST /a", "Transfer-Encoding: chunked", body=b"5;a=b\r\nhello\r\n0\r\nx-trailer: 1\r\n\r\n"),
        request("PATCH /a", body=b"x" * 200_000),
        request("GET /old", version="1.0"),
        b"\r\n" + request("GET /after-an-empty-line"),
    ],
    ids=lambda raw: raw.strip()[:30].decode(),
)
async def test_app_is_told_what_was_asked_as_uvicorn_tells_it(raw: bytes):
    async with serving(echo) as own, serving(echo, stock=True) as uvicorns:
        got, expected = one(await own.talk(raw)), one(await uvicorns.talk(raw))

    # Uvicorn adds trailers to the headers, if it reads them in time.
    told = {**expected.json, "headers": [pair for pair in expected.json["headers"] if pair[0] != "x-trailer"]}
    assert (got.status, got.json) == (expected.status, told)


@SERVERS
async def test_scope_has_what_uvicorns_has(stock: bool):
    scopes: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await read_body(receive)
        await answer(send)

    async with serving(app, stock=stock, root_path="/below") as server:
        await server.talk(request("GET /a%2Fb"))
        port = server.port

    [scope] = scopes
    assert scope.pop("client")[0] == "127.0.0.1"
    extensions = scope.pop("extensions", {})
    assert set(extensions) == (set() if stock else {"halley.connection"})
    assert dict(scope) == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": ("127.0.0.1", port),
        "scheme": "http",
        "method": "GET",
        "root_path": "/below",
        "path": "/below/a/b",
        "raw_path": b"/below/a%2Fb",
        "query_string": b"",
        "headers": [(b"host", b"test"), (b"connection", b"close")],
        "state": {},
    }


REFUSED = {
    "length and chunks": request("POST /", "content-length: 5", "transfer-encoding: chunked", body=chunked(b"a")),
    "two lengths": request("POST /", "content-length: 1", "content-length: 1", body=b"a"),
    "signed length": request("POST /", "content-length: +1", body=b"a"),
    "chunks before another coding": request("POST /", "transfer-encoding: chunked, gzip", body=chunked(b"a")),
    "chunks twice in a line": request("POST /", "transfer-encoding: chunked, chunked", body=chunked(b"a")),
    "chunks twice": request("POST /", "transfer-encoding: chunked", "transfer-encoding: chunked", body=chunked(b"a")),
    "chunks of an old client": request("POST /", "transfer-encoding: chunked", body=chunked(b"a"), version="1.0"),
    "no host": b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n",
    "two hosts": request("GET /", "Host: other"),
    "the same host twice": request("GET /", "host: test"),
    "two hosts of an old client": request("GET /", "host: other", version="1.0"),
    "two hosts that ask for another protocol": request("GET /", "host: other", "connection: upgrade", "upgrade: h2c"),
    "a space in the host": request("GET /").replace(b"host: test", b"host: one two"),
    "a tab in the host": request("GET /").replace(b"host: test", b"host: one\ttwo"),
    "a path in the host": request("GET /").replace(b"host: test", b"host: one/two"),
    "a name in the host": request("GET /").replace(b"host: test", b"host: me@one"),
    "space before colon": request("GET /", "x-a : b"),
    "folded header": request("GET /", "x-a: b\r\n c"),
    "null in header": request("GET /", "x-a: b\0c"),
    "return in header": request("GET /", "x-a: b\rc"),
    "newlines only": request("GET /").replace(b"\r\n", b"\n"),
    "method of small letters": request("get /"),
    "unknown method": request("BREW /"),
    "letters beyond ASCII": request("GET /\xe4"),
    "no target": b"GET HTTP/1.1\r\n\r\n",
    "connect": request("CONNECT other:443"),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "half a target": request("GET http://"),
}


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED.keys())
async def test_what_can_be_read_in_two_ways_is_refused_unread(raw: bytes):
    ran: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        ran.append(scope)
        await receive()
        await answer(send)

    async with serving(app) as server:
        reply = one(await server.talk(raw))

    assert reply.status == 400
    assert reply.header("connection") == "close"
    assert reply.header("date")


@pytest.mark.parametrize("host", ["", "test", "test:8000", "[::1]:8000", "a_b.test", "%C3%A4.test", " test \t"])
async def test_a_host_may_be_whatever_is_one(host: str):
    async with serving(echo) as server:
        reply = one(await server.talk(request().replace(b"host: test", b"host: " + host.encode())))

    assert reply.status == 200
    assert [value.strip() for name, value in reply.json["headers"] if name == "host"] == [host.strip()]


async def test_an_old_client_needs_no_host():
    async with serving(echo) as server:
        assert one(await server.talk(b"GET / HTTP/1.0\r\n\r\n")).status == 200


@pytest.mark.parametrize("spelling", ["chunked", "CHUNKED", " chunked "])
async def test_chunks_are_read_however_they_are_spelled(spelling: str):
    async with serving(echo) as server:
        reply = one(await server.talk(request("POST /", f"transfer-encoding: {spelling}", body=chunked(b"a"))))

    assert (reply.status, reply.json["body"]) == (200, "a")


@pytest.mark.parametrize(
    "codings",
    [("gzip",), ("gzip, chunked",), ("gzip", "chunked"), ("identity, chunked",)],
    ids=["packed alone", "packed", "packed, in two lines", "as it is"],
)
async def test_a_coding_that_nobody_undoes_is_refused_as_such(codings: tuple[str, ...]):
    headers = (f"transfer-encoding: {each}" for each in codings)
    async with serving(echo) as server:
        reply = one(await server.talk(request("POST /", *headers, body=chunked(b"a"))))

    assert (reply.status, reply.header("connection")) == (501, "close")


async def test_another_version_is_refused():
    async with serving(echo) as server:
        assert one(await server.talk(request(version="2.0"))).status == 505
        assert one(await server.talk(b"GET /\r\n\r\n")).status == 505


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (request("GET /" + "a" * 33_000), 414),
        (request("GET /" + "a" * 300_000), 414),
        (request("GET /", "x-a: " + "a" * 70_000), 431),
        (request("GET /", "x-a: " + "a" * 600_000), 431),
        (request("GET /", "x" * 70_000 + ": a"), 431),
        (request("GET /", *(f"x-{n}: a" for n in range(200))), 431),
        (request("GET /", *(f"x-{n}: a" for n in range(100_000))), 431),
    ],
    ids=["target", "endless target", "header", "endless header", "name", "many headers", "endless headers"],
)
async def test_a_head_is_bounded_and_the_client_gets_to_read_why(raw: bytes, status: int):
    async with serving(echo) as server:
        assert one(await server.talk(raw)).status == status


async def test_a_head_within_bounds_is_taken_whole():
    raw = request("GET /" + "a" * 30_000, "x-a: " + "b" * 30_000)
    async with serving(echo) as server:
        reply = one(await server.talk(raw))

    assert len(reply.json["path"]) == 30_001
    assert len(dict(reply.json["headers"])["x-a"]) == 30_000


async def test_trailers_never_become_headers():
    first = request("POST /1", "transfer-encoding: chunked", close=False)
    first += b"1\r\nx\r\n0\r\nauthorization: stolen\r\nx-b: 1\r\n\r\n"
    async with serving(echo) as server:
        replies = read(await server.talk(first + request("GET /2")))

    assert [reply.status for reply in replies] == [200, 200]
    assert all("authorization" not in dict(reply.json["headers"]) for reply in replies)


@pytest.mark.parametrize("filler", [b"x-a: " + b"b" * 200_000, b"x-a: b\r\n" * 40_000], ids=["one", "many"])
async def test_trailers_are_bounded(filler: bytes):
    async with serving(echo) as server:
        client = await server.open()
        client.send(request("POST /", "transfer-encoding: chunked", body=b"1\r\nx\r\n0\r\n"))
        client.send(filler)
        reply = one(await client.rest())
        await client.close()

    assert reply.status == 400


@SERVERS
async def test_a_client_that_waits_is_asked_for_its_body_when_the_app_wants_it(stock: bool):
    async with serving(echo, stock=stock) as server:
        client = await server.open()
        client.send(request("POST /", "expect: 100-continue", "content-length: 5"))
        assert await client.until(END) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"hello")
        reply = one(await client.rest())
        await client.close()

    assert reply.json["body"] == "hello"


async def test_a_client_that_waits_is_not_asked_when_the_app_answers_without_its_body():
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await answer(send, b"no", status=413)

    async with serving(app) as server:
        raw = request("POST /", "expect: 100-continue", "content-length: 5", close=False)
        client = await server.open()
        client.send(raw)
        reply = one(await client.until(b"no"))
        # Whether what comes next is the body nobody can know: so there is no next.
        assert reply.header("connection") == "close"
        client.send(request("GET /", close=False))
        assert await client.rest() == b""
        await client.close()


async def test_a_body_that_nobody_takes_is_not_read():
    begun = asyncio.Event()
    go = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        begun.set()
        await go.wait()
        await answer(send, str(len(await read_body(receive))).encode())

    size = 20_000_000
    async with serving(app) as server:
        client = await server.open()
        client.send(request("POST /", f"content-length: {size}", body=b"x" * size))
        await begun.wait()
        for _ in range(50):
            await asyncio.sleep(0.002)
        # Some is in buffers of both kernels, by far the most still with the client.
        assert client.writer.transport.get_write_buffer_size() > size // 2
        go.set()
        assert one(await client.rest()).body == str(size).encode()
        await client.close()


async def test_a_body_that_breaks_is_refused_and_its_app_told():
    told: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        try:
            await read_body(receive)
        except ConnectionError:
            told.append("left")
        await answer(send)

    async with serving(app) as server:
        reply = one(await server.talk(request("POST /", "transfer-encoding: chunked", body=b"5\r\nhello\r\nzz")))

    assert (reply.status, told) == (400, ["left"])


async def test_an_unknown_upgrade_is_declined_with_its_body_read_as_one():
    headers = ("connection: upgrade", "upgrade: h2c")
    first = request("POST /1", *headers, body=b"GET /smuggled HTTP/1.1\r\n\r\n", close=False)
    async with serving(echo) as server:
        replies = read(await server.talk(first * 3 + request("GET /2")))

    assert [reply.json["path"] for reply in replies] == ["/1", "/1", "/1", "/2"]
    assert replies[0].json["body"].startswith("GET /smuggled")
    assert "upgrade" not in dict(replies[0].json["headers"])
