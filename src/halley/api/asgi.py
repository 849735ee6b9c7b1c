"""The types of ASGI, and what a handler answers."""

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
    """An answer as bytes, as a stream of known length, or as one whose end nobody knows yet (`length` is None)."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    lines: bytes = b""
    """In place of `headers`, for a whole answer of the hot path: the same as lines that end in CRLF, names in lower
    case. Nothing in them may come from outside."""
    body: bytes = b""
    chunks: AsyncIterator[bytes] | None = None
    pour: Callable[[Callable[[bytes], bool]], None] | None = None
    """Told a function that takes pieces, and says False when it has enough for now, it may hand it some of the stream
    right away, where they come in; `chunks` gives the others. Without, or untold, all are in `chunks`."""
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
