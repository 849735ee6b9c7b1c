"""What becomes of a request that asks for another protocol: websocket is handed over, all others are declined."""

import asyncio
from collections.abc import Sequence
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from halley.server.head import Header


class Upgrade:
    """The head of such a request, kept until the parser has stopped behind it."""

    def __init__(self, method: bytes, target: bytes, version: str, headers: Sequence[Header]) -> None:
        self._line = b"%b %b HTTP/%b\r\n" % (method, target, version.encode("ascii"))
        self._headers = headers

    def declined(self) -> bytes:
        """Give the head without the wish: the parser took what follows for another protocol, be it a body."""
        return self._head([header for header in self._headers if header[0] != b"upgrade"])

    def has_body(self) -> bool:
        """Whether a body was announced, which a handshake of websocket must not have."""
        return any(
            name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
            for name, value in self._headers
        )

    def hand_over(
        self, transport: asyncio.Transport, config: Config, state: ServerState, app_state: dict[str, Any]
    ) -> None:
        """Let uvicorn's websocket protocol read the same head and go on alone."""
        make: Any = config.ws_protocol_class
        protocol = make(config=config, server_state=state, app_state=app_state)
        protocol.connection_made(transport)
        protocol.data_received(self._head(self._headers))
        transport.set_protocol(protocol)

    def _head(self, headers: Sequence[Header]) -> bytes:
        return b"".join((self._line, *(b"%b: %b\r\n" % header for header in headers), b"\r\n"))
