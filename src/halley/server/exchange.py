"""One request and its answer: ASGI's `receive` and `send`, and the shorter way for an app that knows us."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Protocol, cast

from halley.server.head import NO_BODY, STATUS_LINES, Head, Header, checked_lines, expects_continue, line_start

EXTENSION = "halley.connection"
"""The key under `scope["extensions"]`."""
JOINED_BYTES_MAX = 16 * 1024
"""More than this is not copied to be written in one piece."""

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
App = Callable[[Scope, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]
Handler = Callable[["Exchange"], Awaitable[None]]

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_SERVER_ERROR = 500
_PLAIN = (b"content-type", b"text/plain; charset=utf-8")
_log = logging.getLogger("halley.server")


class Connection(Protocol):
    """What an exchange needs of its connection."""

    tasks: set[asyncio.Task[None]]
    write_paused: bool
    client: tuple[str, int] | None
    """Its address."""

    def scope(self, exchange: "Exchange") -> Scope:
        """Tell of a request as ASGI does."""
        ...

    def default_lines(self) -> bytes:
        """Headers of every answer."""
        ...

    def send(self, *pieces: bytes) -> None:
        """Write now."""
        ...

    def send_soon(self, data: bytes) -> None:
        """Write by the end of this turn of the loop."""
        ...

    async def writable(self) -> None:
        """Return when more may be written, or the client has left."""
        ...

    def taken(self) -> None:
        """The app took what had come of the body."""
        ...

    def answered(self, exchange: "Exchange") -> None:
        """The answer is written whole."""
        ...

    def cut(self, exchange: "Exchange", *, abort: bool) -> None:
        """The answer will never be whole."""
        ...


class NativeApp(Protocol):
    """An app that takes exchanges: it is never called as an ASGI app by our protocol."""

    def exchange(self, exchange: "Exchange") -> Awaitable[None]:
        """Answer a request."""
        ...


def handler(app: App | NativeApp) -> Handler:
    """Give what answers requests: the app's own way for exchanges, or else ASGI."""
    native = getattr(app, "exchange", None)
    if callable(native):
        return cast("Handler", native)
    asgi = cast("App", app)  # it is no `NativeApp`

    def handle(exchange: Exchange) -> Awaitable[None]:
        return asgi(exchange.scope(), exchange.receive, exchange.send)

    return handle


class Exchange:
    """One request, used on the loop only: an app's `exchange` takes it, others find it in the scope's extensions.

    `head` is what the request said before its body, and may serve others of the connection; `peer` is the client.
    `body` is the whole body of the request if it came before any of it was received by `receive`, else None.
    `whole` tells whether all of the request has come, `left` whether the client hung up before it was answered.
    Answer with `respond`, or with `start`, `write` and `end`; or with ASGI's messages, but not with both.
    """

    # Defaults of the class: most requests never set most of them, and a request is made for each call.
    body: bytes | None = None
    whole: bool = False
    left: bool = False
    answered: bool = False
    task: asyncio.Task[None] | None = None
    """The one in which the app answers."""
    unread: int = 0
    keep_alive: bool = True
    """Whether the connection may go on after the answer."""
    is_head: bool = False
    is_old: bool = False
    """Whether the client speaks HTTP/1.0, which knows no chunks."""
    _started: bool = False
    _chunked: bool = False
    _until_close: bool = False
    _missing: int | None = None
    """How much of a body of known length is still to be written."""
    _given: bool = False
    """Whether the app received some of the body."""
    _given_whole: bool = False
    _asked: bool = False
    """Whether the client was asked to go on with its body."""
    _leave: Callable[[], object] | None = None
    _wake: asyncio.Event | None = None
    _pieces: list[bytes] | None = None
    """Of the body, not received yet; unless `body` holds it."""

    def __init__(self, connection: Connection, head: Head) -> None:
        self._connection = connection
        self.head = head
        self.peer = connection.client

    # For apps that know us.

    def headers(self) -> list[Header]:
        """Give this request's headers, in a list of its own."""
        headers = self.head.headers.copy()
        at, body = self.head.length_at, self.body
        if at is not None and body is not None:
            headers[at] = (b"content-length", b"%d" % len(body))
        return headers

    def scope(self) -> Scope:
        """Build the scope that ASGI has for this request."""
        return self._connection.scope(self)

    def on_leave(self, callback: Callable[[], object] | None) -> None:
        """Have something called, once, when the client hangs up before the answer is whole; None takes it back.

        There is one such callback at a time. If the client has left already, it is called at once.
        """
        if self.left and callback is not None:
            callback()
        else:
            self._leave = callback

    def respond(self, status: int, headers: Iterable[Header], body: bytes = b"", *, encoded: bytes = b"") -> None:
        """Send a whole answer in one write; its length is counted here unless the headers tell it.

        `encoded` are more headers, as `encode_headers` once wrote them. For HEAD the body is counted but not sent.
        """
        connection, size = self._connection, len(body)
        if (
            headers
            or not 0 < size <= JOINED_BYTES_MAX
            or status in NO_BODY
            or not (self.whole and self.keep_alive)
            or self._started
            or self.left
            or self.is_head
        ):
            self._respond(status, headers, encoded, body)
            return
        # The same, where there is nothing to check, to choose or to wait for.
        lines = connection.default_lines()
        answer = b"".join((STATUS_LINES[status], lines, encoded, b"content-length: %d\r\n\r\n" % size, body))
        self._started = True
        connection.send_soon(answer)
        self.answered = True
        self._leave = None
        if self._wake is not None:
            self._wake.set()
        connection.answered(self)

    def start(self, status: int, headers: Iterable[Header], *, encoded: bytes = b"") -> None:
        """Send the head of an answer; without `content-length` its end is where `end` is called."""
        head = self._head(status, headers, encoded, None)
        if not self.left:
            self._connection.send(head)

    def write(self, data: bytes) -> bool:
        """Send a piece of the body; False if the client takes less than is written: then `drain`."""
        if not data or self.left:
            return True
        if not self._started or self.answered:
            raise RuntimeError("a body belongs between `start` and `end`")
        if self._missing is not None:
            self._count(len(data))
        connection, size = self._connection, len(data)
        if self.is_head:
            return not connection.write_paused
        if size > JOINED_BYTES_MAX:
            connection.send(*((b"%x\r\n" % size, data, b"\r\n") if self._chunked else (data,)))
        else:
            connection.send_soon(b"%x\r\n%b\r\n" % (size, data) if self._chunked else data)
        return not connection.write_paused

    async def drain(self, timeout_s: float) -> bool:
        """Wait until more may be written; False if the client has left. Raises `TimeoutError`."""
        if self._connection.write_paused and not self.left:
            async with asyncio.timeout(timeout_s):
                await self._connection.writable()
        return not self.left

    def end(self) -> None:
        """End the answer that `start` began."""
        if not self._started or self.answered:
            raise RuntimeError("only what was started can be ended, once")
        if self.left:
            self.answered = True
            return
        self._check_end()
        if self._chunked:
            self._connection.send(b"0\r\n\r\n")
        self._finish()

    # ASGI.

    async def run(self, handle: Handler) -> None:
        """Have the app answer; what it leaves open is closed."""
        try:
            await handle(self)
        except BaseException:
            if self.task is not None:
                self.task.add_done_callback(_log_failure)
            raise
        finally:
            if self.task is not None:
                self._connection.tasks.discard(self.task)
            if not self.answered:
                self._give_up()

    async def receive(self) -> Message:
        """Give the next of the body, then wait until the client leaves or is answered."""
        while not (self.left or self.answered):
            if self._pieces or (self.whole and not self._given_whole):
                return self._next_piece()
            if not self.whole:
                self._ask()
            await self._woken()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Send head or body; waits while the client takes less than is written."""
        if self._connection.write_paused and not self.left:
            await self._connection.writable()
        kind = message["type"]
        if not self._started:
            if kind != "http.response.start":
                raise RuntimeError(f"`{kind}` came where `http.response.start` was due")
            self.start(message["status"], message.get("headers", ()))
        elif kind != "http.response.body" or self.answered:
            if not self.left:
                raise RuntimeError(f"`{kind}` came where a body was due, or after the end")
        else:
            self.write(message.get("body", b""))
            if not message.get("more_body", False):
                self.end()

    # For the connection.

    def add(self, data: bytes) -> int:
        """Take a piece of the body that came; how much the app has not received yet."""
        if self._pieces is None:
            self._pieces = [data]
        else:
            self._pieces.append(data)
        self.unread += len(data)
        if self._wake is not None:
            self._wake.set()
        return self.unread

    def finish(self) -> None:
        """The request has come to its end."""
        self.whole = True
        if not self._given:
            pieces = self._pieces or ()
            self.body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            self._pieces = None
        if self._wake is not None:
            self._wake.set()

    def leave(self) -> None:
        """The client is gone."""
        self.left = True
        if self._wake is not None:
            self._wake.set()
        callback, self._leave = self._leave, None
        if callback is not None:
            callback()

    @property
    def started(self) -> bool:
        """Whether the head of the answer was sent."""
        return self._started

    def waits_to_be_asked(self) -> bool:
        """Whether the client holds its body back until it is asked for it, which it was not."""
        return not (self.whole or self._asked or self._pieces or self.is_old) and expects_continue(self.head.headers)

    def _next_piece(self) -> Message:
        data = b"".join(self._pieces or ()) if self.body is None else self.body
        self._pieces = None
        self._given = True
        self._given_whole = self.whole
        self.unread = 0
        if not self.whole:
            self._connection.taken()
        return {"type": "http.request", "body": data, "more_body": not self.whole}

    def _ask(self) -> None:
        if self.waits_to_be_asked() and not self._started:
            self._connection.send(_CONTINUE)
        self._asked = True

    async def _woken(self) -> None:
        if self._wake is None:
            self._wake = asyncio.Event()
        self._wake.clear()
        await self._wake.wait()

    def _respond(self, status: int, headers: Iterable[Header], encoded: bytes, body: bytes) -> None:
        head = self._head(status, headers, encoded, len(body))
        if self._missing != len(body):
            self._count(len(body))
            self._check_end()
        if self.left:
            self.answered = True
            return
        if self.is_head or not body:
            self._connection.send_soon(head)
        elif len(body) <= JOINED_BYTES_MAX:
            self._connection.send_soon(head + body)
        else:
            self._connection.send(head, body)
        self._finish()

    def _head(self, status: int, headers: Iterable[Header], encoded: bytes, size: int | None) -> bytes:
        """Write the head, and settle how the body is framed. `size` is that of a body that is there already."""
        if self._started:
            raise RuntimeError("the answer has begun already")
        length: int | None = None
        lines: list[bytes] = []
        for name, value in headers:
            start = line_start(name)
            if start is not None:
                lines.append(start + value)
            elif (told := self._framing(name.lower(), value)) is not None:
                length = told
        own = checked_lines(lines)
        if not self.whole and self.waits_to_be_asked():
            # It may send the body or not; what comes next on this connection could be either.
            self.keep_alive = False
        framing = self._frame(status, size if length is None else length)
        line = STATUS_LINES[status]
        self._started = True
        return b"".join((line, self._connection.default_lines(), encoded, own, framing))

    def _framing(self, name: bytes, value: bytes) -> int | None:
        """Heed a header that frames the answer; the length if it tells that."""
        if name == b"content-length":
            if not value.isdigit():
                raise ValueError(f"`content-length: {value!r}` is no length")
            return int(value)
        if name == b"connection" and b"close" in [token.strip() for token in value.lower().split(b",")]:
            self.keep_alive = False
        return None

    def _frame(self, status: int, length: int | None) -> bytes:
        framing = b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n"
        if status in NO_BODY:
            self._missing = 0
            return framing
        if length is not None:
            self._missing = length
            return b"content-length: %d\r\n" % length + framing
        if self.is_head:
            return framing
        if self.is_old:
            self._until_close = True
            return framing
        self._chunked = True
        return b"transfer-encoding: chunked\r\n" + framing

    def _count(self, size: int) -> None:
        if self._missing is not None and not self.is_head:
            if size > self._missing:
                raise RuntimeError("the body is longer than its head told")
            self._missing -= size

    def _check_end(self) -> None:
        if self._missing and not self.is_head:
            raise RuntimeError(f"{self._missing} bytes of the answer are missing")

    def _finish(self) -> None:
        self._end_waits()
        self._connection.answered(self)

    def _end_waits(self) -> None:
        self.answered = True
        self._leave = None
        if self._wake is not None:
            self._wake.set()

    def _give_up(self) -> None:
        """The app ended, or broke off, before its answer did."""
        if self.left:
            self.answered = True
        elif self._started:
            self._end_waits()
            # Without a length a mere end would look like the end of the body.
            self._connection.cut(self, abort=self._until_close)
        else:
            _log.error("the app ended without an answer")
            self.keep_alive = False
            self.respond(_SERVER_ERROR, (_PLAIN,), b"Internal Server Error")


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        _log.error("the app failed", exc_info=task.exception())
