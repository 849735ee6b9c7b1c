"""HTTP/1.1: the protocol that uvicorn's server runs for each connection. It knows ASGI, and nothing of our API."""

from halley.server.door import Door
from halley.server.exchange import EXTENSION, Exchange, NativeApp
from halley.server.head import Head
from halley.server.protocol import HttpProtocol

__all__ = ["EXTENSION", "Door", "Exchange", "Head", "HttpProtocol", "NativeApp"]
