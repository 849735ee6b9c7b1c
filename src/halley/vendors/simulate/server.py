"""A simulated vendor as a real HTTP server on its own loopback port, in a thread and event loop of its own.

Uvicorn's HTTP protocol is used without its server, which would take over signals, logs and a ten-times-a-second timer.
"""

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

from halley.vendors.simulate.host import CreateApp, SimulatorHost, SimulatorSettings
from halley.vendors.simulate.journal import Journal

if TYPE_CHECKING:
    from halley.vendors.simulate.protocol import Serving

T = TypeVar("T")
_PORTS = range(1_024, 65_536)

LOOPBACK = "127.0.0.1"
BACKLOG = 2_048
START_TIMEOUT_S = 5.0
STOP_TIMEOUT_S = 10.0
CALL_TIMEOUT_S = 10.0


class SimulatorServer:
    """`start()` returns once it listens, `stop()` ends it; what it journalled is there for the next one."""

    def __init__(
        self,
        vendor_name: str,
        create_app: CreateApp,
        settings: SimulatorSettings,
        *,
        journal_path: Path | str = ":memory:",
        port: int = 0,
        port_file: Path | None = None,
    ) -> None:
        self.vendor_name = vendor_name
        self._create_app = create_app
        self._settings = settings
        self._journal_path = journal_path
        self._port = port
        self._port_file = port_file
        self._started = threading.Event()
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        # Set while it runs:
        self._listening: socket.socket | None = None
        self._refusing: socket.socket | None = None
        self._running: _Running | None = None

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`."""
        assert self._listening is not None, "the simulator is not started"
        return _origin(self._listening)

    @property
    def refused_url(self) -> str:
        """An origin whose port we hold without listening, so that the kernel refuses every connect to it."""
        assert self._refusing is not None, "the simulator is not started"
        return _origin(self._refusing)

    @property
    def host(self) -> SimulatorHost:
        """What the app runs on. It belongs to the server's thread: look at its journal, run its methods by `call`."""
        assert self._running is not None, "the simulator is not started"
        return self._running.host

    def start(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Bind, start the thread and return when it answers. Raises what hindered it."""
        assert self._thread is None, "the simulator was started before"
        self._listening = _listen(self._port, self._port_file)
        self._refusing = _bind_without_listening()
        self._thread = threading.Thread(target=self._run, name=f"simulate-{self.vendor_name}", daemon=True)
        self._thread.start()
        if not self._started.wait(timeout_s):
            raise TimeoutError(f"the simulator of `{self.vendor_name}` did not start within {timeout_s} s")
        if self._failure is not None:
            self._close_sockets()
            raise self._failure
        if self._port_file is not None:
            _remember_port(self._port_file, self._listening)

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """End it: no new connections, half a second for requests in flight, then they are cut. May be called twice."""
        self.stop_soon()
        if self._thread is not None:
            self._thread.join(timeout_s)
            assert not self._thread.is_alive(), f"the simulator of `{self.vendor_name}` did not stop"
        self._close_sockets()

    def stop_soon(self) -> None:
        """Begin to stop, from any thread or a signal's handler."""
        running = self._running
        if running is not None:
            with contextlib.suppress(RuntimeError):  # a closed loop has stopped already, which is what was wanted
                running.loop.call_soon_threadsafe(running.stopping.set)

    def wait(self) -> None:
        """Return when it has ended, by `stop_soon` or by a failure, which is raised."""
        assert self._thread is not None, "the simulator is not started"
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def call(self, work: Coroutine[Any, Any, T], timeout_s: float = CALL_TIMEOUT_S) -> T:
        """Run a coroutine on the server's loop and wait for it here, e.g. `server.call(server.host.deliver_due())`."""
        assert self._running is not None, "the simulator is not started"
        return asyncio.run_coroutine_threadsafe(work, self._running.loop).result(timeout_s)

    def _run(self) -> None:
        try:
            # Imported and opened here because both read files, which the event loop should not wait for.
            from halley.vendors.simulate import protocol

            with contextlib.closing(Journal(self._journal_path, vendor=self.vendor_name)) as journal:
                asyncio.run(self._serve(journal, protocol.serving))
        except BaseException as failure:  # noqa: BLE001 - handed to the thread that waits for us
            self._failure = failure
        finally:
            self._started.set()

    async def _serve(self, journal: Journal, serving: "Serving") -> None:
        assert self._listening is not None
        async with self._settings.open_outside() as outside:
            host = SimulatorHost(
                vendor=self.vendor_name, settings=self._settings, journal=journal, outside=outside, base_url=self.url
            )
            running = _Running(host, asyncio.get_running_loop())
            app = self._create_app(host)
            async with host.running(), serving(app, self._listening):
                self._running = running
                self._started.set()
                await running.stopping.wait()

    def _close_sockets(self) -> None:
        for held in (self._listening, self._refusing):
            if held is not None:
                held.close()


def run_forever(server: SimulatorServer, on_started: Callable[[SimulatorServer], None]) -> None:
    """Serve in a process of its own until SIGINT or SIGTERM; call it from the main thread."""
    server.start()

    def stop(_number: int, _frame: FrameType | None) -> None:
        server.stop_soon()

    previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        on_started(server)
        server.wait()
    finally:
        server.stop()
        for number, handler in previous.items():
            signal.signal(number, handler)


class _Running:
    """What there is only while the loop runs."""

    def __init__(self, host: SimulatorHost, loop: asyncio.AbstractEventLoop) -> None:
        self.host = host
        self.loop = loop
        self.stopping = asyncio.Event()


def _listen(port: int, port_file: Path | None) -> socket.socket:
    """Listen on the asked port or fail; if any will do, on the one of last time if it is free."""
    if port:
        return _listen_on(port)
    remembered = _remembered_port(port_file)
    if remembered:
        with contextlib.suppress(OSError):  # somebody else may have it by now; any other port is as good
            return _listen_on(remembered)
    return _listen_on(0)


def _listen_on(port: int) -> socket.socket:
    # With the protocol left out, asyncio does not set TCP_NODELAY on what is accepted: each reply then takes 40 ms.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((LOOPBACK, port))
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening


def _bind_without_listening() -> socket.socket:
    # No SO_REUSEADDR here: nobody else shall be able to take the port and listen on it.
    refusing = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    refusing.bind((LOOPBACK, 0))
    return refusing


def _remembered_port(port_file: Path | None) -> int:
    if port_file is None or not port_file.is_file():
        return 0
    text = port_file.read_text(encoding="ascii", errors="replace").strip()
    return int(text) if text.isdecimal() and int(text) in _PORTS else 0


def _remember_port(port_file: Path, listening: socket.socket) -> None:
    new = port_file.with_name(port_file.name + ".new")
    new.write_text(f"{listening.getsockname()[1]}\n", encoding="ascii")
    new.replace(port_file)


def _origin(bound: socket.socket) -> str:
    return f"http://{LOOPBACK}:{bound.getsockname()[1]}"
