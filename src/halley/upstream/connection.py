"""One connection that speaks HTTP/1.1: bytes of a request out, events of its reply in. It knows no pool and no URL."""

import asyncio
import os
import select
import socket
import ssl
from typing import Protocol, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from halley.upstream.errors import OutcomeUnknown
from halley.upstream.head import Origin
from halley.upstream.incoming import Incoming

HEAD_BYTES_MAX = 64 * 1024
"""Of a reply's head, and of anything else between two pieces of a body (chunk sizes, trailers)."""
HEADERS_MAX = 256
WRITE_AT_ONCE_BYTES = 64 * 1024
"""A larger request is written in such slices, as fast as the other side takes them."""
_FIRST_OWN_STATUS = 200
_FIRST_ERROR_STATUS = 400
_BODYLESS = frozenset({204, 304})


class Owner(Protocol):
    """Who keeps connections."""

    def made(self, connection: "Connection") -> None:
        """The connection stands."""
        ...

    def freed(self, connection: "Connection", *, may_keep: bool) -> None:
        """An exchange is over, once per exchange; whether the next one may follow on it."""
        ...

    def lost(self, connection: "Connection") -> None:
        """The connection is closed to its last resource."""
        ...


class Connection(asyncio.Protocol):
    """One connection and at most one exchange upon it."""

    def __init__(self, origin: Origin, raw: socket.socket, owner: Owner) -> None:
        self.origin = origin
        self.idle_since = 0.0
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._incoming: Incoming | None = None
        self._parser = HttpResponseParser(self)
        self._headers: list[tuple[bytes, bytes]] = []
        self._quiet_bytes = 0
        self._may_keep = False
        self._strayed = False
        self._rest: memoryview | None = None
        self._write_paused = False
        self._poll = select.poll()
        self._poll.register(raw.fileno(), select.POLLIN)

    # What the owner does.

    def start(self, incoming: Incoming, head: bytes, body: bytes | None) -> bool:
        """Write a request; False if not a byte of it was given away, because the connection is gone."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        self._incoming = incoming
        self._headers = []
        self._quiet_bytes = 0
        self._may_keep = False
        self._strayed = False
        incoming.begin(self)
        if not body:
            transport.write(head)
        elif len(body) <= WRITE_AT_ONCE_BYTES:
            transport.write(head + body)
        else:
            transport.write(head)
            self._rest = memoryview(body)
            self._write_on()
        return True

    def is_silent(self) -> bool:
        """Whether the other side neither left nor said anything, down to what still waits in the kernel."""
        return self._transport is not None and not self._transport.is_closing() and not self._poll.poll(0)

    def abort(self) -> None:
        """Close at once, whatever is on the way."""
        if self._incoming is not None:
            self._incoming.fail(OutcomeUnknown("the gateway closed the connection"))
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
        incoming = self._incoming
        if incoming is None:
            self.abort()
            return
        self._quiet_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            self._strayed = True
            incoming.fail(OutcomeUnknown(f"the reply is not proper HTTP: {_reason(error)}"))
        if incoming.ended:
            self._release(may_keep=self._may_keep and not self._strayed)
        elif incoming.failure is None and self._quiet_bytes > HEAD_BYTES_MAX:
            incoming.fail(_oversized())
        if incoming.failure is not None:
            self.abort()
        else:
            incoming.notify()

    def eof_received(self) -> None:
        """No more will come, which is the proper end of a body without a length."""
        incoming = self._incoming
        if incoming is None or not incoming.status or self._transport is None:
            return
        if _ends_with_connection(self._headers) and _is_whole(self._transport):
            incoming.ended = True
            self._release(may_keep=False)
            incoming.notify()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more will come or go."""
        incoming = self._incoming
        if incoming is not None:
            incoming.fail(OutcomeUnknown(_cut(exc, began=incoming.status > 0)))
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
        if self._incoming is None or self._incoming.ended:
            self._strayed = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, which nobody reads."""
        if self._incoming is not None and not self._incoming.status:
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is there; one of the hundreds only says that the real one will follow."""
        incoming = self._incoming
        if incoming is None or incoming.ended:
            return
        if len(self._headers) > HEADERS_MAX or self._quiet_bytes > HEAD_BYTES_MAX < _size(self._headers):
            incoming.fail(_oversized())
            return
        status = self._parser.get_status_code()
        if status < _FIRST_OWN_STATUS:
            self._headers = []
            return
        incoming.take_head(status, self._headers)
        if status >= _FIRST_ERROR_STATUS:
            # It has seen enough: what is not written yet need not be.
            self._rest = None if self._rest is None else self._rest[:0]
        # The length in the answer to a HEAD is not its own; the parser cannot know, so that connection is not kept.
        incoming.ended = incoming.request.method == "HEAD" or status in _BODYLESS

    def on_body(self, piece: bytes) -> None:
        """A piece of the body."""
        self._quiet_bytes = 0
        incoming = self._incoming
        if incoming is not None and not incoming.ended:
            incoming.add(piece)

    def on_message_complete(self) -> None:
        """The end, as the reply's own framing tells it."""
        incoming = self._incoming
        if incoming is not None and incoming.status and incoming.failure is None:
            incoming.ended = True
            self._may_keep = self._parser.should_keep_alive()

    def _write_on(self) -> None:
        transport = self._transport
        while self._rest and transport is not None and not self._write_paused and not transport.is_closing():
            transport.write(self._rest[:WRITE_AT_ONCE_BYTES])
            self._rest = self._rest[WRITE_AT_ONCE_BYTES:] or None

    def _release(self, *, may_keep: bool) -> None:
        """End the exchange. An answer to a request that was not read to its end is the last one here."""
        if self._incoming is None:
            return
        self._incoming = None
        may_keep = may_keep and self._rest is None and not self._write_paused
        self._rest = None
        if not may_keep and self._transport is not None:
            self._transport.abort()
        self._owner.freed(self, may_keep=may_keep)


def _ends_with_connection(headers: list[tuple[bytes, bytes]]) -> bool:
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


def _size(headers: list[tuple[bytes, bytes]]) -> int:
    return sum(len(name) + len(value) for name, value in headers)


def _oversized() -> OutcomeUnknown:
    return OutcomeUnknown(f"the reply's head is larger than {HEAD_BYTES_MAX} bytes or has over {HEADERS_MAX} headers")


def _reason(error: HttpParserError) -> str:
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
