"""How uvicorn serves our websockets: `websockets` without its own I/O, bounded frames, pings, no compression."""

import logging
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.http11 import Request

from halley.api.websocket import ABORT_EXTENSION
from halley.server.head import encode_headers, plain_answer

FRAME_BYTES_MAX = 16 * 1024 * 1024
PING_S = 20.0
"""A caller is asked whether it is there so often, and has left when it does not answer within the same time."""
_BAD_REQUEST = 400
_LOGGER = "uvicorn.websocket"
"""Below uvicorn's own, which is set to warnings: at `info` it would log addresses with their query, and so keys."""


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """Offers `halley.abort` to the app, and takes a refused handshake for what it is."""

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any]) -> None:
        super().__init__(config, server_state, app_state)
        self.logger = logging.getLogger(_LOGGER)

    def data_received(self, data: bytes) -> None:
        """Read on; the first bytes are a whole head, and one that cannot be read is answered, which uvicorn forgets."""
        super().data_received(data)
        if not self.handshake_initiated and not self.close_sent:
            # Set as for a head that was read and refused: else a stop would answer it once more.
            self.handshake_complete = self.close_sent = True
            told = b"".join(self.conn.data_to_send())
            self.transport.write(told or plain_answer(_BAD_REQUEST, encode_headers(self.default_headers)))
            self.transport.close()

    def handle_connect(self, event: Request) -> None:
        """Put the way to drop the connection into the scope, before the app begins to run."""
        super().handle_connect(event)
        if hasattr(self, "scope"):
            cast("dict[str, Any]", self.scope)["extensions"][ABORT_EXTENSION] = self.transport.abort

    async def send(self, message: Any) -> None:
        """Count a denial as the end of the handshake, which uvicorn forgets and then logs as an error."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body":
            self.handshake_complete = True


def websocket_options() -> dict[str, Any]:
    """Give what `uvicorn.Config` must be told."""
    return {
        "ws": WebSocketProtocol,
        "ws_max_size": FRAME_BYTES_MAX,
        "ws_ping_interval": PING_S,
        "ws_ping_timeout": PING_S,
        "ws_per_message_deflate": False,
    }
