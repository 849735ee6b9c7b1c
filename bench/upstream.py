"""The vendor of the bench: answers chats, embeddings and image orders with fixed bytes, at the least cost.

Run as a process of its own on the load's core; it prints the port that it listens on. What it answered is told at
`/bench/stats`, which the books are compared with. It checks no key and keeps no order.
"""

import argparse
import asyncio
import gc
import json
import sys
import time
from collections import Counter
from functools import cache
from typing import cast

import httptools
import uvloop

from bench import bodies

_CHAT, _EMBEDDINGS, _POLL, _STATS, _HEALTH = (
    b"/v1/chat/completions",
    b"/v1/embeddings",
    b"/v1/get_result",
    b"/bench/stats",
    b"/health",
)
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
    b"x-accel-buffering: no\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
_LARGE, _HOLD = bodies.LARGE_MARK.encode(), bodies.HOLD_MARK.encode()
_BACKLOG = 8_192


def whole(body: bytes, kind: bytes = b"application/json", status: bytes = b"200 OK") -> bytes:
    """A whole answer as it goes over the wire."""
    return b"HTTP/1.1 %b\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n%b" % (status, kind, len(body), body)


def piece(data: bytes) -> bytes:
    """One piece of a chunked answer."""
    return b"%x\r\n%b\r\n" % (len(data), data)


@cache
def replies() -> dict[str, bytes]:
    """The answers that never change."""
    return {
        "chat": whole(bodies.chat_reply()),
        "large": whole(bodies.chat_reply(bodies.LARGE_REPLY_BYTES)),
        "embeddings": whole(bodies.embedding_reply()),
        "health": whole(b"{}"),
        "missing": whole(b'{"error":{"message":"no such path"}}', status=b"404 Not Found"),
        "last": piece(bodies.last_events()) + b"0\r\n\r\n",
    }


class Vendor(asyncio.Protocol):
    """One connection."""

    def __init__(self, counts: Counter[str], base_url: list[bytes]) -> None:
        self._counts = counts
        self._base_url = base_url
        self._url = b""
        self._body: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._replies = replies()
        self._frame = bodies.chunk_frame()

    # --- the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Of a TCP server it is one, though uvloop's class does not say so.
        self._transport = cast("asyncio.Transport", transport)
        self._parser = httptools.HttpRequestParser(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the loop calls it so
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._transport.close()
            if isinstance(error, httptools.HttpParserCallbackError):
                raise

    # --- the parser

    def on_url(self, url: bytes) -> None:
        self._url = url

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        url, body = self._url, self._body
        self._url, self._body = b"", []
        if url == _CHAT:
            self._chat(body[0] if len(body) == 1 else b"".join(body))
        elif url == _EMBEDDINGS:
            self._answer("embeddings")
        elif url.startswith(_POLL):
            self._poll(url)
        elif url.startswith(b"/v1/flux"):
            self._order()
        elif url == _STATS:
            self._transport.write(whole(json.dumps(self._counts).encode()))
        else:
            self._transport.write(self._replies["health" if url == _HEALTH else "missing"])

    # --- the answers

    def _answer(self, kind: str) -> None:
        self._counts[kind] += 1
        self._transport.write(self._replies[kind])

    def _chat(self, body: bytes) -> None:
        if b'"stream":true' in body or b'"stream": true' in body:
            self._counts["streams"] += 1
            self._stream(silent=_HOLD in body)
        else:
            self._answer("large" if _LARGE in body else "chat")

    def _order(self) -> None:
        self._counts["orders"] += 1
        task = b"00000000-0000-4000-8000-%012x" % self._counts["orders"]
        url = b"%b/v1/get_result?id=%b" % (self._base_url[0], task)
        self._transport.write(whole(b'{"id":"%b","polling_url":"%b"}' % (task, url)))

    def _poll(self, url: bytes) -> None:
        self._counts["polls"] += 1
        task = url.partition(b"id=")[2]
        state = b'{"id":"%b","status":"Pending","result":null,"progress":0.1,"details":null,"preview":null}' % task
        self._transport.write(whole(state))

    def _stream(self, *, silent: bool) -> None:
        self._transport.write(_STREAM_HEAD + self._chunk())
        if not silent:
            self._timer = self._loop.call_later(bodies.CHUNK_EVERY_S, self._tick, bodies.CHUNKS - 1)

    def _tick(self, left: int) -> None:
        if self._transport.is_closing():
            return
        if left:
            self._transport.write(self._chunk())
            self._timer = self._loop.call_later(bodies.CHUNK_EVERY_S, self._tick, left - 1)
        else:
            self._counts["streams_ended"] += 1
            self._timer = None
            self._transport.write(self._replies["last"])

    def _chunk(self) -> bytes:
        before, after = self._frame
        return b"%x\r\n%b%019d%b\r\n" % (bodies.CHUNK_BYTES, before, time.monotonic_ns(), after)


async def serve(port: int) -> None:
    """Serve on loopback until cancelled."""
    counts: Counter[str] = Counter()
    base_url = [b""]
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Vendor(counts, base_url), "127.0.0.1", port, backlog=_BACKLOG)
    bound = server.sockets[0].getsockname()[1]
    base_url[0] = b"http://127.0.0.1:%d" % bound
    sys.stdout.write(f"{bound}\n")
    sys.stdout.flush()
    gc.collect()
    gc.freeze()
    async with server:
        await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    arguments = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(arguments.port))


if __name__ == "__main__":
    main()
