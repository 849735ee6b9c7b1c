"""How what an app sends in ASGI's messages is framed, and what becomes of an app that breaks the rules."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import pytest
from tests.server.rig import (
    DATE,
    END,
    App,
    Receive,
    Scope,
    Send,
    answer,
    one,
    read,
    read_body,
    request,
    serving,
)

Header = tuple[bytes, bytes]


def sending(status: int, headers: Sequence[Header], *pieces: bytes) -> App:
    """Make an app that sends these pieces one by one."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await read_body(receive)
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})
        for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})

    return app


LENGTH_4 = (b"content-length", b"4")


@pytest.mark.parametrize("stock", [False, True], ids=["own", "uvicorn"])
@pytest.mark.parametrize(
    ("line", "app"),
    [
        ("GET /", sending(200, [LENGTH_4], b"ab", b"cd")),
        ("GET /", sending(200, [], b"ab", b"", b"cd")),
        ("GET /", sending(200, [(b"transfer-encoding", b"chunked")], b"abcd")),
        ("GET /", sending(200, [])),
        ("HEAD /", sending(200, [LENGTH_4], b"abcd")),
        ("HEAD /", sending(200, [LENGTH_4])),
        ("HEAD /", sending(200, [], b"abcd")),
        ("GET /", sending(204, [])),
        ("GET /", sending(304, [(b"etag", b'"a"')])),
        ("GET /", sending(599, [(b"X-Name", b"v\xe4lue\t!")], b"abcd")),
        ("POST /", sending(200, [(b"content-length", b"100000")], b"a" * 50_000, b"b" * 50_000)),
        ("POST /", sending(200, [], b"a" * 50_000, b"b" * 50_000)),
    ],
    ids=[
        "length told",
        "length not told",
        "chunked",
        "no body",
        "head, length told",
        "head, no body",
        "head, length not told",
        "204",
        "304",
        "odd status and header",
        "large, length told",
        "large, length not told",
    ],
)
async def test_an_answer_is_framed_as_uvicorn_frames_it(line: str, app: App, stock: bool):
    async with serving(app, stock=stock) as server:
        # A second one behind it shows that both sides agree where the first ends.
        head_only = line.startswith("HEAD")
        data = await server.talk(request(line, close=head_only) + (b"" if head_only else request(line)))
    if head_only:
        head, _, body = data.partition(END)
        assert body == b""
        assert (b"content-length: 4" in head.split(b"\r\n")) == (b"content-length" in head)
        return
    first, second = read(data)
    assert first.body == second.body
    assert first.status == second.status
    assert first.header("date") == DATE[1].decode()
    assert first.header("connection") is None
    assert second.header("connection") == "close"


async def test_an_old_client_gets_no_chunks():
    async with serving(sending(200, [], b"ab", b"cd")) as server:
        head, _, body = (await server.talk(request(version="1.0", close=False))).partition(END)

    assert b"chunked" not in head
    assert b"connection: close" in head
    assert body == b"abcd"


async def test_an_app_may_close_the_connection():
    async with serving(sending(200, [LENGTH_4, (b"connection", b"x, Close")], b"abcd")) as server:
        reply = one(await server.talk(request(close=False)))

    assert reply.header("connection") == "close"


def failing(*, after: int) -> App:
    """Make an app that fails after so many messages."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        messages: list[dict[str, Any]] = [
            {"type": "http.response.start", "status": 200, "headers": []},
            {"type": "http.response.body", "body": b"abcd", "more_body": True},
            {"type": "http.response.body", "body": b"efgh"},
        ]
        for message in messages[:after]:
            await send(message)
        raise ValueError("broken app")

    return app


async def test_an_app_that_fails_before_its_answer_is_a_500(caplog: pytest.LogCaptureFixture):
    async with serving(failing(after=0)) as server:
        reply = one(await server.talk(request(close=False)))

    assert (reply.status, reply.body) == (500, b"Internal Server Error")
    assert "broken app" in caplog.text


@pytest.mark.parametrize("after", [1, 2])
async def test_an_app_that_fails_amid_its_answer_is_cut(after: int, caplog: pytest.LogCaptureFixture):
    async with serving(failing(after=after)) as server:
        data = await server.talk(request(close=False))

    assert data.startswith(b"HTTP/1.1 200 ")
    assert read(data) == []
    assert "broken app" in caplog.text


async def test_what_ends_with_the_connection_is_reset_when_the_app_fails():
    async with serving(failing(after=2)) as server:
        with pytest.raises(ConnectionResetError):
            await server.talk(request(version="1.0"))


async def test_an_app_that_fails_after_its_answer_disturbs_nobody(caplog: pytest.LogCaptureFixture):
    async with serving(failing(after=3)) as server:
        replies = read(await server.talk(request(close=False) + request()))

    assert [reply.body for reply in replies] == [b"abcdefgh"] * 2
    assert caplog.text.count("Traceback") == 2


BAD_HEADERS: list[Header] = [
    (b"x-a", b"b\r\nset-cookie: c"),
    (b"x-a", b"b\n"),
    (b"x-a", b"b\r"),
    (b"x-a", b"b\0"),
    (b"x-a\r\nx-b", b"c"),
    (b"x a", b"b"),
    (b"x-a:", b"b"),
    (b"", b"b"),
    (b"content-length", b"-4"),
    (b"content-length", b"4, 4"),
]


@pytest.mark.parametrize("header", BAD_HEADERS, ids=str)
async def test_a_header_that_is_more_than_a_header_is_never_sent(header: Header):
    async with serving(sending(200, [header], b"abcd")) as server:
        data = await server.talk(request())

    assert one(data).status == 500
    assert b"x-a" not in data


@pytest.mark.parametrize(
    ("length", "pieces"), [(b"3", [b"abcd"]), (b"5", [b"abcd"]), (b"4", [b"abcd", b"e"])], ids=["over", "under", "more"]
)
async def test_a_body_that_is_not_as_long_as_told_cuts_the_connection(length: bytes, pieces: list[bytes]):
    async with serving(sending(200, [(b"content-length", length)], *pieces)) as server:
        data = await server.talk(request(close=False) + request("GET /next"))

    assert data.count(b"HTTP/1.1") == 1
    assert len(data.partition(END)[2]) <= int(length)


@pytest.mark.parametrize("status", [99, 101, 199, 600])
async def test_a_status_that_is_no_answers_is_a_500(status: int):
    async with serving(sending(status, [])) as server:
        assert one(await server.talk(request())).status == 500


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [{"type": "http.response.body", "body": b"a"}],
        [{"type": "websocket.accept"}],
    ],
    ids=["nothing", "body", "other"],
)
async def test_an_app_that_speaks_out_of_turn_is_a_500(
    messages: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
):
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        for message in messages:
            await send(message)

    caplog.set_level(logging.ERROR, "halley.server")
    async with serving(app) as server:
        assert one(await server.talk(request())).status == 500

    assert caplog.text


async def test_an_app_that_speaks_after_its_answer_is_told_so():
    failures: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await answer(send)
        try:
            await send({"type": "http.response.body", "body": b"more"})
        except RuntimeError as error:
            failures.append(str(error))

    async with serving(app) as server:
        assert one(await server.talk(request())).body == b"ok"

    assert len(failures) == 1


@pytest.mark.parametrize("stock", [False, True], ids=["own", "uvicorn"])
async def test_an_app_waits_for_a_client_that_takes_nothing(stock: bool):
    sent = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent
        del scope, receive
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(2_000):
            await send({"type": "http.response.body", "body": b"x" * 10_000, "more_body": True})
            sent += 1
        await send({"type": "http.response.body"})

    async with serving(app, stock=stock) as server:
        client = await server.open()
        client.send(request())
        await client.until(END)
        before = -1
        while before != sent:
            before = sent
            await asyncio.sleep(0.02)
        assert sent < 1_900
        data = await client.rest()
        assert data.endswith(b"0\r\n\r\n")
        assert sent == 2_000
        await client.close()
