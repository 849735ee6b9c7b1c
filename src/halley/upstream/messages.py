"""What the rest of the house knows of HTTP to vendors: a request, a reply whole or as it comes, and the client."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

import msgspec

from halley.upstream.headers import Pairs, joined


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
    head_timeout_s: float | None = None
    """From the connection being ready until the head of the reply has come."""
    stall_timeout_s: float | None = None
    """The longest silence after the head and between two pieces of the body."""


class UpstreamReply(msgspec.Struct, frozen=True, kw_only=True):
    """A whole reply, of any status. Header names are in lower case, repeated ones joined by a comma."""

    status: int
    headers: dict[str, str]
    body: bytes
    elapsed_us: int


class Prepared:
    """A request but for its body: its head is spelled and checked, its place is known, its time-outs are set.

    Only the client that made it knows what is in it. It holds the headers' secrets, and goes with what they came from.
    """

    __slots__ = ()


class WholeReply(msgspec.Struct, frozen=True, kw_only=True):
    """A whole reply, of any status, unpacked if it came compressed."""

    status: int
    body: bytes
    head_us: int
    """Microseconds from the call until the head had come."""
    content_type: str = ""
    """As the head tells it; empty where it does not."""
    received: Pairs = ()
    """The headers as they came."""

    @property
    def headers(self) -> dict[str, str]:
        """The headers, names in lower case, repeated ones joined by a comma; made anew at each look."""
        return joined(self.received)


class UpstreamStream(Protocol):
    """A reply whose head has come and whose body is coming. Close it, best by `async with`."""

    @property
    def status(self) -> int:
        """The status of the reply."""
        ...

    @property
    def headers(self) -> dict[str, str]:
        """The headers, names in lower case, repeated ones joined by a comma."""
        ...

    @property
    def head_us(self) -> int:
        """Microseconds from the call until the head had come."""
        ...

    async def read(self) -> bytes:
        """Give what has arrived, waiting for the next piece only if there is nothing; `b""` at the proper end.

        Raises `OutcomeUnknown`, `Stalled` or `ReplyTooLarge`, after all that came before was given.
        """
        ...

    async def pour(self, tap: Callable[[bytes], bool]) -> None:
        """Hand pieces to `tap` as soon as they come, and return when there is something to `read`.

        That is also what the tap did not take, saying False; what the tap raises is raised. It may hand on nothing.
        """
        ...

    async def read_all(self) -> bytes:
        """Give the whole rest at once. Raises as `read` does."""
        ...

    async def aclose(self) -> None:
        """Leave: unless the body is complete, the connection is closed at once, so that the vendor sees it."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class UpstreamClient(Protocol):
    """The way to vendors."""

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        """Send once and read the whole reply. Raises `NotSent`, `OutcomeUnknown` or `ReplyTooLarge`."""
        ...

    async def open(self, request: UpstreamRequest) -> UpstreamStream:
        """Send once and return when the head of the reply has come. Raises `NotSent` or `OutcomeUnknown`."""
        ...

    def prepare(self, request: UpstreamRequest) -> Prepared:
        """Spell all but body and length of a request that has a body; a given one is not looked at.

        Worth it for what is sent again and again. Raises `NotSent` for what is malformed.
        """
        ...

    def begin(self, prepared: Prepared, body: bytes) -> "asyncio.Future[WholeReply] | None":
        """Write the request on an idle connection now, and give the future of its whole reply.

        None, and nothing written, where there is no idle connection or no room: then `open` it. The future raises
        `OutcomeUnknown`, `Stalled` or `ReplyTooLarge`; cancelled, it closes the connection at once, as who leaves does.
        """
        ...

    async def aclose(self) -> None:
        """Close all connections; requests on the way fail."""
        ...
