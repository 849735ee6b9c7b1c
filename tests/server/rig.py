"""A server of one app on a real loopback socket, a client of bytes, and apps that show what they were asked."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, NamedTuple

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from halley.server import EXTENSION, Door, Exchange, HttpProtocol

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

DATE = (b"date", b"Mon, 23 Nov 2026 01:00:00 GMT")
WAIT_S_MAX = 30.0
END = b"\r\n\r\n"


class Reply(NamedTuple):
    """One answer as a client's parser read it."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for each, value in self.headers if each == name), None)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Reader:
    """Collects the answers in what a server sent; strict, as llhttp is."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self._headers: list[tuple[str, str]] = []
        self._body = b""
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.decode(), value.decode("latin-1")))

    def on_body(self, data: bytes) -> None:
        self._body += data

    def on_message_complete(self) -> None:
        self.replies.append(Reply(self._parser.get_status_code(), self._headers, self._body))
        self._headers, self._body = [], b""


def read(data: bytes) -> list[Reply]:
    """Give all answers; the last may end with the connection only."""
    reader = Reader()
    reader.feed(data)
    return reader.replies


def one(data: bytes) -> Reply:
    [reply] = read(data)
    return reply


class Server(NamedTuple):
    """What listens, with uvicorn's count of it."""

    port: int
    state: ServerState

    async def open(self) -> "Client":
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        return Client(reader, writer)

    async def talk(self, raw: bytes) -> bytes:
        """Send bytes on a connection of their own and read until the server closes."""
        client = await self.open()
        try:
            client.send(raw)
            return await client.rest()
        finally:
            await client.close()


class Client:
    """A connection that sends and reads bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, raw: bytes) -> None:
        self.writer.write(raw)

    async def rest(self) -> bytes:
        async with asyncio.timeout(WAIT_S_MAX):
            return await self.reader.read(-1)

    async def until(self, mark: bytes) -> bytes:
        async with asyncio.timeout(WAIT_S_MAX):
            return await self.reader.readuntil(mark)

    async def exactly(self, size: int) -> bytes:
        async with asyncio.timeout(WAIT_S_MAX):
            return await self.reader.readexactly(size)

    async def replies(self, count: int) -> list[Reply]:
        """Read so many answers; the connection may stay open."""
        reader = Reader()
        async with asyncio.timeout(WAIT_S_MAX):
            while len(reader.replies) < count:
                data = await self.reader.read(65_536)
                assert data, f"closed after {len(reader.replies)} answers"
                reader.feed(data)
        assert len(reader.replies) == count
        return reader.replies

    async def reply(self) -> Reply:
        return (await self.replies(1))[0]

    async def close(self) -> None:
        self.writer.close()
        with suppress(OSError):  # the server may have cut it
            await self.writer.wait_closed()


@asynccontextmanager
async def serving(app: App, *, stock: bool = False, door: Door | None = None, **options: Any) -> AsyncGenerator[Server]:
    """Serve until the block is left, with our protocol or with uvicorn's own, without uvicorn's slow start and stop."""
    options = {"ws": "none", "lifespan": "off", "log_config": None, "access_log": False, **options}
    config = uvicorn.Config(app, **options)
    config.load()
    state = ServerState()
    state.default_headers = [DATE]

    def connect() -> asyncio.Protocol:
        make: Any = HttpToolsProtocol if stock else partial(HttpProtocol, door=door)
        return make(config=config, server_state=state, app_state={})

    server = await asyncio.get_running_loop().create_server(connect, "127.0.0.1", 0)
    try:
        yield Server(server.sockets[0].getsockname()[1], state)
    finally:
        server.close()
        for protocol in tuple(state.connections):
            protocol.transport.abort()
        for task in state.tasks:
            task.cancel()
        await until(lambda: not (state.connections or state.tasks))


async def until(done: Callable[[], object]) -> None:
    """Let the loop run until something holds."""
    async with asyncio.timeout(WAIT_S_MAX):
        while not done():  # noqa: ASYNC110 - what is waited for belongs to the server, which tells nobody
            await asyncio.sleep(0.001)


async def read_body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError
        body += message["body"]
        if not message["more_body"]:
            return body


async def answer(
    send: Send, body: bytes = b"ok", *, status: int = 200, headers: Sequence[tuple[bytes, bytes]] = ()
) -> None:
    own = [(b"content-length", str(len(body)).encode()), *headers]
    await send({"type": "http.response.start", "status": status, "headers": own})
    await send({"type": "http.response.body", "body": body})


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Tell what was asked."""
    body = await read_body(receive)
    told = {name: scope[name] for name in ("method", "path", "http_version", "scheme", "root_path", "type")}
    told["query"] = scope["query_string"].decode()
    told["raw_path"] = scope["raw_path"].decode()
    told["headers"] = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]]
    told["body"] = body.decode("latin-1")
    await answer(send, json.dumps(told).encode(), headers=((b"content-type", b"application/json"),))


def knowing(serve: Callable[[Exchange, Receive], Awaitable[None]]) -> App:
    """Make an app of a function that answers through our extension."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del send
        await serve(scope["extensions"][EXTENSION], receive)

    return app


def request(line: str = "GET /", *headers: str, body: bytes = b"", close: bool = True, version: str = "1.1") -> bytes:
    own = ("host: test", *(("connection: close",) if close else ()), *headers)
    if body and not any(header.lower().startswith(("content-length", "transfer-encoding")) for header in own):
        own = (*own, f"content-length: {len(body)}")
    return "\r\n".join((f"{line} HTTP/{version}", *own, "", "")).encode("latin-1") + body


def chunked(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (*pieces, b""))
