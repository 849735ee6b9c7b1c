"""The types of ASGI, what a handler answers, and the one place that writes answers to the wire."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, MutableMapping
from typing import Any, TypeVar

import msgspec

from halley.kernel import codec
from halley.vendors.contract import Answer

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

JSON_TYPE = "application/json"
NO_BODY = frozenset((204, 304))
LEAVING_AFTER_S = 0.2
"""Whether the client is still there is not asked before: most calls are over by then, and asking has its price."""
SEND_S_MAX = 60.0
"""A client that takes nothing for so long has stalled: what it holds is needed by others."""
T = TypeVar("T")


class ClientLeft(Exception):
    """The client closed the connection before its request was whole."""


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """An answer as bytes, as a stream of known length, or as one whose end nobody knows yet (`length` is None)."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    chunks: AsyncIterator[bytes] | None = None
    length: int | None = None
    """Of the stream, or of the body that a HEAD would have had."""
    close: Callable[[], Awaitable[None]] | None = None
    """Called once when the stream is over, however it ended."""

    @property
    def open_ended(self) -> bool:
        """Whether it is a stream of unknown length."""
        return self.chunks is not None and self.length is None

    @property
    def size(self) -> int:
        """Bytes of the body."""
        return len(self.body) if self.length is None else self.length


def json_reply(value: object, *, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    """Answer with JSON; it is never kept by a cache."""
    kept = (("content-type", JSON_TYPE), ("cache-control", "no-store"), ("x-content-type-options", "nosniff"))
    return Reply(status=status, headers=(*kept, *headers), body=codec.encode(value))


def reply_of(answer: Answer) -> Reply:
    """Write a dialect's answer."""
    headers = tuple(answer.headers.items())
    if answer.status in NO_BODY:
        return Reply(status=answer.status, headers=headers)
    return json_reply(answer.body, status=answer.status, headers=headers)


async def send_reply(
    reply: Reply, receive: Receive, send: Send, extra: tuple[tuple[bytes, bytes], ...], *, is_head: bool = False
) -> None:
    """Write an answer: headers and body in one go, or a stream chunk by chunk; for HEAD the headers alone.

    A stream without a known end stops when the client hangs up: `ClientLeft` is raised.
    """
    try:
        await _send_reply(reply, receive, send, extra, is_head=is_head)
    finally:
        if reply.close is not None:
            await reply.close()


async def _send_reply(
    reply: Reply, receive: Receive, send: Send, extra: tuple[tuple[bytes, bytes], ...], *, is_head: bool
) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in reply.headers]
    headers += extra
    if reply.status not in NO_BODY and not reply.open_ended:
        headers.append((b"content-length", str(reply.size).encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    if reply.chunks is not None and not is_head:
        streaming = _send_chunks(reply.chunks, send)
        await (while_there(receive, streaming) if reply.open_ended else streaming)
        return
    body = b"" if is_head or reply.status in NO_BODY else reply.body
    await send({"type": "http.response.body", "body": body})


async def _send_chunks(chunks: AsyncIterator[bytes], send: Send) -> None:
    try:
        async for chunk in chunks:
            async with asyncio.timeout(SEND_S_MAX):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
    except TimeoutError as error:
        raise ClientLeft from error
    await send({"type": "http.response.body", "body": b""})


async def while_there(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """Do something for a client, whose request was read whole; it is cancelled when the client hangs up.

    Raises `ClientLeft`.
    """
    loop = asyncio.get_running_loop()
    watching: list[asyncio.Task[None]] = []
    try:
        async with asyncio.TaskGroup() as group:
            timer = loop.call_later(LEAVING_AFTER_S, lambda: watching.append(group.create_task(_until_left(receive))))
            try:
                result = await work
            finally:
                timer.cancel()
                for task in watching:
                    task.cancel()
    except BaseExceptionGroup as group_error:
        raise _only(group_error) from group_error
    return result


async def _until_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    raise ClientLeft


def _only(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Give what went wrong; that the client left is the least of it."""
    found = list(group.exceptions)
    return next((each for each in found if not isinstance(each, ClientLeft)), found[0])
