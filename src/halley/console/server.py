"""The server's side of the local socket: commands of the command line run in the process that owns the data."""

import asyncio
import contextlib
import socket
from pathlib import Path

import msgspec

from halley.console.address import address
from halley.console.commands import run_command
from halley.console.protocol import REQUEST_BYTES_MAX, CommandFailed, Line, Problem, Request, Step
from halley.console.services import Services

CONNECTIONS_MAX = 16
REQUEST_TIMEOUT_S = 5.0
WRITE_TIMEOUT_S = 30.0
COMMAND_TIMEOUT_S = 3_600.0
STOP_GRACE_S = 5.0
HEARTBEAT_S = 15.0
"""A command that is silent for this long gets its last progress told again, so that the client does not give up."""
SOCKET_MODE = 0o600

_request = msgspec.json.Decoder(Request)


class ConsoleServer:
    """`start()` listens at `path`, for our own user only; `stop()` lets running commands end, then cuts them."""

    def __init__(self, path: Path, services: Services) -> None:
        self._path = path
        self._services = services
        self._server: asyncio.Server | None = None
        self._handlers: set[asyncio.Task[None]] = set()

    async def start(self) -> bool:
        """Begin to listen. False if another process answers there already (replicas that share a folder): it stays."""
        assert self._server is None, "the console's socket was started before"
        listening = await asyncio.to_thread(_listen, self._path)
        if listening is None:
            return False
        self._server = await asyncio.start_unix_server(self._connected, sock=listening, limit=REQUEST_BYTES_MAX)
        return True

    async def stop(self) -> None:
        """Take no more commands and wait for those that run. May be called twice."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        await asyncio.to_thread(self._path.unlink, missing_ok=True)
        if self._handlers:
            _, late = await asyncio.wait(self._handlers, timeout=STOP_GRACE_S)
            for handler in late:
                handler.cancel()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handler = asyncio.current_task()
        assert handler is not None
        self._handlers.add(handler)
        try:
            await self._serve(reader, writer)
        except (ConnectionError, TimeoutError):
            # The client has gone; what it asked for is done or undone as a whole, and it was told to look.
            return
        finally:
            self._handlers.discard(handler)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._handlers) > CONNECTIONS_MAX:
            await _send(writer, Line(error=Problem(code="busy", message="Too many commands run at once; try again")))
            return
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                request = _request.decode(await reader.readuntil(b"\n"))
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, msgspec.MsgspecError) as error:
            await _send(writer, Line(error=Problem(code="invalid_request", message=f"This is no command: {error}")))
            return
        await _send(writer, await self._answer(request, writer))

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> Line:
        steps = _Steps(writer)
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT_S), steps:
                return Line(result=await run_command(self._services, request, steps.tell))
        except CommandFailed as failure:
            return Line(error=failure.problem)
        except TimeoutError:
            return Line(error=Problem(code="timeout", message=f"`{request.command}` took too long and was stopped"))
        except Exception as error:
            message = f"`{request.command}` failed with {type(error).__name__}; the server's log has the details"
            await _send(writer, Line(error=Problem(code="internal_error", message=message)))
            raise


class _Steps:
    """Passes progress on to the client, and repeats the last when nothing comes."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        self._last = Step(done=0, total=0)
        self._beat: asyncio.TimerHandle | None = None

    def tell(self, step: Step) -> None:
        """Pass one on; from any thread."""
        self._loop.call_soon_threadsafe(self._pass_on, step)

    async def __aenter__(self) -> None:
        self._beat = self._loop.call_later(HEARTBEAT_S, self._repeat)

    async def __aexit__(self, *_: object) -> None:
        if self._beat is not None:
            self._beat.cancel()
            self._beat = None

    def _repeat(self) -> None:
        self._beat = self._loop.call_later(HEARTBEAT_S, self._repeat)
        self._pass_on(self._last)

    def _pass_on(self, step: Step) -> None:
        if self._beat is not None and not self._writer.is_closing():
            self._last = step
            self._writer.write(_line(Line(progress=step)))


async def _send(writer: asyncio.StreamWriter, line: Line) -> None:
    writer.write(_line(line))
    async with asyncio.timeout(WRITE_TIMEOUT_S):
        await writer.drain()


def _line(line: Line) -> bytes:
    return msgspec.json.encode(line) + b"\n"


def _listen(path: Path) -> socket.socket | None:
    if _is_answered(path):
        return None
    path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with address(path) as where:
            listening.bind(where)
        # Nobody can connect before `listen`, so there is no moment at which others could.
        path.chmod(SOCKET_MODE)
        listening.listen(CONNECTIONS_MAX)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening


def _is_answered(path: Path) -> bool:
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe,
        contextlib.suppress(OSError),
    ):  # no: nobody is there
        probe.settimeout(1.0)
        with address(path) as where:
            probe.connect(where)
        return True
    return False
