"""One connection that speaks HTTP/1.1: bytes of a request out, events of its reply in. It knows no pool and no URL."""

import asyncio
import os
import select
import socket
import ssl
from collections import deque
from math import inf
from typing import Protocol, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from halley.kernel.volley import volley_of
from halley.upstream.errors import NotSent, OutcomeUnknown, Stalled, UpstreamError
from halley.upstream.head import Origin
from halley.upstream.headers import Pairs
from halley.upstream.messages import UpstreamRequest

HEAD_BYTES_MAX = 64 * 1024
"""Of a reply's head, and of anything else between two pieces of a body (chunk sizes, trailers)."""
HEADERS_MAX = 256
WRITE_AT_ONCE_BYTES = 64 * 1024
"""A larger request is written in such slices, as fast as the other side takes them."""
_TIMER_STEP_S = 0.002
"""A timer of the loop may fire this much early."""
_FIRST_OWN_STATUS = 200
_FIRST_ERROR_STATUS = 400
_BODYLESS = frozenset({204, 304})


class Exchange(Protocol):
    """One request and its reply, as far as the connection needs it: the connection fills it."""

    connection: "Connection"
    """Set as it starts."""
    total_at: float
    """When the whole reply must have come, on the loop's clock."""
    quiet_at: float
    """When something must have come, if only the head; infinite while nothing is awaited."""

    @property
    def request(self) -> UpstreamRequest:
        """The request, for its time-outs and its method."""
        ...

    @property
    def status(self) -> int:
        """The status of the reply; 0 until the head has come."""
        ...

    @property
    def headers(self) -> Pairs:
        """The headers of the reply."""
        ...

    @property
    def failure(self) -> UpstreamError | None:
        """Why it will not end properly."""
        ...

    ended: bool
    """Whether it came to its proper end."""

    def take_head(self, status: int, headers: Pairs) -> None:
        """The head has come."""
        ...

    def add(self, piece: bytes) -> None:
        """A piece of the body has come."""
        ...

    def notify(self) -> None:
        """All that came at once was told."""
        ...

    def fail(self, failure: UpstreamError) -> None:
        """It will not end properly; the first reason counts."""
        ...


class Shelf:
    """The idle connections to one origin, the one used last at the end."""

    __slots__ = ("__weakref__", "idle", "origin")

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.idle: deque[Connection] = deque()


class Owner(Protocol):
    """Who keeps connections."""

    def made(self, connection: "Connection") -> None:
        """The connection stands."""
        ...

    def freed(self, connection: "Connection", *, may_keep: bool) -> None:
        """An exchange is over, once per exchange; whether the next one may follow on it."""
        ...

    def crowded(self) -> bool:
        """Whether it is worth while to gather what is written."""
        ...

    def lost(self, connection: "Connection") -> None:
        """The connection is closed to its last resource."""
        ...


class Connection(asyncio.Protocol):
    """One connection and at most one exchange upon it.

    Its one timer is not moved with each exchange: when it rings, it looks whether the time has come.
    """

    def __init__(self, shelf: Shelf, raw: socket.socket, owner: Owner, loop: asyncio.AbstractEventLoop) -> None:
        self.shelf = shelf
        self.loop = loop
        self.idle_since = 0.0
        self.rings_at = inf
        """When it looks at the time, at the latest."""
        self._timer: asyncio.TimerHandle | None = None
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._exchange: Exchange | None = None
        self._parser = HttpResponseParser(self)
        self._headers: list[tuple[bytes, bytes]] = []
        self._quiet_bytes = 0
        self._may_keep = False
        self._strayed = False
        self._rest: memoryview | None = None
        self._volley = volley_of(loop)
        self._unsent = b""
        self._write_paused = False
        self._poll = select.poll()
        self._poll.register(raw.fileno(), select.POLLIN)

    # What the owner does.

    def start(self, exchange: Exchange, head: bytes, body: bytes | None, now: float) -> bool:
        """Write a request; False if not a byte of it was given away, because the connection is gone."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        self._exchange = exchange
        self._headers = []
        self._quiet_bytes = 0
        self._may_keep = False
        self._strayed = False
        exchange.connection = self
        due_at = exchange.total_at
        head_timeout_s = exchange.request.head_timeout_s
        if head_timeout_s is not None:
            exchange.quiet_at = now + head_timeout_s
            due_at = min(due_at, exchange.quiet_at)
        if due_at < self.rings_at:
            self.ring_by(due_at)
        if not body:
            transport.write(head)
        elif len(body) <= WRITE_AT_ONCE_BYTES:
            data = head + body
            if self._owner.crowded():
                self._unsent = data
                self._volley.add(self._send)
            else:
                transport.write(data)
        else:
            transport.write(head)
            self._rest = memoryview(body)
            self._write_on()
        return True

    def ring_by(self, at: float) -> None:
        """Look then, at the latest, whether the exchange has taken too long."""
        if self._timer is not None:
            self._timer.cancel()
        self.rings_at = at
        self._timer = self.loop.call_at(at, self._ring)

    def is_silent(self) -> bool:
        """Whether the other side neither left nor said anything, down to what still waits in the kernel."""
        return self._transport is not None and not self._transport.is_closing() and not self._poll.poll(0)

    def abort(self) -> None:
        """Close at once, whatever is on the way."""
        if self._exchange is not None:
            self._exchange.fail(OutcomeUnknown("the gateway closed the connection"))
            self._release(may_keep=False)
        elif self._transport is not None:
            self._transport.abort()

    def pause(self) -> None:
        """Read no more for now; the kernel's buffers fill, and the sender stops."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    # What the loop tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands, TLS included."""
        # uvloop's transports are asyncio's by their shape only.
        self._transport = cast("asyncio.Transport", transport)
        self._owner.made(self)

    def data_received(self, data: bytes) -> None:
        """Read on; what comes unasked, or after the end, makes the connection unfit for another exchange."""
        exchange = self._exchange
        if exchange is None:
            self.abort()
            return
        if self._unsent:
            # It is the reply to nothing, and must not become the one to a request that still waits with others.
            exchange.fail(NotSent("the server said something before anything was sent"))
            self.abort()
            return
        self._quiet_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._strayed = True
            exchange.fail(OutcomeUnknown(f"the reply is not proper HTTP: {_reason(error)}"))
        if exchange.ended:
            self._release(may_keep=self._may_keep and not self._strayed)
        elif exchange.failure is None and self._quiet_bytes > HEAD_BYTES_MAX:
            exchange.fail(_oversized())
        if exchange.failure is not None:
            self.abort()
        else:
            exchange.notify()

    def eof_received(self) -> None:
        """No more will come, which is the proper end of a body without a length."""
        exchange = self._exchange
        if exchange is None or not exchange.status or self._transport is None:
            return
        if _ends_with_connection(exchange.headers) and _is_whole(self._transport):
            exchange.ended = True
            self._release(may_keep=False)
            exchange.notify()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more will come or go."""
        exchange = self._exchange
        if exchange is not None:
            # What waits to be written with others has not left us.
            unsent = NotSent("the server closed the connection before anything was sent") if self._unsent else None
            exchange.fail(unsent or OutcomeUnknown(_cut(exc, began=exchange.status > 0)))
        if self._timer is not None:
            self._timer.cancel()
        # The parser holds this object and this object the parser.
        del self._parser
        self._transport = None
        self._release(may_keep=False)
        self._owner.lost(self)

    def pause_writing(self) -> None:
        """Hold back the rest of a large request."""
        self._write_paused = True

    def resume_writing(self) -> None:
        """Go on with it."""
        self._write_paused = False
        self._write_on()

    # What the parser finds.

    def on_message_begin(self) -> None:
        """A message begins; after the end of ours it is one that nobody asked for."""
        exchange = self._exchange
        if exchange is None or exchange.ended:
            self._strayed = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, which nobody reads."""
        if self._exchange is not None and not self._exchange.status:
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is there; one of the hundreds only says that the real one will follow."""
        exchange = self._exchange
        if exchange is None or exchange.ended:
            return
        if len(self._headers) > HEADERS_MAX or self._quiet_bytes > HEAD_BYTES_MAX < _size(self._headers):
            exchange.fail(_oversized())
            return
        status = self._parser.get_status_code()
        if status < _FIRST_OWN_STATUS:
            self._headers = []
            return
        exchange.take_head(status, self._headers)
        self._headers = []
        if status >= _FIRST_ERROR_STATUS:
            # It has seen enough: what is not written yet need not be.
            self._rest = None if self._rest is None else self._rest[:0]
        # The length in the answer to a HEAD is not its own; the parser cannot know, so that connection is not kept.
        if exchange.failure is None:
            exchange.ended = status in _BODYLESS or exchange.request.method == "HEAD"

    def on_body(self, piece: bytes) -> None:
        """A piece of the body."""
        self._quiet_bytes = 0
        exchange = self._exchange
        if exchange is not None and not exchange.ended:
            exchange.add(piece)

    def on_message_complete(self) -> None:
        """The end, as the reply's own framing tells it."""
        exchange = self._exchange
        if exchange is not None and exchange.status and exchange.failure is None:
            exchange.ended = True
            self._may_keep = self._parser.should_keep_alive()

    def _ring(self) -> None:
        self._timer = None
        self.rings_at = inf
        exchange = self._exchange
        if exchange is None:
            return
        now = self.loop.time() + _TIMER_STEP_S
        due_at = min(exchange.total_at, exchange.quiet_at)
        if now < due_at:
            self.ring_by(due_at)
            return
        exchange.fail(_late(exchange, now))
        self.abort()

    def _send(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            data, self._unsent = self._unsent, b""
            self._transport.write(data)

    def _write_on(self) -> None:
        transport = self._transport
        while self._rest and transport is not None and not self._write_paused and not transport.is_closing():
            transport.write(self._rest[:WRITE_AT_ONCE_BYTES])
            self._rest = self._rest[WRITE_AT_ONCE_BYTES:] or None

    def _release(self, *, may_keep: bool) -> None:
        """End the exchange. An answer to a request that was not read to its end is the last one here."""
        if self._exchange is None:
            return
        self._exchange = None
        may_keep = may_keep and self._rest is None and not self._write_paused
        self._rest = None
        if not may_keep and self._transport is not None:
            self._transport.abort()
        self._owner.freed(self, may_keep=may_keep)


def _late(exchange: Exchange, now: float) -> OutcomeUnknown:
    request = exchange.request
    if now >= exchange.total_at:
        return OutcomeUnknown(f"no whole reply within {request.answer_timeout_s:g} s")
    if not exchange.status:
        return OutcomeUnknown(f"no beginning of a reply within {request.head_timeout_s:g} s")
    return Stalled(f"the reply stood still for {request.stall_timeout_s:g} s")


def _ends_with_connection(headers: Pairs) -> bool:
    for name, value in headers:
        key = name.lower()
        if key == b"content-length" or (key == b"transfer-encoding" and b"chunked" in value.lower()):
            return False
    return True


def _is_whole(transport: asyncio.Transport) -> bool:
    """Whether TLS, if there is any, was closed by its own farewell: asyncio takes a mere end of TCP for one, too."""
    tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    if tls is None:
        return True
    try:
        return not tls.read(1)
    except ssl.SSLZeroReturnError:
        return True
    except ssl.SSLError:
        return False


def _size(headers: Pairs) -> int:
    return sum(len(name) + len(value) for name, value in headers)


def _oversized() -> OutcomeUnknown:
    return OutcomeUnknown(f"the reply's head is larger than {HEAD_BYTES_MAX} bytes or has over {HEADERS_MAX} headers")


def _reason(error: HttpParserError | HttpParserUpgrade) -> str:
    return "it changes the protocol" if isinstance(error, HttpParserUpgrade) else str(error)


def _cut(error: Exception | None, *, began: bool) -> str:
    when = "in the middle of its reply" if began else "before it answered"
    # `str` of the error itself might quote addresses.
    match error:
        case None:
            return f"the server closed the connection {when}"
        case ssl.SSLError():
            return f"TLS broke {when}: {error.reason or 'for no reason given'}"
        case OSError() if error.errno:
            return f"the connection broke {when}: {os.strerror(error.errno)}"
        case _:
            return f"the connection broke {when}"
