"""The running gateway: API, local socket, simulators, worker and watch, started in order and drained at the end."""

import asyncio
import contextlib
import errno
import gc
import os
import signal
import socket
from collections.abc import Callable, Coroutine, Generator, Mapping
from contextlib import AsyncExitStack
from functools import partial
from types import TracebackType
from typing import Any, Self, cast

import structlog
import uvicorn

import halley
from halley.api.app import Api
from halley.api.websocket_server import websocket_options
from halley.app.build import open_world
from halley.app.files import connections_max, raise_file_limit
from halley.app.logs import configure_logs
from halley.app.simulators import start_simulators
from halley.app.watch import Watch
from halley.app.welcome import Welcome, check_bootstrap_key, welcome
from halley.console.lock import DataLock
from halley.console.protocol import SOCKET_NAME
from halley.console.server import ConsoleServer
from halley.db import DatabaseUnavailable, Tx, WriterOverloaded
from halley.kernel.clock import Clock
from halley.pipeline.reload import locked_out, reload
from halley.server import Door, HttpProtocol
from halley.settings import Settings, SettingsError
from halley.tasks import store as tasks
from halley.webhooks import store as outbox
from halley.worker import Worker
from halley.worker.sweep import leave
from halley.world import World, load_config
from halley.world.boots import begin_boot

BACKLOG = 2048
KEEP_ALIVE_S = 75
CLOSE_S_MAX = 1
BOOKS_S_MAX = 10.0
"""How long a stop may wait for answers that were given to be booked, once no call runs any more."""
BOOKS_LOOK_S = 0.005
GARBAGE_MIN = 10_000
"""New objects that may be garbage in a circle before the collector looks: calls leave next to none."""
_log = structlog.get_logger("halley.app")


class Gateway:
    """`async with Gateway(settings) as gateway:` serves until the block is left; then it drains.

    `url` is where it listens (port 0 takes a free one), `world` what it is made of, `welcome` what to tell at start.
    """

    url: str
    world: World
    welcome: Welcome

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        environ: Mapping[str, str] = os.environ,
        api: bool = True,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._environ = environ
        self._with_api = api
        self._stack = AsyncExitStack()
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Ask for the end, e.g. from a signal handler."""
        self._stopping.set()

    async def stopped(self) -> None:
        """Return when the end was asked for."""
        await self._stopping.wait()

    async def __aenter__(self) -> Self:
        problem = check_bootstrap_key(self._settings.bootstrap_key)
        if problem:
            raise SettingsError([problem])
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def _start(self) -> None:
        settings = self._settings
        if settings.database_path is not None:
            lock = DataLock(settings.data_dir, "halley serve", settings.database_path)
            await asyncio.to_thread(lock.acquire)
            self._stack.push_async_callback(asyncio.to_thread, lock.release)
        else:
            lock = None
            # For the simulators' journal and the local socket; with SQLite the lock makes the folder.
            await asyncio.to_thread(settings.data_dir.mkdir, mode=0o700, parents=True, exist_ok=True)
        listening = await asyncio.to_thread(_listen, settings) if self._with_api else None
        if listening is not None:
            self._stack.callback(listening.close)
        self.world = world = await self._stack.enter_async_context(
            open_world(settings, clock=self._clock, environ=self._environ, sync=self._with_api)
        )
        if listening is not None:
            self.url = world.bound_url = _url(listening, settings)
            if lock is not None:
                await asyncio.to_thread(lock.announce, self.url)
        await self._begin_boot()
        if settings.sandbox and self._with_api:
            await self._start_simulators()
        self.welcome = await welcome(world)
        await self._run_inside()
        if listening is not None:
            await self._start_api(listening)
            port = listening.getsockname()[1]
            _log.info("listening", host=settings.host, port=port, version=halley.__version__)
        world.ready = True

    async def _begin_boot(self) -> None:
        world = self.world

        def unit(tx: Tx) -> None:
            now = world.clock.now()
            # A reload has looked already; a worker of its own takes the channels as they are.
            if problems := list(locked_out(tx, world.vault, world.boot_id, now)):
                raise SettingsError(problems)
            begin_boot(tx, world.boot_id, now)
            if world.db.kind == "sqlite":
                tasks.release_all_leases(tx)
                outbox.release_all_leases(tx, now)

        await world.db.write("begin_boot", unit)
        self._stack.push_async_callback(leave, world)

    async def _start_simulators(self) -> None:
        world = self.world
        allow = (self.url.removeprefix("http://"),)
        simulators = await asyncio.to_thread(start_simulators, world.vendors, world.settings, world.clock, allow)
        self._stack.push_async_callback(asyncio.to_thread, simulators.stop)
        world.sandbox = simulators.channels(world.vendors, world.catalogue)
        world.config = await world.db.read(lambda tx: load_config(tx, world.clock.now(), world.sandbox))

    async def _run_inside(self) -> None:
        """Start what works beside the API: watch, worker and, with the API, the local socket."""
        world = self.world
        watch = Watch(world)
        await self._run(watch.run(), watch.stop)
        self._worker = Worker(world, live=world.settings.worker or not self._with_api)
        await self._run(self._worker.run(), self._worker.stop)
        if self._with_api:
            console = ConsoleServer(world.settings.data_dir / SOCKET_NAME, world)
            await console.start()
            self._stack.push_async_callback(console.stop)

    async def _run(self, work: Coroutine[Any, Any, None], stop: Callable[[], None]) -> None:
        task = asyncio.ensure_future(work)  # noqa: TID251 - awaited when the stack unwinds
        task.add_done_callback(self._ended_early)

        async def end() -> None:
            stop()
            await task

        self._stack.push_async_callback(end)

    def _ended_early(self, task: asyncio.Task[None]) -> None:
        """Without its watch or worker the process would go on with a stale view: better to stop and be restarted."""
        if not task.cancelled() and task.exception() is not None:
            _log.critical("loop_died", error=repr(task.exception()))
            self.stop()

    async def _start_api(self, listening: socket.socket) -> None:
        api = Api(self.world)
        protocol = partial(HttpProtocol, door=Door(connections_max()))
        server = _Server(
            uvicorn.Config(
                api,
                http=cast("Any", protocol),  # uvicorn only calls it
                **websocket_options(),
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=True,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=CLOSE_S_MAX,
                proxy_headers=False,
                backlog=BACKLOG,
            )
        )
        serving = asyncio.ensure_future(server.serve(sockets=[listening]))  # noqa: TID251 - awaited in `drain`
        while not server.started:
            if serving.done():
                serving.result()
            await asyncio.sleep(0.005)

        async def drain() -> None:
            self.world.draining = True
            self.world.ready = False
            # The worker's own grace runs meanwhile, so that all is over in the time that was set.
            self._worker.stop()
            with contextlib.suppress(TimeoutError):  # what has not ended by then is cut: its holds and rows are on disk
                async with asyncio.timeout(max(0.0, self.world.settings.drain_s - CLOSE_S_MAX)):
                    await api.idle()
                    # Among these are orders whose callers have left.
                    while at_work := self.world.insisting | self.world.seeing_through:
                        await asyncio.wait(at_work)
            server.should_exit = True
            await serving
            await self._close_books(api)

        self._stack.push_async_callback(drain)

    async def _close_books(self, api: Api) -> None:
        """Wait for what a call that was cut leaves to be booked: the server does not, and the writer closes soon."""
        answering = self.world.answering
        try:
            async with asyncio.timeout(BOOKS_S_MAX):
                await api.idle()
                while answering or self.world.insisting:  # noqa: ASYNC110 - what is booked tells nobody
                    await asyncio.sleep(BOOKS_LOOK_S)
        except TimeoutError:
            _log.error("books_left_open", answers=len(answering), after_s=BOOKS_S_MAX)


class _Server(uvicorn.Server):
    """Signals are the process's business, not the server's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


async def serve(settings: Settings, on_ready: Callable[[Welcome], None]) -> None:
    """Serve until SIGTERM or SIGINT, then drain. SIGHUP reads channels and prices again."""
    configure_logs(settings)
    if settings.lacks_worker:
        message = (
            "`HALLEY_WORKER` is off, and with SQLite nobody would work on tasks and webhooks;"
            " leave it on, or use PostgreSQL and `halley worker`"
        )
        raise SettingsError([message])
    await _until_signalled(Gateway(settings), on_ready)


async def run_worker(settings: Settings, on_ready: Callable[[Welcome], None]) -> None:
    """Work on tasks and webhooks without serving, beside other processes on the same PostgreSQL."""
    configure_logs(settings)
    if settings.database_path is not None:
        raise SettingsError(["`halley worker` needs PostgreSQL; with SQLite the server does this work itself"])
    await _until_signalled(Gateway(settings, api=False), on_ready)


async def _until_signalled(gateway: Gateway, on_ready: Callable[[Welcome], None]) -> None:
    raise_file_limit()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, gateway.stop)
    async with gateway, asyncio.TaskGroup() as group:
        loop.add_signal_handler(signal.SIGHUP, lambda: group.create_task(reload_or_tell(gateway.world)))
        # What was made so far lives as long as the process: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(GARBAGE_MIN)
        on_ready(gateway.welcome)
        await gateway.stopped()
        _log.info("stopping", drain_s=gateway.world.settings.drain_s)


async def reload_or_tell(world: World) -> None:
    """Read the configuration anew; whatever is wrong with it, or with the database, the gateway goes on as it is."""
    try:
        synced = await reload(world, os.environ)
    except SettingsError as error:
        _log.error("reload_refused", problems=str(error))
    except (DatabaseUnavailable, WriterOverloaded, RecursionError, OSError):
        _log.exception("reload_failed")
    else:
        _log.info("reloaded", channels=len(synced.channels), prices_changed=synced.prices_changed)


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # Named as TCP: only then does asyncio switch Nagle's delay off on what is accepted.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
    except OSError as error:
        listening.close()
        flag = "--port" if error.errno in (errno.EADDRINUSE, errno.EACCES) else "--host"
        message = f"Cannot listen on {settings.host}:{settings.port}: {error.strerror}; choose another with `{flag}`"
        raise SettingsError([message]) from error
    listening.setblocking(False)
    return listening


def _url(listening: socket.socket, settings: Settings) -> str:
    if settings.port:
        return settings.bound_url
    return settings.bound_url.rpartition(":")[0] + f":{listening.getsockname()[1]}"
