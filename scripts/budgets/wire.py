"""Connections without a socket: the caller's end of one to the server, and the vendor's end of one to the client."""

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

PIECE_BYTES = 64 * 1024
_TURNS_BETWEEN = 20
"""Of the loop, between two pieces: time enough to pass one on before the next one comes."""
_QUIET_LOOKS = 3
_LAST_CHUNK = b"0\r\n\r\n"
_ADDRESSES = {"sockname": ("127.0.0.1", 8_000), "peername": ("127.0.0.1", 50_000)}

Pieces = Sequence[bytes]


class Wire(asyncio.Transport):
    """One connection, as the gateway's end of it sees it."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self.protocol = protocol
        self.closed = False

    def is_closing(self) -> bool:
        return self.closed

    def abort(self) -> None:
        self.close()

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def pause_reading(self) -> None:
        """Nothing comes faster than it is read."""

    def resume_reading(self) -> None:
        """Nothing was held back."""

    def can_write_eof(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing is ever held back."""


class CallerWire(Wire):
    """A caller's connection, kept alive from call to call."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__(protocol)
        self._answer = b""
        self._waiting: asyncio.Future[bytes] | None = None

    async def ask(self, request: bytes) -> bytes:
        """Send a request, and give the whole answer, head and body as they came."""
        loop = asyncio.get_running_loop()
        self._answer = b""
        self._waiting = loop.create_future()
        loop.call_soon(self.protocol.data_received, request)
        return await self._waiting

    def write(self, data: Any) -> None:
        self._answer += bytes(data)
        head, end, body = self._answer.partition(b"\r\n\r\n")
        if end and self._waiting is not None and not self._waiting.done() and _is_whole(head, body):
            self._waiting.set_result(self._answer)

    def close(self) -> None:
        super().close()
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(self._answer)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return _ADDRESSES.get(name, default)


class Vendors:
    """Answers by the path of a request. While `holding`, replies wait until they are let go."""

    def __init__(self, loop: asyncio.AbstractEventLoop, settle: Callable[[], None]) -> None:
        self._loop = loop
        self._settle = settle
        self._replies: dict[bytes, Pieces] = {}
        self._held: deque[tuple[VendorWire, Pieces]] = deque()
        self.holding = False

    def answer(self, replies: Mapping[str, Pieces]) -> None:
        """Answer these paths from now on."""
        self._replies = {path.encode(): pieces for path, pieces in replies.items()}

    def connect(self, protocol: asyncio.Protocol, raw: Any) -> "VendorWire":
        """Give the transport of a new connection."""
        return VendorWire(self, protocol, raw)

    @property
    def held(self) -> int:
        """How many replies wait."""
        return len(self._held)

    def let_go(self) -> None:
        """Send the replies that wait."""
        while self._held:
            wire, pieces = self._held.popleft()
            self._loop.call_soon(wire.deliver, pieces)

    def ask(self, wire: "VendorWire", path: bytes) -> None:
        """Answer a request."""
        pieces = self._replies[path.partition(b"?")[0]]
        if self.holding:
            self._held.append((wire, pieces))
            return
        self._answer_when_quiet(wire, pieces, _QUIET_LOOKS)

    def _answer_when_quiet(self, wire: "VendorWire", pieces: Pieces, looks: int) -> None:
        """Answer when no thread does anything any more: so each count comes out the same."""
        self._settle()
        if looks:
            self.later(self._answer_when_quiet, wire, pieces, looks - 1)
        else:
            wire.deliver(pieces)

    def later(self, step: Callable[..., None], *arguments: Any, turns: int = _TURNS_BETWEEN) -> None:
        """Do something after some turns of the loop."""
        if turns:
            self._loop.call_soon(lambda: self.later(step, *arguments, turns=turns - 1))
        else:
            step(*arguments)


class VendorWire(Wire):
    """A connection to a vendor. Requests are small and come in one or two writes."""

    def __init__(self, vendors: Vendors, protocol: asyncio.Protocol, raw: socket.socket) -> None:
        super().__init__(protocol)
        self._vendors = vendors
        self._raw = raw
        self._written = b""

    def write(self, data: Any) -> None:
        self._written += bytes(data)
        head, end, body = self._written.partition(b"\r\n\r\n")
        if end and _is_whole(head, body):
            self._written = b""
            self._vendors.ask(self, head.split(b" ", 2)[1])

    def deliver(self, pieces: Pieces) -> None:
        """Give the first piece, and the others later."""
        if not self.closed:
            self.protocol.data_received(pieces[0])
            if pieces[1:]:
                self._vendors.later(self.deliver, pieces[1:])

    def close(self) -> None:
        super().close()
        self._raw.close()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._raw if name == "socket" else default


def whole(body: bytes) -> Pieces:
    """A reply in as many pieces as the network would make of it."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
    data = head + body
    return [data[start : start + PIECE_BYTES] for start in range(0, len(data), PIECE_BYTES)]


def streamed(events: Sequence[bytes]) -> Pieces:
    """A stream: the head, then one chunk of HTTP for each event, then the end."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    return [head, *(b"%x\r\n%b\r\n" % (len(event), event) for event in events), _LAST_CHUNK]


def _is_whole(head: bytes, body: bytes) -> bool:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return len(body) >= int(value)
        if name.lower() == b"transfer-encoding":
            return body.endswith(_LAST_CHUNK)
    return True
