"""A broken way to the vendors: chosen calls go to a server that refuses, hangs, resets or answers nonsense, for real.

The world's two clients are wrapped; whatever is not ordered to fail reaches the vendor as usual.
"""

import asyncio
import struct
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from enum import StrEnum
from socket import SO_LINGER, SOL_SOCKET, socket
from urllib.parse import urlsplit, urlunsplit

import msgspec

from halley.upstream.client import (
    Prepared,
    UpstreamClient,
    UpstreamReply,
    UpstreamRequest,
    UpstreamStream,
    WholeReply,
)
from halley.upstream.exchange import Download, Fetched
from halley.upstream.guard import Guard
from halley.world import World

HEAD_BYTES_MAX = 64 * 1024


class Break(StrEnum):
    """How one call fails."""

    REFUSED = "connect_refused"
    """Nobody listens."""
    HANGS = "timeout_after_send"
    RESET = "reset_after_send"
    GARBAGE = "garbage"
    """Status 200 and a body that is cut off."""
    UNAUTHORIZED = "unauthorized"
    OUT_OF_CREDIT = "out_of_credit"
    RATE_LIMITED = "rate_limited"
    INVALID = "invalid"
    BROKEN = "vendor_error"
    GONE = "not_found_later"


_STATUS = {
    Break.UNAUTHORIZED: "401 Unauthorized",
    Break.OUT_OF_CREDIT: "402 Payment Required",
    Break.RATE_LIMITED: "429 Too Many Requests\r\nretry-after: 1",
    Break.INVALID: "422 Unprocessable Content",
    Break.BROKEN: "500 Internal Server Error",
    Break.GONE: "404 Not Found",
}


class BrokenWire:
    """Orders failures: `wire.fail(how, matches=…)` breaks the next call whose method and path match."""

    def __init__(self) -> None:
        self._orders: deque[_Order] = deque()
        self._ports: dict[Break, int] = {}
        self.busy = 0
        """Calls on the way through the world's clients."""
        self.broken: list[tuple[Break, str]] = []
        """What was broken so far, with its path."""

    def fail(self, how: Break, matches: Callable[[str, str], bool], *, times: int = 1) -> None:
        """Break the next calls for which `matches(method, path)` holds."""
        self._orders.append(_Order(how, matches, times))

    def is_to_break(self, method: str, url: str) -> bool:
        """Whether the next such call is to fail."""
        path = urlsplit(url).path
        return any(order.times and order.matches(method, path) for order in self._orders)

    def redirect(self, method: str, url: str) -> str:
        """Give the URL to call instead; the same where nothing was ordered."""
        parts = urlsplit(url)
        for order in self._orders:
            if order.times and order.matches(method, parts.path):
                order.times -= 1
                self.broken.append((order.how, parts.path))
                return urlunsplit(parts._replace(scheme="http", netloc=f"127.0.0.1:{self._ports[order.how]}"))
        return url

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Listen while inside."""
        servers = [await self._serve(how) for how in Break if how is not Break.REFUSED]
        held = socket()
        held.bind(("127.0.0.1", 0))
        self._ports[Break.REFUSED] = held.getsockname()[1]
        try:
            yield
        finally:
            held.close()
            for server in servers:
                server.close()

    def interpose(self, world: World) -> None:
        """Stand between a world and its vendors."""
        world.upstream = _Upstream(world.upstream, self)
        world.guard = _Guard(world.guard, self)

    async def _serve(self, how: Break) -> asyncio.Server:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await _misbehave(how, reader, writer)
            finally:
                writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        self._ports[how] = server.sockets[0].getsockname()[1]
        return server


class _Order(msgspec.Struct):
    how: Break
    matches: Callable[[str, str], bool]
    times: int


class _Prepared(Prepared):
    """What the client behind has prepared, and for what."""

    def __init__(self, request: UpstreamRequest, inner: Prepared) -> None:
        self.request = request
        self.inner = inner


class _Upstream:
    """The client of vendors, with the broken wire before it."""

    def __init__(self, inner: UpstreamClient, wire: BrokenWire) -> None:
        self._inner = inner
        self._wire = wire

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        """Send, perhaps into the void."""
        self._wire.busy += 1
        try:
            url = self._wire.redirect(request.method, request.url)
            return await self._inner.send(msgspec.structs.replace(request, url=url))
        finally:
            self._wire.busy -= 1

    async def open(self, request: UpstreamRequest) -> UpstreamStream:
        """Open, perhaps into the void."""
        self._wire.busy += 1
        try:
            url = self._wire.redirect(request.method, request.url)
            return await self._inner.open(msgspec.structs.replace(request, url=url))
        finally:
            self._wire.busy -= 1

    def prepare(self, request: UpstreamRequest) -> Prepared:
        """Prepare."""
        return _Prepared(request, self._inner.prepare(request))

    def begin(self, prepared: Prepared, body: bytes) -> asyncio.Future[WholeReply] | None:
        """Begin, unless it is to fail: then it has to be opened."""
        assert isinstance(prepared, _Prepared)
        if self._wire.is_to_break(prepared.request.method, prepared.request.url):
            return None
        begun = self._inner.begin(prepared.inner, body)
        if begun is not None:
            self._wire.busy += 1
            begun.add_done_callback(self._ended)
        return begun

    def _ended(self, _: asyncio.Future[WholeReply]) -> None:
        self._wire.busy -= 1

    async def aclose(self) -> None:
        """Close the client behind."""
        await self._inner.aclose()


class _Guard(Guard):
    """The guard, with the broken wire before its downloads."""

    def __init__(self, inner: Guard, wire: BrokenWire) -> None:
        self._inner = inner
        self._wire = wire

    def check(self, url: str) -> None:
        """Refuse what the guard behind refuses."""
        self._inner.check(url)

    @asynccontextmanager
    async def download(
        self,
        url: str,
        *,
        bytes_max: int,
        timeout_s: float,
        trusted_origins: frozenset[str] = frozenset(),
        headers: tuple[tuple[str, str], ...] = (),
    ) -> AsyncGenerator[Download, None]:
        """Download, perhaps from the void."""
        self._wire.busy += 1
        try:
            chosen = self._wire.redirect("GET", url)
            if chosen != url:
                parts = urlsplit(chosen)
                trusted_origins = frozenset({f"{parts.scheme}://{parts.netloc}"})
                timeout_s = min(timeout_s, 0.3)
            async with self._inner.download(
                chosen, bytes_max=bytes_max, timeout_s=timeout_s, trusted_origins=trusted_origins, headers=headers
            ) as reply:
                yield reply
        finally:
            self._wire.busy -= 1

    async def fetch(
        self,
        url: str,
        *,
        bytes_max: int,
        timeout_s: float,
        trusted_origins: frozenset[str] = frozenset(),
        headers: tuple[tuple[str, str], ...] = (),
    ) -> Fetched:
        """Fetch by the guard behind."""
        return await self._inner.fetch(
            url, bytes_max=bytes_max, timeout_s=timeout_s, trusted_origins=trusted_origins, headers=headers
        )

    async def post(
        self, url: str, *, body: bytes, headers: tuple[tuple[str, str], ...], timeout_s: float, bytes_max: int
    ) -> Fetched:
        """Post by the guard behind."""
        self._wire.busy += 1
        try:
            return await self._inner.post(url, body=body, headers=headers, timeout_s=timeout_s, bytes_max=bytes_max)
        finally:
            self._wire.busy -= 1

    async def aclose(self) -> None:
        """Close the guard behind."""
        await self._inner.aclose()


async def _misbehave(how: Break, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(HEAD_BYTES_MAX)
    match how:
        case Break.HANGS:
            while await reader.read(HEAD_BYTES_MAX):
                pass
        case Break.RESET:
            held: socket = writer.get_extra_info("socket")
            held.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        case Break.GARBAGE:
            writer.write(b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"id": "7d')
            await writer.drain()
        case _:
            body = b'{"detail": "refused as the test ordered"}'
            head = f"HTTP/1.1 {_STATUS[how]}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            await writer.drain()
