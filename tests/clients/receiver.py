"""A server that takes what is posted to it and keeps it."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from typing import Self

import msgspec

ARRIVAL_S_MAX = 20


class Posted(msgspec.Struct, frozen=True, kw_only=True):
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Receiver:
    """`with Receiver() as receiver:` listens at `url`; every path answers 200."""

    def __init__(self) -> None:
        self._queue: Queue[Posted] = Queue()
        queue = self._queue

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", "0")))
                headers = {name.lower(): value for name, value in self.headers.items()}
                queue.put(Posted(method=self.command, path=self.path, headers=headers, body=body))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            do_GET = do_POST  # noqa: N815 - the standard library's name

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
                del format, args

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def next(self) -> Posted:
        """Give the next request, waiting for it."""
        return self._queue.get(timeout=ARRIVAL_S_MAX)

    @property
    def waiting(self) -> int:
        """How many came that nobody has looked at."""
        return self._queue.qsize()
