"""How uvicorn serves our websockets: `websockets` without its own I/O, bounded frames, pings, no compression."""

import logging
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.http11 import Request

from halley.api.websocket import ABORT_EXTENSION
from halley.server.head import encode_headers, plain_answer
from halley.upstream.websocket import FRAME_BYTES_MAX

REFUSED_S_MAX = 10.0
"""For so long a caller may go on sending what was refused, before the connection is dropped."""
SILENCE_S = 1.0
"""Who sends no more of it for so long has sent all."""
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
        self._refused_until_s = 0.0
        """When a caller whose frame was refused is dropped; 0 for none."""

    def data_received(self, data: bytes) -> None:
        """Read on; the first bytes are a whole head, and one that cannot be read is answered, which uvicorn forgets."""
        if self._refused_until_s:
            self._close_after_silence()  # this is the rest of what was refused
            return
        super().data_received(data)
        if not self.handshake_initiated and not self.close_sent:
            # Set as for a head that was read and refused: else a stop would answer it once more.
            self.handshake_complete = self.close_sent = True
            told = b"".join(self.conn.data_to_send())
            self.transport.write(told or plain_answer(_BAD_REQUEST, encode_headers(self.default_headers)))
            self.transport.close()

    def handle_parser_exception(self) -> None:
        """Close for what cannot be taken, e.g. a frame that is too large, once its sender can have read why.

        uvicorn closes at once: what is still on its way then makes the system drop the connection, and the closing
        frame with it.
        """
        told = self.conn.close_sent
        assert told is not None, "what cannot be parsed is told in a closing frame"
        self.stop_keepalive()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": told.code, "reason": told.reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = self.disconnected = True
        self._refused_until_s = self.loop.time() + REFUSED_S_MAX
        self._close_after_silence()

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

    def _close_after_silence(self) -> None:
        if self.close_timer is not None:
            self.close_timer.cancel()
        left_s = max(0.0, self._refused_until_s - self.loop.time())
        self.close_timer = self.loop.call_later(min(SILENCE_S, left_s), self.transport.close)


def websocket_options() -> dict[str, Any]:
    """Give what `uvicorn.Config` must be told."""
    return {
        "ws": WebSocketProtocol,
        "ws_max_size": FRAME_BYTES_MAX,
        "ws_ping_interval": PING_S,
        "ws_ping_timeout": PING_S,
        "ws_per_message_deflate": False,
    }
