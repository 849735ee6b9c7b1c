"""Websockets to vendors: one connection, text frames both ways, and a typed error for a connection that did not come.

It follows no redirect, keeps no cookie, reads no proxy from the environment and asks for no compression. aiohttp does
the work (`websocket_hop`), imported at the first connection: it costs memory that an idle gateway does not need.
"""

import asyncio
from collections.abc import Mapping
from typing import Protocol

import msgspec

from halley.upstream import late
from halley.upstream.errors import OutcomeUnknown

DENIAL_BYTES_MAX = 64 * 1024
FRAME_BYTES_MAX = 24 * 1024 * 1024
"""Of an event either way: 15 MiB of sound as base64, with room to spare."""
PING_S = 20.0
"""A server that is silent for so long is asked whether it is there; half of it later the connection is lost."""
SEND_S_MAX = 15.0
"""A server that takes no frame for so long counts as lost. Below the time in which pings must be answered, since who
waits here reads no answers to them."""
CLOSE_S_MAX = 2.0
TOO_LARGE = 1009
ABNORMAL = 1006
"""What stands for an end without a closing frame; it is never sent."""
_HOP = "halley.upstream.websocket_hop"


class SocketRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Where to connect, as `http…` or `ws…`, and how long that may take."""

    url: str
    headers: tuple[tuple[str, str], ...] = ()
    connect_timeout_s: float
    upgrade_timeout_s: float
    """For the whole handshake."""
    frame_bytes_max: int = FRAME_BYTES_MAX
    ping_s: float = PING_S


class Denied(msgspec.Struct, frozen=True, kw_only=True):
    """The server answered the handshake with something else than an upgrade. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Closed(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a connection: the code of the closing frame, `ABNORMAL` where none came, None where it had none."""

    code: int | None
    reason: str = ""

    @property
    def lost(self) -> bool:
        """Whether the other side is gone without a word."""
        return self.code == ABNORMAL


class Unreadable(msgspec.Struct, frozen=True, kw_only=True):
    """A frame that is no text."""


class UpstreamSocket(Protocol):
    """An open connection. One reader at a time; frames of several writers go whole. Whoever takes it must close it."""

    async def receive(self) -> str | Unreadable | Closed:
        """Give the next frame, or the end; after the end nothing comes. Pings are answered on the way."""
        ...

    async def send(self, text: str) -> None:
        """Send a frame, waiting while the server is slow. Raises `OutcomeUnknown` when the connection is lost."""
        ...

    async def aclose(self, code: int = 1000, reason: str = "") -> None:
        """Close, whether or not the server still answers. May be called again."""
        ...


async def open_socket(request: SocketRequest) -> UpstreamSocket | Denied:
    """Connect. Raises `NotSent`, and `OutcomeUnknown` when the server was reached but gave no readable answer."""
    await late.ready(_HOP)  # A tenth of a second of imports
    from halley.upstream import websocket_hop

    try:
        async with asyncio.timeout(request.upgrade_timeout_s):
            return await websocket_hop.connect(request)
    except TimeoutError as error:
        raise OutcomeUnknown(f"no upgrade to a websocket within {request.upgrade_timeout_s:g} s") from error
