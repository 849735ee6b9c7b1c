"""Receives callers' webhooks, in a thread of the test process."""

import json
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

import msgspec

LATE = "late"
"""Below this path the first attempt of each message is refused."""


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt that was taken."""

    id: str
    """`webhook-id`, by which a receiver drops what it has had."""
    tag: str
    """Which order it tells of; from the path that the order named."""
    body: dict[str, Any]


class Receiver:
    """Listens from the start until `close`."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._received: list[Received] = []
        self._attempts: Counter[str] = Counter()
        self._server = _Server(self)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()

    def received(self) -> list[Received]:
        with self._lock:
            return list(self._received)

    def take(self, path: str, identity: str, body: bytes) -> int:
        """Write down an attempt and give the status to answer with."""
        *folders, tag = path.strip("/").split("/")
        with self._lock:
            self._attempts[identity] += 1
            if LATE in folders and self._attempts[identity] == 1:
                return 500
            self._received.append(Received(id=identity, tag=tag, body=json.loads(body)))
        return 200

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        assert isinstance(self.server, _Server)
        body = self.rfile.read(int(self.headers["content-length"]))
        status = self.server.receiver.take(self.path, self.headers["webhook-id"] or "", body)
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""
