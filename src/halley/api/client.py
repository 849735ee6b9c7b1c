"""The client of one request: is it still there, and the one place that writes answers to it.

Over our own server by its exchange, which costs next to nothing; over any other server by the messages of ASGI.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeVar

from halley.api.asgi import NO_BODY, ClientLeft, Receive, Reply, Scope, Send
from halley.server.exchange import EXTENSION, Exchange
from halley.server.head import encode_headers, line_start

LEAVING_AFTER_S = 0.2
"""Whether the client of another server is still there is not asked before: most calls are over by then."""
NAMES_REMEMBERED_MAX = 1_024
SEND_S_MAX = 60.0
"""A client that takes nothing for so long has stalled: what it holds is needed by others."""
ID_HEADERS = (b"halley-request-id", b"x-request-id", b"request-id")
"""The last two are where the SDKs of OpenAI and of Anthropic look for it."""
_ID_LINES = b"".join(name + b": %b\r\n" for name in ID_HEADERS)
T = TypeVar("T")
Header = tuple[bytes, bytes]
Undo = Callable[[T], Awaitable[None]]


class Client(Protocol):
    """One request's way back, and what has come of its body already."""

    @property
    def body(self) -> bytes | None:
        """The whole body, where it has come and nothing of it was received; else None."""
        ...

    @property
    def receive(self) -> Receive:
        """As ASGI has it."""
        ...

    async def while_there(self, work: Coroutine[Any, Any, T], undo: Undo[T] | None = None) -> T:
        """Do something for the client, whose request was read whole; it is cancelled when the client hangs up.

        Raises `ClientLeft`. `undo` is for what was done just when they left.
        """
        ...

    def answer_now(self, reply: Reply, request_id: bytes, *, is_head: bool) -> bool:
        """Do what `answer` does if that needs no waiting; False, having done nothing, if it does."""
        ...

    async def answer(self, reply: Reply, request_id: bytes, *, is_head: bool) -> None:
        """Write an answer: headers and body in one go, or a stream chunk by chunk; for HEAD the headers alone.

        Beside the reply's headers and those of all answers it has our id of the request, in plain ASCII. A stream
        without a known end stops when the client hangs up: `ClientLeft` is raised.
        """
        ...


class Answers:
    """Makes the client of each request. `on_all` are headers of all answers."""

    def __init__(self, on_all: tuple[Header, ...]) -> None:
        self._on_all = on_all
        self._encoded = encode_headers(on_all)

    def client(self, scope: Scope, receive: Receive, send: Send) -> Client:
        """Give the client of a request."""
        extensions = scope.get("extensions")
        exchange: Exchange | None = extensions.get(EXTENSION) if extensions else None
        return AsgiClient(receive, send, self._on_all) if exchange is None else self.of_exchange(exchange)

    def of_exchange(self, exchange: Exchange) -> Client:
        """Give the client of a request to our own server."""
        return ExchangeClient(exchange, self._encoded)


class ExchangeClient:
    """A client of our own server."""

    __slots__ = ("_encoded", "_exchange")

    def __init__(self, exchange: Exchange, encoded: bytes) -> None:
        self._exchange = exchange
        self._encoded = encoded

    @property
    def body(self) -> bytes | None:
        return self._exchange.body

    @property
    def receive(self) -> Receive:
        return self._exchange.receive

    async def while_there(self, work: Coroutine[Any, Any, T], undo: Undo[T] | None = None) -> T:
        # What is done is given: nobody can leave between the last step of the work and ours.
        del undo
        exchange, task = self._exchange, self._exchange.task
        assert task is not None, "the app answers in the exchange's own task"
        exchange.on_leave(task.cancel)
        try:
            return await work
        except asyncio.CancelledError:
            if exchange.left and not task.uncancel():
                raise ClientLeft from None
            raise
        finally:
            exchange.on_leave(None)

    def answer_now(self, reply: Reply, request_id: bytes, *, is_head: bool) -> bool:
        if not reply.lines or is_head:
            return False
        fixed = b"".join((self._encoded, _ID_LINES % (request_id, request_id, request_id), reply.lines))
        self._exchange.respond(reply.status, (), reply.body, encoded=fixed)
        return True

    async def answer(self, reply: Reply, request_id: bytes, *, is_head: bool) -> None:
        try:
            lines = reply.lines or _lines(reply.headers)
            headers = [] if lines else encoded(reply)
            fixed = b"".join((self._encoded, _ID_LINES % (request_id, request_id, request_id), lines))
            if reply.chunks is None or is_head:
                self._whole(reply, headers, fixed, is_head=is_head)
                return
            if not reply.open_ended:
                headers.append(_length(reply))
            self._exchange.start(reply.status, headers, encoded=fixed)
            if reply.pour is not None:
                reply.pour(self._exchange.write)
            streaming = self._stream(reply.chunks)
            await (self.while_there(streaming) if reply.open_ended else streaming)
        finally:
            if reply.close is not None:
                await reply.close()

    def _whole(self, reply: Reply, headers: list[Header], fixed: bytes, *, is_head: bool) -> None:
        exchange = self._exchange
        if is_head:
            if reply.status not in NO_BODY and not reply.open_ended:
                headers.append(_length(reply))
            exchange.start(reply.status, headers, encoded=fixed)
            exchange.end()
        else:
            body = b"" if reply.status in NO_BODY else reply.body
            exchange.respond(reply.status, headers, body, encoded=fixed)

    async def _stream(self, chunks: AsyncIterator[bytes]) -> None:
        exchange = self._exchange
        try:
            async for chunk in chunks:
                if not exchange.write(chunk) and not await exchange.drain(SEND_S_MAX):
                    raise ClientLeft
        except TimeoutError as error:
            raise ClientLeft from error
        exchange.end()


class AsgiClient:
    """A client of another server."""

    body = None

    def __init__(self, receive: Receive, send: Send, on_all: tuple[Header, ...]) -> None:
        self.receive = receive
        self._send = send
        self._on_all = on_all

    async def while_there(self, work: Coroutine[Any, Any, T], undo: Undo[T] | None = None) -> T:
        loop = asyncio.get_running_loop()
        watching: list[asyncio.Task[None]] = []
        done: list[T] = []
        try:
            async with asyncio.TaskGroup() as group:
                look = self._until_left
                timer = loop.call_later(LEAVING_AFTER_S, lambda: watching.append(group.create_task(look())))
                try:
                    done.append(await work)
                finally:
                    timer.cancel()
                    for task in watching:
                        task.cancel()
        except BaseException as error:
            if undo is not None and done:
                await undo(done[0])
            if isinstance(error, BaseExceptionGroup):
                raise _only(error) from error  # pyright: ignore[reportUnknownArgumentType] - of whatever it is a group
            raise
        return done[0]

    def answer_now(self, reply: Reply, request_id: bytes, *, is_head: bool) -> bool:  # noqa: ARG002 - as declared
        return False

    async def answer(self, reply: Reply, request_id: bytes, *, is_head: bool) -> None:
        try:
            await self._answer(reply, request_id, is_head=is_head)
        finally:
            if reply.close is not None:
                await reply.close()

    async def _answer(self, reply: Reply, request_id: bytes, *, is_head: bool) -> None:
        headers = [*encoded(reply), *self._on_all, *((name, request_id) for name in ID_HEADERS)]
        if reply.status not in NO_BODY and not reply.open_ended:
            headers.append(_length(reply))
        await self._send({"type": "http.response.start", "status": reply.status, "headers": headers})
        if reply.chunks is not None and not is_head:
            streaming = self._stream(reply.chunks)
            await (self.while_there(streaming) if reply.open_ended else streaming)
            return
        body = b"" if is_head or reply.status in NO_BODY else reply.body
        await self._send({"type": "http.response.body", "body": body})

    async def _stream(self, chunks: AsyncIterator[bytes]) -> None:
        try:
            async for chunk in chunks:
                async with asyncio.timeout(SEND_S_MAX):
                    await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
        except TimeoutError as error:
            raise ClientLeft from error
        await self._send({"type": "http.response.body", "body": b""})

    async def _until_left(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass
        raise ClientLeft


def _lines(headers: Sequence[tuple[str, str]]) -> bytes:
    """Spell headers as lines at once, where nothing about them is odd; nothing where each must be looked at."""
    if not "".join([value for _, value in headers]).isprintable():
        return b""
    names = _plain_names
    for name, _ in headers:
        if name not in names and not _learn(name):
            return b""
    return "".join([f"{name}: {value}\r\n" for name, value in headers]).encode("latin-1", "replace")


_plain_names: set[str] = set()


def _learn(name: str) -> bool:
    encodable = name.isascii() and name == name.lower() and line_start(name.encode()) is not None
    if len(_plain_names) >= NAMES_REMEMBERED_MAX or not encodable:
        return False
    _plain_names.add(name)
    return True


def encoded(reply: Reply) -> list[Header]:
    """Spell a reply's own headers as bytes."""
    if reply.lines:
        pairs = [line.partition(b": ") for line in reply.lines.splitlines()]
        return [(name, value) for name, _, value in pairs]
    return [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in reply.headers]


def _length(reply: Reply) -> Header:
    return (b"content-length", str(reply.size).encode())


def _only(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Give what went wrong; that the client left is the least of it."""
    found = list(group.exceptions)
    return next((each for each in found if not isinstance(each, ClientLeft)), found[0])
