"""Loopback servers that misbehave to order, byte by byte, and count what they were sent."""

import asyncio
import contextlib
import re
import socket
import ssl
import struct
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter
Behaviour = Callable[[Reader, Writer], Awaitable[None]]


class Server:
    """One listening server; `requests` are the heads and bodies that came in, `connections` how many were opened."""

    def __init__(self, make: "Callable[[Server], Behaviour]") -> None:
        self._behaviour = make(self)
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[Writer] = []
        self.requests: list[bytes] = []
        self.connections = 0
        self.port = 0
        self.scheme = "http"

    @property
    def origin(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    async def handle(self, reader: Reader, writer: Writer) -> None:
        self.connections += 1
        self._writers.append(writer)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._behaviour(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client may leave at any moment, and so may the test
        finally:
            self._tasks.discard(task)
            writer.close()

    async def read(self, reader: Reader) -> bytes:
        """Read one whole request and keep it."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?im)^content-length: *(\d+)", head)
        body = await reader.readexactly(int(length.group(1))) if length else b""
        self.requests.append(head + body)
        return head

    async def stop(self) -> None:
        """Leave no task and no transport behind for the loop to complain of."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.sleep(0)
        await asyncio.sleep(0)


@asynccontextmanager
async def serving(
    make: Callable[[Server], Behaviour], tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncGenerator[Server, None]:
    """Serve until the block ends; `make` gets the server, so that its behaviour can count."""
    server = Server(make)
    server.scheme = "http" if tls is None else "https"
    listening = await asyncio.start_server(server.handle, host, 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        await server.stop()


def answering(*replies: bytes) -> Callable[[Server], Behaviour]:
    """Answer one request after another on a connection with these bytes, then close it."""

    def make(server: Server) -> Behaviour:
        async def behave(reader: Reader, writer: Writer) -> None:
            for reply in replies:
                await server.read(reader)
                writer.write(reply)
                await writer.drain()

        return behave

    return make


class Peer:
    """The server's end of one connection, in the hands of the test."""

    def __init__(self, server: Server, reader: Reader, writer: Writer) -> None:
        self._server = server
        self._reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def chunk(self, data: bytes) -> None:
        await self.send(b"%x\r\n%s\r\n" % (len(data), data))

    async def next_request(self) -> None:
        await self._server.read(self._reader)

    async def gone(self) -> None:
        """Return when the client has closed the connection, which must be soon."""
        async with asyncio.timeout(1.0):
            with contextlib.suppress(ConnectionError):  # a reset is a way to go, too
                while await self._reader.read(65_536):
                    pass

    def reset(self) -> None:
        raw: socket.socket = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


def handing(peers: "asyncio.Queue[Peer]", *, read: bool = True) -> Callable[[Server], Behaviour]:
    """Hand each connection to the test, by default when its first request has been read."""

    def make(server: Server) -> Behaviour:
        async def behave(reader: Reader, writer: Writer) -> None:
            if read:
                await server.read(reader)
            peers.put_nowait(Peer(server, reader, writer))
            await asyncio.Event().wait()

        return behave

    return make


def routing(routes: dict[str, bytes]) -> Callable[[Server], Behaviour]:
    """Answer by path."""

    def make(server: Server) -> Behaviour:
        async def behave(reader: Reader, writer: Writer) -> None:
            head = await server.read(reader)
            writer.write(routes.get(head.split()[1].decode(), reply(b"", status="404 Not Found")))
            await writer.drain()

        return behave

    return make


def reply(body: bytes, *, status: str = "200 OK", headers: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode("latin-1") + body


def redirect(location: str) -> bytes:
    return reply(b"", status="302 Found", headers=f"Location: {location}\r\n")


def closing_unread(server: Server) -> Behaviour:
    del server

    async def behave(reader: Reader, writer: Writer) -> None:
        del reader
        writer.close()

    return behave


def resetting(server: Server) -> Behaviour:
    async def behave(reader: Reader, writer: Writer) -> None:
        await server.read(reader)
        raw: socket.socket = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    return behave


def silent(server: Server) -> Behaviour:
    async def behave(reader: Reader, writer: Writer) -> None:
        del writer
        await server.read(reader)
        await asyncio.Event().wait()

    return behave


def deaf(server: Server) -> Behaviour:
    """Accept, and neither read nor answer: a TLS handshake with it never ends."""
    del server

    async def behave(reader: Reader, writer: Writer) -> None:
        del reader, writer
        await asyncio.Event().wait()

    return behave


def stalling(head_and_a_part: bytes) -> Callable[[Server], Behaviour]:
    def make(server: Server) -> Behaviour:
        async def behave(reader: Reader, writer: Writer) -> None:
            await server.read(reader)
            writer.write(head_and_a_part)
            await writer.drain()
            await asyncio.Event().wait()

        return behave

    return make


def endless(server: Server) -> Behaviour:
    """A chunked body without an end."""

    async def behave(reader: Reader, writer: Writer) -> None:
        await server.read(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"2000\r\n" + bytes(0x2000) + b"\r\n")
            await writer.drain()

    return behave


@contextmanager
def refused_port() -> Generator[int, None, None]:
    """A port that nobody listens on, kept from others meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@contextmanager
def full_backlog() -> Generator[int, None, None]:
    """A port whose queue is full: a connect neither succeeds nor fails."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        try:
            yield listener.getsockname()[1]
        finally:
            for one in waiting:
                one.close()


@contextmanager
def serving_on_a_thread(make: Callable[[Server], Behaviour]) -> Generator[Server, None, None]:
    """Serve from another loop, so that the server acts while the test's own loop is busy."""
    server = Server(make)
    ready = threading.Event()
    stop: list[Callable[[], None]] = []

    async def run() -> None:
        listening = await asyncio.start_server(server.handle, "127.0.0.1", 0)
        server.port = listening.sockets[0].getsockname()[1]
        finished = asyncio.Event()
        loop = asyncio.get_running_loop()
        stop.append(lambda: loop.call_soon_threadsafe(finished.set) and None)
        ready.set()
        await finished.wait()
        listening.close()
        await server.stop()

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    assert ready.wait(5)
    try:
        yield server
    finally:
        stop[0]()
        thread.join(5)
