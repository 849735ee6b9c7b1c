"""One connection that speaks HTTP/1.1: requests in, one at a time to the app, answers out. Uvicorn's server runs it.

Takes the place of uvicorn's own protocol, with the same constructor: `uvicorn.Config(app, http=HttpProtocol)`. The
bound of connections is a `door`, not uvicorn's `limit_concurrency`, which turns away calls of those that are there.
"""

import asyncio
import logging
import socket
import struct
from collections import deque
from math import inf
from typing import Any, cast
from urllib.parse import unquote

import httptools
from uvicorn.config import Config
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl
from uvicorn.server import ServerState

from halley.kernel import volley
from halley.server.deadline import Deadline
from halley.server.door import RETRY_S, Door
from halley.server.exchange import EXTENSION, Exchange, Scope, handler
from halley.server.head import (
    HEAD_BYTES_MAX,
    HEADERS_MAX,
    TARGET_BYTES_MAX,
    Head,
    Header,
    encode_headers,
    head_size,
    plain_answer,
    refusal_of,
    wants_websocket,
)
from halley.server.remembered import Remembered, remember
from halley.server.upgrade import Upgrade

HEAD_S_MAX = 30.0
"""From the first byte of a head to its last."""
PARTING_S_MAX = 30.0
"""How long a client may take nothing of what was sent, and a closing connection waits for what nobody reads."""
DISCARDED_BYTES_MAX = 64 * 1024 * 1024
"""Of a body whose request was answered before it had come, so that the client gets to read the answer."""
UNREAD_BYTES_MAX = 64 * 1024
"""More of a body than this is not read before the app has received some."""
BETWEEN_BYTES_MAX = 64 * 1024
"""Of chunk sizes and trailers in a row, without a byte of a body."""
PIPELINED_MAX = 16
"""With so many requests waiting for their turn, reading stops."""
PIPELINED_AT_ONCE_MAX = 256
"""And further ones that came in the same read are not taken: the client repeats them elsewhere."""

TRIES_AT_ONCE = 4
TRIES_LATER = 16
"""One head that is not known does not oust the one that is remembered, the next few do. Where so many in a row were all
different, as behind a proxy, only one in `TRIES_LATER` is remembered: most of them never come again."""

_RESET = struct.pack("ii", 1, 0)
_BAD_REQUEST, _TIMEOUT, _TARGET_TOO_LONG, _HEAD_TOO_LARGE, _BAD_VERSION = 400, 408, 414, 431, 505
_UNAVAILABLE = 503
_log = logging.getLogger("halley.server")


class _Refused(Exception):
    """Raised inside the parser to stop it."""

    def __init__(self, status: int | None) -> None:
        super().__init__(status)
        self.status = status


class HttpProtocol(asyncio.Protocol):
    """Reads with httptools; at any time one exchange is running, others wait behind it, in order."""

    transport: asyncio.Transport
    remembers = True
    """Whether a head that comes again is known again; whether or not, the app and the client see the same."""
    _untaken = inf
    """How much of the last answer stood in the transport when a deadline was over."""
    _unsent = b""
    """An answer that goes out at the end of the loop's turn, or before whatever else is done to the transport."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        door: Door | None = None,
    ) -> None:
        if not config.loaded:
            config.load()
        self.tasks = server_state.tasks
        self.write_paused = False
        self._config = config
        self._state = server_state
        self._app_state = app_state
        self._handle = handler(cast("Any", config).loaded_app)
        self._door = door
        self._asgi = {"version": config.asgi_version, "spec_version": "2.3"}
        self._keep_alive_s = config.timeout_keep_alive
        self._loop = _loop or asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._target = b""
        self._headers: list[Header] = []
        self._begun = False
        """Whether the parser is within a request."""
        self._remembered: Remembered | None = None
        self._unknown = 0
        """How many in a row were not known again."""
        self._since = 0
        """Bytes read since the last of a body, or since a request's end: the head while it is not whole."""
        self._running: Exchange | None = None
        self._arriving: Exchange | None = None
        """Whose body is being read; it may be answered already."""
        self._waiting: deque[Exchange] = deque()
        self._upgrade: Upgrade | None = None
        self._takes_over = False
        """Whether the upgrade is one to websocket, which another protocol speaks."""
        self._refusal: int | None = None
        self._is_deaf = False
        """Whether what comes is thrown away, since no further request is taken."""
        self._discarded = 0
        self._read_paused = False
        self._may_write: asyncio.Event | None = None
        self._volley = volley.volley_of(self._loop)
        self._defaults: object = None
        self._default_lines = b""
        self._deadline = Deadline(self._loop, self._expire)

    # What the loop tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a request."""
        # uvloop's transports are asyncio's by their shape only.
        self.transport = cast("asyncio.Transport", transport)
        self._server = get_local_addr(self.transport)
        self.client = get_remote_addr(self.transport)
        self._scheme = "https" if is_ssl(self.transport) else "http"
        self._state.connections.add(cast("Any", self))  # uvicorn names its own classes only
        if self._door is None or self._door.lets_in(len(self._state.connections), self._loop.time()):
            self._deadline.set(self._keep_alive_s)
        else:
            self.send(plain_answer(_UNAVAILABLE, self.default_lines() + b"retry-after: %d\r\n" % RETRY_S))
            self._close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - how it was lost is all the same
        """Tell whoever is at work here."""
        self._forget()
        self._unsent = b""
        self._waiting.clear()
        self._refusal = None
        running, self._running = self._running, None
        self.resume_writing()
        if running is not None:
            running.leave()

    def eof_received(self) -> None:
        """Take half a farewell for a whole one: what was written is sent, then the loop closes."""
        self._flush()
        self._deadline.set(PARTING_S_MAX)

    def pause_writing(self) -> None:
        """Heed that the client takes less than is written."""
        self.write_paused = True

    def resume_writing(self) -> None:
        """Let those write who wait for it."""
        self.write_paused = False
        if self._may_write is not None:
            self._may_write.set()
        if self._running is None and (self._waiting or self._refusal is not None):
            self._next()

    def data_received(self, data: bytes) -> None:
        """Read on."""
        if self._is_deaf:
            self._discard(len(data))
            return
        rests = self._running is None and not (self._begun or self._since or self._waiting or self.write_paused)
        remembered = self._remembered
        if rests and remembered is not None:
            body = remembered.body_in(data)
            if body is not None:
                self._unknown = 0
                # What the parser would have us do for this head, with all of its body.
                exchange = Exchange(self, remembered.head)
                exchange.body = body
                exchange.whole = True
                self._begin(exchange)
                return
        self._parse(data)
        if rests and self.remembers:
            self._unknown = times = self._unknown + 1
            if remembered is None or 1 < times <= TRIES_AT_ONCE or not times % TRIES_LATER:
                self._remember(data)

    def _parse(self, data: bytes) -> None:
        rest = data
        while rest:
            self._since += len(rest)
            try:
                self._parser.feed_data(rest)
            except httptools.HttpParserUpgrade as stopped:
                rest = self._upgraded(rest[stopped.args[0] :])
            except httptools.HttpParserError as error:
                self._stop(error)
                return
            else:
                break
        if self._since:
            self._unfinished(len(data))

    def _remember(self, data: bytes) -> None:
        """Remember the head that came, if all of one request came and nothing else."""
        came = self._running
        if came is not None and came.body is not None:
            self._remembered = remember(data, came.head, came.body) or self._remembered

    # What the parser tells.

    def on_message_begin(self) -> None:
        """Be within a request, from its first byte on."""
        self._begun = True

    def on_url(self, target: bytes) -> None:
        """Take a piece of the target."""
        self._target += target

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; trailers are thrown away."""
        if self._arriving is None:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Begin a request."""
        target, headers = self._target, self._headers
        self._target, self._headers = b"", []
        parser = self._parser
        if self._since > TARGET_BYTES_MAX or len(headers) > HEADERS_MAX:
            _check_size(target, headers)
        method = parser.get_method()
        version = parser.get_http_version()
        is_old = version != "1.1"
        if is_old and version != "1.0":
            raise _Refused(_BAD_VERSION)
        refusal = refusal_of(headers, is_old=is_old)
        if refusal is not None:
            raise _Refused(refusal)
        if parser.should_upgrade():
            if method == b"CONNECT":
                raise _Refused(_BAD_REQUEST)
            self._upgrade = Upgrade(method, target, version, headers)
            self._takes_over = self._config.ws_protocol_class is not None and wants_websocket(headers)
            return
        keep_alive = not is_old and parser.should_keep_alive()
        self._arrive(Head(method.decode("ascii"), target, headers, version, keep_alive=keep_alive))

    def on_body(self, data: bytes) -> None:
        """Take a piece of the body, and read no more while the app does not take it."""
        self._since = 0
        exchange = self._arriving
        if exchange is None:
            return
        if exchange.answered:
            self._discard(len(data))
        elif exchange.add(data) > UNREAD_BYTES_MAX:
            self._pause()

    def on_message_complete(self) -> None:
        """End the request's body."""
        self._begun = False
        self._since = 0
        exchange, self._arriving = self._arriving, None
        if exchange is None:
            return
        exchange.finish()
        if self._waiting:
            return
        if self._running is None:
            self._rest()
        if self._read_paused:
            # Nothing of this body is left to hold back, and who does not read is not told that the client leaves.
            self.taken()

    # What the exchange needs.

    def scope(self, exchange: Exchange) -> Scope:
        """Tell of a request as ASGI does."""
        head = exchange.head
        path = head.path.decode("ascii")
        root = self._config.root_path
        return {
            "type": "http",
            "asgi": self._asgi,
            "http_version": head.version,
            "server": self._server,
            "client": self.client,
            "scheme": self._scheme,
            "method": head.method,
            "root_path": root,
            "path": root + (unquote(path) if "%" in path else path),
            "raw_path": root.encode("ascii") + head.path if root else head.path,
            "query_string": head.query,
            "headers": exchange.headers(),
            "state": self._app_state.copy(),
            "extensions": {EXTENSION: exchange},
        }

    def default_lines(self) -> bytes:
        """Headers of every answer; uvicorn renews its list, with the date, once a second."""
        headers = self._state.default_headers
        if headers is not self._defaults:
            self._defaults = headers
            self._default_lines = encode_headers(headers)
        return self._default_lines

    def send(self, *pieces: bytes) -> None:
        """Write now."""
        if self._unsent:
            self._flush()
        if len(pieces) == 1:
            self.transport.write(pieces[0])
        else:
            self.transport.writelines(pieces)

    def send_soon(self, data: bytes) -> None:
        """Write at the end of this turn of the loop, where others are served too, else now."""
        if self._unsent:
            self._flush()
        if len(self.tasks) >= volley.CROWD:
            self._unsent = data
            self._volley.add(self._flush)
        else:
            self.transport.write(data)

    async def writable(self) -> None:
        """Return when more may be written, or the client has left."""
        if self._may_write is None:
            self._may_write = asyncio.Event()
        while self.write_paused:
            self._may_write.clear()
            await self._may_write.wait()

    def taken(self) -> None:
        """Read on, if nothing else is in the way."""
        arriving = self._arriving
        if (
            self._read_paused
            and len(self._waiting) < PIPELINED_MAX
            and (arriving is None or arriving.answered or arriving.unread <= UNREAD_BYTES_MAX)
            and not self.transport.is_closing()
        ):
            self._read_paused = False
            self.transport.resume_reading()

    def answered(self, exchange: Exchange) -> None:
        """Go on to the next request, or end the connection."""
        self._state.total_requests += 1
        if exchange is not self._running:
            return
        self._running = None
        if self.transport.is_closing():
            return
        if not exchange.keep_alive:
            self._part(waits=not exchange.whole)
        elif self._waiting or self._refusal is not None:
            self._next()
        elif exchange.whole:
            self._rest()
        else:
            self._deadline.set(PARTING_S_MAX)
        if self._read_paused:
            self.taken()

    def cut(self, exchange: Exchange, *, abort: bool) -> None:
        """Close, since the answer will never be whole; `abort` tells so by a reset."""
        self._flush()
        if exchange is self._running:
            self._running = None
            self._waiting.clear()
        if abort:
            raw = self.transport.get_extra_info("socket")
            if raw is not None:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.transport.abort()
        else:
            self._close()

    # What the server asks for.

    def shutdown(self) -> None:
        """Close now, or after the answer that is under way."""
        if self._running is None:
            self._close()
        else:
            self._running.keep_alive = False
            self._waiting.clear()

    # One request after the other.

    def _arrive(self, head: Head) -> None:
        """Begin a request, or have it wait."""
        exchange = Exchange(self, head)
        exchange.is_head = head.method == "HEAD"
        exchange.is_old = head.is_old
        exchange.keep_alive = head.keep_alive
        if self._running is None and not (self._waiting or self.write_paused):
            self._arriving = exchange
            self._begin(exchange)
        else:
            self._queue(exchange)

    def _begin(self, exchange: Exchange) -> None:
        self._running = exchange
        self._deadline.at = self._untaken = inf
        # Uvicorn waits for these when it stops, and cancels those that do not end.
        exchange.task = task = self._loop.create_task(exchange.run(self._handle))
        self.tasks.add(task)

    def _queue(self, exchange: Exchange) -> None:
        before = self._waiting[-1] if self._waiting else self._running
        if before is not None:
            if len(self._waiting) >= PIPELINED_AT_ONCE_MAX:
                before.keep_alive = False
            if not before.keep_alive:
                raise _Refused(None)
        self._arriving = exchange
        self._waiting.append(exchange)
        if len(self._waiting) >= PIPELINED_MAX:
            self._pause()

    def _next(self) -> None:
        """Begin with the request that waits longest, once the client has taken most of the last answer."""
        if self.transport.is_closing():
            return
        if self.write_paused:
            self._deadline.set(PARTING_S_MAX)
        elif self._waiting:
            self._begin(self._waiting.popleft())
            self.taken()
        elif self._refusal is not None:
            self.send(plain_answer(self._refusal, self.default_lines()))
            self._part(waits=True)

    def _rest(self) -> None:
        """Wait for the next request."""
        self._discarded = 0
        self._deadline.set(self._keep_alive_s)

    # What ends a connection.

    def _stop(self, error: httptools.HttpParserError) -> None:
        """Take no further request, and say why once those before are answered."""
        cause = error.__context__
        status = cause.status if isinstance(cause, _Refused) else _BAD_REQUEST
        self._refuse(status)

    def _refuse(self, status: int | None) -> None:
        self._is_deaf = True
        last = self._waiting[-1] if self._waiting else self._running
        if status is None or (last is not None and last.whole and not last.keep_alive):
            # What follows the last request of a connection is no request.
            return
        _log.info("a request was refused", extra={"status": status})
        self._refusal = status
        spoilt, self._arriving = self._arriving, None
        if spoilt is not None:
            self._spoil(spoilt)
        if self._running is None and not self.transport.is_closing():
            self._next()

    def _spoil(self, exchange: Exchange) -> None:
        """Leave a request alone whose body came broken."""
        if self._waiting and self._waiting[-1] is exchange:
            self._waiting.pop()
        elif exchange is self._running:
            self._running = None
            if exchange.started:
                self._close()
            exchange.leave()

    def _part(self, *, waits: bool) -> None:
        """Close; with `waits`, once the client is done too, lest it lose our answer while it sends."""
        self._is_deaf = True
        self._refusal = None
        self._waiting.clear()
        self._flush()
        if waits and self.transport.can_write_eof():
            self.transport.write_eof()
            self._deadline.set(PARTING_S_MAX)
            self.taken()
        else:
            self._close()

    def _close(self) -> None:
        self._flush()
        self._is_deaf = True
        self.transport.close()
        self._deadline.set(PARTING_S_MAX)

    def _flush(self) -> None:
        """Write what is still unsent."""
        unsent, self._unsent = self._unsent, b""
        if unsent and not self.transport.is_closing():
            self.transport.write(unsent)

    def _discard(self, size: int) -> None:
        self._discarded += size
        if self._discarded > DISCARDED_BYTES_MAX and not self.transport.is_closing():
            if self._running is None:
                self._close()
            else:
                self._pause()

    def _pause(self) -> None:
        if not self._read_paused and not self.transport.is_closing():
            self._read_paused = True
            self.transport.pause_reading()

    # What takes too long.

    def _expire(self) -> None:
        untaken = self.transport.get_write_buffer_size()
        if untaken:
            self._await_taking(untaken)
        elif self._is_deaf or self.transport.is_closing():
            self.transport.abort()
        elif self._arriving is not None:
            self._part(waits=True)
        elif self._since:
            self._refuse(_TIMEOUT)
        elif self._untaken < inf:
            # Until lately it was busy with the last answer.
            self._untaken = inf
            self._rest()
        else:
            self._close()

    def _await_taking(self, untaken: int) -> None:
        """Wait on for a client that takes what was written, however slowly; cut one that takes nothing of it."""
        if untaken < self._untaken:
            self._untaken = untaken
            self._deadline.set(PARTING_S_MAX)
        else:
            self.transport.abort()

    def _unfinished(self, size: int) -> None:
        """Bound what has come without completing a head or adding to a body."""
        if self._arriving is not None:
            if self._since > BETWEEN_BYTES_MAX:
                self._refuse(_BAD_REQUEST)
        elif self._since > HEAD_BYTES_MAX:
            self._refuse(_TARGET_TOO_LONG if len(self._target) > TARGET_BYTES_MAX else _HEAD_TOO_LARGE)
        elif self._since == size and self._running is None:
            self._deadline.set(HEAD_S_MAX)

    def _forget(self) -> None:
        """Count no more as a connection of this protocol."""
        self._state.connections.discard(cast("Any", self))  # as in `connection_made`
        self._deadline.stop()
        self._is_deaf = True
        self._remembered = None

    # Other protocols.

    def _upgraded(self, rest: bytes) -> bytes:
        """Hand over to websocket, or decline another protocol; what is to be read in ours."""
        upgrade, self._upgrade = self._upgrade, None
        assert upgrade is not None
        self._since = 0
        if not self._takes_over:
            self._parser = httptools.HttpRequestParser(self)
            return upgrade.declined() + rest
        if self._running is not None or self._waiting or upgrade.has_body():
            self._refuse(_BAD_REQUEST)
        else:
            self._forget()
            self._flush()
            upgrade.hand_over(self.transport, self._config, self._state, self._app_state)
        return b""


def _check_size(target: bytes, headers: list[Header]) -> None:
    if len(target) > TARGET_BYTES_MAX:
        raise _Refused(_TARGET_TOO_LONG)
    if len(headers) > HEADERS_MAX or head_size(target, headers) > HEAD_BYTES_MAX:
        raise _Refused(_HEAD_TOO_LARGE)
