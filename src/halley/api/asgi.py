"""The types of ASGI, what a handler answers, and the one place that writes answers to the wire."""

from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

import msgspec

from halley.kernel import codec
from halley.vendors.contract import Answer

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

JSON_TYPE = "application/json"
NO_BODY = frozenset((204, 304))


class ClientLeft(Exception):
    """The client closed the connection before its request was whole."""


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """An answer as bytes, or as a stream of known length."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    chunks: AsyncIterator[bytes] | None = None
    length: int | None = None
    """Of the stream, or of the body that a HEAD would have had."""

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


async def send_reply(reply: Reply, send: Send, extra: tuple[tuple[bytes, bytes], ...], *, is_head: bool) -> None:
    """Write an answer: headers and body in one go, or a stream chunk by chunk; for HEAD the headers alone."""
    headers = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in reply.headers]
    headers += extra
    if reply.status not in NO_BODY:
        headers.append((b"content-length", str(reply.size).encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    if reply.chunks is not None and not is_head:
        async for chunk in reply.chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        return
    body = b"" if is_head or reply.status in NO_BODY else reply.body
    await send({"type": "http.response.body", "body": body})
