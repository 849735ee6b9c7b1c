"""A vendor on a real socket: it keeps every request byte by byte, and replies as the test has scripted."""

import asyncio
import json
import struct
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from socket import SO_LINGER, SOL_SOCKET, socket
from types import TracebackType
from typing import Any, Self

import msgspec

JSON = "application/json"
EVENTS = "text/event-stream"
LOOK_S = 0.003
"""How often it looks whether the gateway is still there."""
NESTED = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
"""JSON that is deeper than anybody reads."""


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """One request as it came over the wire."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    """Names in lower case."""
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)

    def header(self, name: str) -> list[str]:
        """Give all values of a header."""
        return [value for known, value in self.headers if known == name]


class Exchange:
    """One request, and the way to reply to it piece by piece."""

    def __init__(self, received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.received = received
        self._reader = reader
        self._writer = writer
        self.keeps_alive = True

    async def head(
        self, status: int = 200, content_type: str = EVENTS, headers: Mapping[str, str] | None = None
    ) -> None:
        """Begin a reply whose length is not told."""
        every = {"content-type": content_type, "transfer-encoding": "chunked", **(headers or {})}
        await self._write(_head(status, every))

    async def piece(self, data: bytes) -> None:
        """Send one piece of it."""
        await self._write(b"%x\r\n%b\r\n" % (len(data), data))

    async def end(self) -> None:
        """End it properly."""
        await self._write(b"0\r\n\r\n")

    async def whole(self, status: int, content_type: str, headers: Mapping[str, str], body: bytes) -> None:
        """Send a reply of known length."""
        every = {"content-type": content_type, "content-length": str(len(body)), **headers}
        await self._write(_head(status, every) + body)

    def hang_up(self, *, rudely: bool = False) -> None:
        """Close the connection in the middle of it; rudely is with a reset."""
        self.keeps_alive = False
        if rudely:
            held: socket = self._writer.get_extra_info("socket")
            held.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.close()

    async def until_left(self) -> None:
        """Return when the gateway has closed the connection."""
        while not (self._reader.at_eof() or self._reader.exception()):  # noqa: ASYNC110 - a reader tells nobody
            await asyncio.sleep(LOOK_S)
        self.keeps_alive = False

    async def _write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()


Script = Callable[[Exchange], Awaitable[None]]


class Vendor:
    """`async with Vendor() as vendor:` replies to each request with the next of `scripts`, then with `otherwise`."""

    def __init__(self) -> None:
        self.seen: list[Received] = []
        self.scripts: deque[Script] = deque()
        self.otherwise: Script = answer(status=500)
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()

    def will(self, *scripts: Script) -> None:
        """Reply to the next requests so, the last of them for ever."""
        *first, last = scripts
        self.scripts = deque(first)
        self.otherwise = last

    @property
    def last(self) -> Received:
        """The request that came last."""
        return self.seen[-1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (received := await _read(reader)) is not None:
                self.seen.append(received)
                exchange = Exchange(received, reader, writer)
                script = self.scripts.popleft() if self.scripts else self.otherwise
                await script(exchange)
                if not exchange.keeps_alive:
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the gateway has left, or the test is over
        finally:
            writer.close()


def answer(
    value: Any = None, *, status: int = 200, content_type: str = JSON, headers: Mapping[str, str] | None = None
) -> Script:
    """Reply with bytes as they are, or with a value as JSON."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()

    async def script(exchange: Exchange) -> None:
        await exchange.whole(status, content_type, headers or {}, body)

    return script


def refuse(status: int, message: str = "no", **headers: str) -> Script:
    """Reply with an error in OpenAI's shape."""
    spelled = {name.replace("_", "-"): value for name, value in headers.items()}
    return answer({"error": {"message": message, "type": "error", "code": None}}, status=status, headers=spelled)


def stream(*frames: bytes, then: Script | None = None) -> Script:
    """Reply with a stream of these pieces, and end it properly unless something else is to happen then."""

    async def script(exchange: Exchange) -> None:
        await exchange.head()
        for frame in frames:
            await exchange.piece(frame)
            await asyncio.sleep(0)
        await (then(exchange) if then else exchange.end())

    return script


async def cut(exchange: Exchange) -> None:
    """Close the connection where the reply stands."""
    exchange.hang_up()


async def reset(exchange: Exchange) -> None:
    """Reset the connection where the reply stands."""
    exchange.hang_up(rudely=True)


async def hang(exchange: Exchange) -> None:
    """Say nothing more until the gateway leaves."""
    await exchange.until_left()


def drip(frame: bytes, pause_s: float) -> Script:
    """Send this again and again until the gateway leaves."""

    async def script(exchange: Exchange) -> None:
        async with asyncio.timeout(5):
            left = asyncio.ensure_future(exchange.until_left())  # noqa: TID251 - awaited right here
            while not left.done():
                await exchange.piece(frame)
                await asyncio.sleep(pause_s)
            await left

    return script


def events(*values: Any, done: bool = True) -> list[bytes]:
    """Frames of OpenAI's chat."""
    frames = [b"data: " + json.dumps(value).encode() + b"\n\n" for value in values]
    return [*frames, b"data: [DONE]\n\n"] if done else frames


def named_events(values: Iterable[Mapping[str, Any]]) -> list[bytes]:
    """Frames whose event is named by their type, as Anthropic and OpenAI's responses have them."""
    return [b"event: %b\ndata: %b\n\n" % (one["type"].encode(), json.dumps(one).encode()) for one in values]


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Said", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def _read(reader: asyncio.StreamReader) -> Received | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    method, path, _ = first.split(" ")
    pairs = [line.partition(":") for line in lines]
    headers = tuple((name.strip().lower(), value.strip()) for name, _, value in pairs)
    length = int(dict(headers).get("content-length", "0"))
    return Received(method=method, path=path, headers=headers, body=await reader.readexactly(length))
