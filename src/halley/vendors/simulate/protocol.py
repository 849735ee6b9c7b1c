"""Uvicorn's HTTP/1.1 protocol that lets the app reset or close its connection. Imported only when a server starts."""

import asyncio
import logging
import socket
import struct
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from http import HTTPStatus
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.http11 import Request

from halley.vendors.simulate.asgi import ABORT_EXTENSION, CLOSE_EXTENSION, AsgiApp

CONNECTIONS_MAX = 10_000
KEEP_ALIVE_S = 75
BACKLOG = 2_048
STOP_GRACE_S = 0.5

_LINGER_ZERO = struct.pack("ii", 1, 0)

Serving = Callable[[AsgiApp, socket.socket], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def serving(app: AsgiApp, listening: socket.socket) -> AsyncGenerator[None]:
    """Answer what comes to a listening socket; on leaving, let requests in flight end for a moment, then cut them."""
    config = _quiet_config(app)
    state = ServerState()

    def connect() -> AbortableProtocol:
        return AbortableProtocol(config, state, {})

    server = await asyncio.get_running_loop().create_server(connect, sock=listening, backlog=BACKLOG)
    try:
        yield
    finally:
        server.close()
        await _drain(state)


class AbortableProtocol(HttpToolsProtocol):
    """Offers `halley.abort` and `halley.close` in `scope["extensions"]`, and logs to our own logger only."""

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any]) -> None:
        super().__init__(config, server_state, app_state)
        self.logger = logging.getLogger("halley.simulate.http")
        self.access_log = False

    def on_message_begin(self) -> None:
        """Put the ways to end the connection into the scope of each request."""
        super().on_message_begin()
        ways = {ABORT_EXTENSION: self.abort, CLOSE_EXTENSION: self.close}
        cast("dict[str, Any]", self.scope)["extensions"] = ways

    def abort(self) -> None:
        """Close at once, by RST."""
        _reset(self.transport)

    def close(self) -> None:
        """Send what was written, then FIN, however much of the reply is missing."""
        self.transport.close()


class AbortableWebSocket(WebSocketsSansIOProtocol):
    """Offers `halley.abort` to the app of a websocket, and logs to our own logger only."""

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any]) -> None:
        super().__init__(config, server_state, app_state)
        self.logger = logging.getLogger("halley.simulate.http")

    def handle_connect(self, event: Request) -> None:
        """Put the way to end the connection into the scope, before the app begins to run."""
        super().handle_connect(event)
        if self.response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
            cast("dict[str, Any]", self.scope)["extensions"][ABORT_EXTENSION] = self.abort

    async def send(self, message: Any) -> None:
        """Count a denial as the end of the handshake, which uvicorn forgets and then logs as an error."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body":
            self.handshake_complete = True

    def abort(self) -> None:
        """Close at once, by RST, without a closing handshake."""
        _reset(self.transport)


def _reset(transport: asyncio.Transport) -> None:
    """Without lingering the kernel sends RST instead of FIN and drops what is unsent."""
    connection: socket.socket | None = transport.get_extra_info("socket")
    if connection is not None and connection.fileno() >= 0:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
    transport.abort()


class _QuietConfig(Config):
    """A configuration that leaves the process's loggers as they are; the gateway may run uvicorn beside us."""

    def configure_logging(self) -> None:
        """Nothing."""


def _quiet_config(app: AsgiApp) -> Config:
    """How simulators are served: no lifespan, no headers of the server's own."""
    config = _QuietConfig(
        cast("Any", app),
        http=AbortableProtocol,
        ws=AbortableWebSocket,
        lifespan="off",
        proxy_headers=False,
        interface="asgi3",
        timeout_keep_alive=KEEP_ALIVE_S,
        limit_concurrency=CONNECTIONS_MAX,
    )
    config.load()
    return config


async def _drain(state: ServerState) -> None:
    for connection in list(state.connections):
        connection.shutdown()
    await _wait_for(state.tasks)
    for connection in list(state.connections):
        # Uvicorn's type names all its protocols; ours are the only ones here.
        cast("AbortableProtocol | AbortableWebSocket", connection).abort()
    await _wait_for(state.tasks)
    for task in list(state.tasks):
        task.cancel()


async def _wait_for(tasks: set[asyncio.Task[None]]) -> None:
    if tasks:
        await asyncio.wait(list(tasks), timeout=STOP_GRACE_S)
