"""A whole gateway in this process, met in memory: its server and client, a real database, a live key with limits."""

import asyncio
import logging
import socket
import tempfile
import threading
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from msgspec.structs import replace
from scripts.budgets.clock import SteadyClock
from scripts.budgets.loop import OWN, CountingLoop, Turn, turns
from scripts.budgets.meter import Meter
from scripts.budgets.model import Counts
from scripts.budgets.wire import CallerWire, Vendors

from halley.app.build import prepare_database
from halley.app.gateway import Gateway
from halley.app.logs import configure_logs
from halley.console.commands import accounts, keys
from halley.db import Tx
from halley.kernel.ids import SystemIds
from halley.kernel.money import nanos_from_dollars
from halley.ledger.model import AccountKind
from halley.settings import Settings, load_settings
from halley.world import World

_VENDOR_URL = "http://127.0.0.1:{port}"
_CREDIT_DOLLARS = 1_000_000
_PER_MINUTE = 1_000_000_000
"""So high that the limits are counted and never reached."""
_ACCOUNT = "budgets"
_DOOR_BACKLOG = 1_024
_WAIT_S_MAX = 10.0
_QUIET_LOOKS, _QUIET_TURNS = 4, 30
_LOG = "log"
_LOG_CHARACTERS_SHOWN, _ANSWER_CHARACTERS_SHOWN = 4_000, 800
_CHANNELS = """
[[channels]]
name = "answers"
vendor = "openai"
base_url = "{url}/v1"
api_key = "sk-of-the-vendor"

[[channels]]
name = "others"
vendor = "anthropic"
base_url = "{url}"
api_key = "sk-of-the-vendor"

[[channels]]
name = "images"
vendor = "bfl"
base_url = "{url}"
api_key = "sk-of-the-vendor"
"""


class Rig:
    """The gateway and all that counts."""

    def __init__(self, world: World, meter: Meter, vendors: Vendors, key: str, vendor_url: str) -> None:
        self.world = world
        self.meter = meter
        self.vendors = vendors
        self.vendor_url = vendor_url
        self._key = key
        self._loop = cast("CountingLoop", asyncio.get_running_loop())
        self._idle: list[CallerWire] = []
        self.is_gated = False
        """Whether the writer waits at the gate: then it has work, and that is meant."""

    async def call(self, method: str, path: str, body: bytes = b"") -> bytes:
        """Make a call over a connection that is kept; give the body, and fail unless it is answered well."""
        wire = self._idle.pop() if self._idle else self._connect()
        answer = await wire.ask(_request(method, path, self._key, body))
        head, _, rest = answer.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 2") or wire.closed:
            log = (self.world.settings.data_dir.parent / _LOG).read_text()[-_LOG_CHARACTERS_SHOWN:]
            message = f"{method} {path} was answered {answer[:_ANSWER_CHARACTERS_SHOWN]!r}\n{log}"
            raise AssertionError(message.replace("\\n", "\n"))
        self._idle.append(wire)
        return rest

    def _connect(self) -> CallerWire:
        protocol = self._loop.serve()
        wire = CallerWire(protocol)
        protocol.connection_made(wire)
        return wire

    def start(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Begin something beside; the task that this takes is not counted."""
        return asyncio.Task(work, loop=self._loop)

    def begin(self) -> None:
        """Begin to count."""
        # Ids are drawn many at a time: each count begins at the same place.
        self.world.ids = SystemIds(self.world.clock)
        self.world.ids.new()
        self.meter.settle()
        self.meter.clear()
        self._loop.counted = dict.fromkeys(OWN, 0)
        self._loop.counting = True
        self.meter.on = True

    def end(self) -> Counts:
        """End it, once all is quiet."""
        self.meter.settle()
        self.meter.on = self._loop.counting = False
        return {**self.meter.counts(), **self._loop.counted}

    async def gate(self) -> threading.Event:
        """Hold the writer back until the gate is opened, so that all that is written meanwhile is one batch."""
        began, opened = threading.Event(), threading.Event()
        self.is_gated = True

        def unit(_tx: Tx) -> None:
            began.set()
            opened.wait()

        self._gated = self.start(self.world.db.write("gate", unit))
        while not began.is_set():
            await Turn()
        return opened

    async def until(self, there: Callable[[], bool]) -> None:
        """Let the loop turn until something has come to pass, and all is quiet then."""
        ends = time.monotonic() + _WAIT_S_MAX
        while not there():
            assert time.monotonic() < ends, "calls that go side by side did not come to where they wait for each other"
            await self.quiet()
        await self.quiet()

    async def quiet(self) -> None:
        """Let go on what goes on after an answer: the books of a stream, a look at what is due."""
        for _ in range(_QUIET_LOOKS):
            await turns(_QUIET_TURNS)
            self.meter.settle()

    async def through(self, opened: threading.Event) -> None:
        """Open the gate, and wait until the batch behind it is written."""
        await self.quiet()
        self.is_gated = False
        opened.set()
        await self._gated
        await self.quiet()


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What a gateway opens on: a folder with its database, and its settings."""

    settings: Settings
    environ: Mapping[str, str]
    vendor_port: int


@contextmanager
def ground() -> Generator[Ground]:
    """Prepare a folder; the schema is made here, where nothing is counted."""
    with tempfile.TemporaryDirectory(prefix="halley-budgets-") as name, socket.socket() as door:
        # The connections of the gateway's client lead here; nothing is ever said through them.
        door.bind(("127.0.0.1", 0))
        door.listen(_DOOR_BACKLOG)
        port = door.getsockname()[1]
        folder = Path(name)
        config = folder / "halley.toml"
        config.write_text(_CHANNELS.format(url=_VENDOR_URL.format(port=port)))
        environ = {"HALLEY_DATA_DIR": str(folder / "data"), "HALLEY_CONFIG": str(config)}
        # No simulators, and no worker: their own work would be counted as that of the calls.
        settings = replace(load_settings({}, environ, folder), port=0, sandbox=False, worker=False)
        settings.data_dir.mkdir()
        prepare_database(settings)
        with _logs(settings, folder / _LOG):
            yield Ground(settings=settings, environ=environ, vendor_port=port)


@asynccontextmanager
async def opened(on: Ground, meter: Meter) -> AsyncGenerator[Rig]:
    """Start the gateway as an operator does, and give it a caller."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, CountingLoop)
    vendors = Vendors(loop, meter.settle)
    loop.prepare(vendors)
    async with Gateway(on.settings, clock=SteadyClock(), environ=on.environ) as gateway:
        key = await _prepare(gateway.world)
        rig = Rig(gateway.world, meter, vendors, key, _VENDOR_URL.format(port=on.vendor_port))
        db = rig.world.db
        meter.has_work = lambda: bool(loop.hopping or db.waiting > db.lingering) and not rig.is_gated
        loop.hold_still()
        await rig.until(lambda: True)
        try:
            yield rig
        finally:
            loop.go_on()


@contextmanager
def _logs(settings: Settings, path: Path) -> Generator[None]:
    """Log as the gateway does, each call with a line, to a file."""
    with path.open("w") as file:
        with redirect_stderr(file):
            configure_logs(settings)
        try:
            yield
        finally:
            root = logging.getLogger()
            for handler in tuple(root.handlers):
                root.removeHandler(handler)
                # What waits is written now: afterwards its descriptor may be another file's.
                handler.close()


async def _prepare(world: World) -> str:
    """Make an account with credit and a key with limits."""
    await accounts.create(world, accounts.CreateAccount(name=_ACCOUNT, kind=AccountKind.PREPAID), _nobody)
    credit = accounts.CreditAccount(account=_ACCOUNT, amount_nanos=nanos_from_dollars(_CREDIT_DOLLARS))
    await accounts.credit(world, credit, _nobody)
    terms = keys.CreateKey(
        account=_ACCOUNT, livemode=True, requests_per_minute=_PER_MINUTE, tokens_per_minute=_PER_MINUTE
    )
    return (await keys.create(world, terms, _nobody)).key


def _request(method: str, path: str, key: str, body: bytes) -> bytes:
    """Write a request as an SDK does."""
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: 127.0.0.1:8000",
        "Accept-Encoding: gzip, deflate",
        "Connection: keep-alive",
        "Accept: application/json",
        "User-Agent: OpenAI/Python 2.8.0",
        f"Authorization: Bearer {key}",
    ]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join((*lines, "", "")).encode() + body


def _nobody(_progress: object) -> None:
    """Hears how far a command is."""
