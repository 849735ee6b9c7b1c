"""Calls to vendors: one request, one whole reply, and a typed error that says whether the request can have been seen.

It never repeats a request, follows no redirect, keeps no cookie and reads no proxy from the environment.
"""

import asyncio
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from types import TracebackType
from typing import Protocol

import msgspec
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import BuilderError, DetailedPyreqwestError, PoolTimeoutError, PyreqwestError
from pyreqwest.http import HeaderMap
from pyreqwest.response import Response

from halley.kernel.clock import Clock
from halley.upstream.encoding import BadEncoding, decode_body
from halley.upstream.errors import NotSent, OutcomeUnknown, ReplyTooLarge

IDLE_S = 4.0
"""An idle connection is dropped after this. Node and uvicorn close theirs after 5 s, everybody else later, so a
request and a server's farewell seldom cross on the wire; where they do, the outcome is honestly unknown."""
IDLE_PER_HOST_MAX = 256
INFLIGHT_MAX = 8_192
"""Requests on the way at once, per connect time-out."""
POOL_WAIT_S = 1.0
CONNECT_TIMEOUTS_MAX = 16
"""The library fixes the connect time-out per pool, so there is one pool per distinct value; this bounds them."""
TCP_KEEPALIVE_S = 30.0

_CONNECT_FAILED = "client error (Connect)"
"""hyper-util's words for a failure before the connection was ready: name, TCP, TLS, connect time-out.

The exception classes must not be used for this: pyreqwest 0.15 raises `ConnectError` also for a reset after the
request was written, and `ConnectTimeoutError` when the answer takes too long. Should the words ever change,
`NotSent` becomes `OutcomeUnknown`, which is the safe side, and the tests say so.
"""
_OURS = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers of the connection, not of the message: this client writes them itself."""


class UpstreamRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request. Headers that belong to the connection (`host`, `content-length`, …) are written by the client."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    connect_timeout_s: float
    answer_timeout_s: float
    """From now until the last byte of the reply."""
    reply_bytes_max: int


class UpstreamReply(msgspec.Struct, frozen=True, kw_only=True):
    """A whole reply, of any status. Header names are in lower case, repeated ones joined by a comma."""

    status: int
    headers: dict[str, str]
    body: bytes
    elapsed_us: int


class UpstreamClient(Protocol):
    """What the rest of the house knows of HTTP to vendors."""

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        """Send once. Raises `NotSent`, `OutcomeUnknown` or `ReplyTooLarge`."""
        ...

    async def aclose(self) -> None:
        """Close all connections; requests on the way fail."""
        ...


class FastClient:
    """The client on pyreqwest, whose sockets live on a thread of their own.

    Measured (1.5 KB out, 600 B in, 64 at once): 67 µs of CPU per `send`; a bare aiohttp 3.14 call takes 97 µs. And a
    pooled connection that the server closes while our loop is busy is noticed before it is used: of 300 calls 300 went
    through, with aiohttp 150 (`tests/upstream/test_keep_alive.py`). hyper itself tries a second connection only
    for a request of which it has not taken the first byte.

    One weakness: pyreqwest 0.15 does not pass a cancellation on. Who leaves before the head of the reply has come gets
    away at once, but the connection stays until the answer, or until `answer_timeout_s` has passed.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        extra_roots_pem: bytes | None = None,
        inflight_max: int = INFLIGHT_MAX,
        idle_s: float = IDLE_S,
    ) -> None:
        self._clock = clock
        self._idle_s = idle_s
        self._extra_roots_pem = extra_roots_pem
        self._inflight_max = inflight_max
        self._pools: dict[float, Client] = {}
        self._closed = False

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        """Send once and read the whole reply."""
        started = self._clock.monotonic()
        async with _Exchange(self._prepare(request), request) as response:
            status, headers = response.status, _headers(response.headers)
            # The length that a HEAD reply tells is not its own.
            body = b"" if request.method == "HEAD" else await _body(response, headers, request.reply_bytes_max)
        elapsed_us = int((self._clock.monotonic() - started) * 1_000_000)
        return UpstreamReply(status=status, headers=headers, body=body, elapsed_us=elapsed_us)

    async def aclose(self) -> None:
        """Close all connections; no request is taken any more."""
        self._closed = True
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            await pool.close()

    def _prepare(self, request: UpstreamRequest) -> AbstractAsyncContextManager[Response]:
        try:
            builder = self._pool(request.connect_timeout_s).request(request.method, request.url)
            builder = builder.timeout(timedelta(seconds=request.answer_timeout_s))
            builder = builder.headers([(name, value) for name, value in request.headers if name.lower() not in _OURS])
            if request.body is not None:
                builder = builder.body_bytes(request.body)
            # Without this the library reads ahead, and a body that breaks early takes the status with it.
            return builder.streamed_read_buffer_limit(0).build_streamed()
        except (ValueError, PyreqwestError) as error:
            raise _malformed() from error

    def _pool(self, connect_timeout_s: float) -> Client:
        if self._closed:
            raise NotSent("the client is closed")
        pool = self._pools.get(connect_timeout_s)
        if pool is None:
            if len(self._pools) >= CONNECT_TIMEOUTS_MAX:
                raise NotSent(f"more than {CONNECT_TIMEOUTS_MAX} different connect time-outs are in use; round them")
            pool = self._pools[connect_timeout_s] = self._build(connect_timeout_s)
        return pool

    def _build(self, connect_timeout_s: float) -> Client:
        builder = (
            ClientBuilder()
            .http1_only()
            .connect_timeout(timedelta(seconds=connect_timeout_s))
            .pool_idle_timeout(timedelta(seconds=self._idle_s))
            .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
            .max_connections(self._inflight_max)
            .pool_timeout(timedelta(seconds=POOL_WAIT_S))
            .tcp_keepalive(timedelta(seconds=TCP_KEEPALIVE_S))
            .follow_redirects(enable=False)
            .referer(enable=False)
            .no_proxy()
            .gzip(enable=False)
            .brotli(enable=False)
            .zstd(enable=False)
            .deflate(enable=False)
            .user_agent("halley")
            .default_headers({"accept-encoding": "identity"})
        )
        if self._extra_roots_pem is not None:
            builder = builder.add_root_certificate_pem(self._extra_roots_pem)
        return builder.build()


class _Exchange:
    """From the first byte out to the last byte in; translates whatever the library raises between."""

    def __init__(self, call: AbstractAsyncContextManager[Response], request: UpstreamRequest) -> None:
        self._call = call
        self._request = request
        self._status: int | None = None

    async def __aenter__(self) -> Response:
        try:
            response = await self._call.__aenter__()
        except PyreqwestError as error:
            raise _translated(error, self._request, None) from error
        self._status = response.status
        return response

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._call.__aexit__(kind, error, trace)
        if isinstance(error, PyreqwestError):
            raise _translated(error, self._request, self._status) from error
        if isinstance(error, BadEncoding):
            raise OutcomeUnknown(str(error), status=self._status) from error


async def _body(response: Response, headers: dict[str, str], bytes_max: int) -> bytes:
    length = headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length) > bytes_max:
        raise _too_large(response.status, bytes_max)
    chunk = await response.body_reader.read(bytes_max + 1)
    if chunk is None:
        return b""
    if len(chunk) > bytes_max:
        raise _too_large(response.status, bytes_max)
    encoding = headers.get("content-encoding", "")
    if not encoding or encoding.lower() == "identity":
        return bytes(chunk)
    # Some CDNs compress whatever was asked. A large body would hold the loop, so it is unpacked aside.
    body = await asyncio.to_thread(decode_body, bytes(chunk), encoding, bytes_max)
    if body is None:
        raise _too_large(response.status, bytes_max)
    return body


def _too_large(status: int, bytes_max: int) -> ReplyTooLarge:
    return ReplyTooLarge(f"the reply is larger than {bytes_max} bytes", status=status)


def _headers(received: HeaderMap) -> dict[str, str]:
    headers: dict[str, str] = {}
    try:
        for name, value in received.items():
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
    except ValueError:
        return _readable_headers(received)
    return headers


def _readable_headers(received: HeaderMap) -> dict[str, str]:
    """Leave out values that are not ASCII: a paid reply must not be lost for a curious header."""
    headers: dict[str, str] = {}
    for name in set(received.keys()):
        try:
            headers[name] = ", ".join(received.getall(name))
        except ValueError:
            continue
    return headers


def _translated(error: PyreqwestError, request: UpstreamRequest, status: int | None) -> NotSent | OutcomeUnknown:
    causes = _causes(error)
    reason = causes[-1] if causes else error.message
    if isinstance(error, BuilderError) and status is None:
        return _malformed()
    if isinstance(error, PoolTimeoutError):
        return NotSent("too many requests are on the way; none of this one was sent")
    if status is None and _CONNECT_FAILED in causes:
        return NotSent(f"no connection: {reason}")
    if isinstance(error, TimeoutError):
        return OutcomeUnknown(f"no whole reply within {request.answer_timeout_s:g} s", status=status)
    return OutcomeUnknown(f"the connection or the reply broke: {reason}", status=status)


def _malformed() -> NotSent:
    # The library's text would quote the URL or the header, which may hold a key.
    return NotSent("the request is not well-formed HTTP: check the channel's URL and headers")


def _causes(error: PyreqwestError) -> list[str]:
    """The chain of reasons without its first link, which quotes the URL."""
    if not isinstance(error, DetailedPyreqwestError):
        return []
    return [cause["message"] for cause in (error.details["causes"] or [])[1:]]
