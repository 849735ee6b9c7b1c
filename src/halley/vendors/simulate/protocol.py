"""Uvicorn's HTTP/1.1 protocol that lets the app reset its connection. Imported only when a server starts."""

import asyncio
import logging
import socket
import struct
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from halley.vendors.simulate.asgi import ABORT_EXTENSION, AsgiApp

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
    """Offers `scope["extensions"]["halley.abort"]`, and logs to our own logger only."""

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any]) -> None:
        super().__init__(config, server_state, app_state)
        self.logger = logging.getLogger("halley.simulate.http")
        self.access_log = False

    def on_message_begin(self) -> None:
        """Put the way to abort into the scope of each request."""
        super().on_message_begin()
        cast("dict[str, Any]", self.scope)["extensions"] = {ABORT_EXTENSION: self.abort}

    def abort(self) -> None:
        """Close at once; without lingering the kernel sends RST instead of FIN and drops what is unsent."""
        connection: socket.socket | None = self.transport.get_extra_info("socket")
        if connection is not None and connection.fileno() >= 0:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        self.transport.abort()


class _QuietConfig(Config):
    """A configuration that leaves the process's loggers as they are; the gateway may run uvicorn beside us."""

    def configure_logging(self) -> None:
        """Nothing."""


def _quiet_config(app: AsgiApp) -> Config:
    """How simulators are served: no lifespan, no websockets, no headers of the server's own."""
    config = _QuietConfig(
        cast("Any", app),
        http=AbortableProtocol,
        ws="none",
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
        # Uvicorn's type names all its protocols; ours is the only one here.
        cast("AbortableProtocol", connection).abort()
    await _wait_for(state.tasks)
    for task in list(state.tasks):
        task.cancel()


async def _wait_for(tasks: set[asyncio.Task[None]]) -> None:
    if tasks:
        await asyncio.wait(list(tasks), timeout=STOP_GRACE_S)
