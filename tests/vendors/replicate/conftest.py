"""The vendor's simulator on a real socket, under a clock that only the test moves."""

import asyncio
import json
import re
import threading
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import jsonschema
import msgspec
import pytest
from blockbuster import BlockBuster

from halley.kernel.order import Report
from halley.vendors.contract import TaskRef, VendorCall, VendorReply
from halley.vendors.replicate import TASKS
from halley.vendors.replicate.simulator import create_app
from halley.vendors.simulate import OutsideError, SimulatorServer, SimulatorSettings, outside_of

START_US = 1_790_000_000_000_000
TOKEN = "r8_test"
FIXTURES = Path(__file__).parents[3] / "src/halley/vendors/replicate/fixtures"


class TickedClock:
    """Stands still until `tick`; its sleepers are in the simulator's thread."""

    def __init__(self) -> None:
        self._now_us = START_US
        self._sleepers: list[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]] = []
        self._slept = threading.Condition()

    def now(self) -> int:
        return self._now_us

    def monotonic(self) -> float:
        return self._now_us / 1_000_000

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.Event()
        with self._slept:
            self._sleepers.append((self._now_us + round(seconds * 1_000_000), asyncio.get_running_loop(), woken))
            self._slept.notify_all()
        await woken.wait()

    def tick(self, seconds: float) -> None:
        with self._slept:
            self._now_us += round(seconds * 1_000_000)
            due = [sleeper for sleeper in self._sleepers if sleeper[0] <= self._now_us]
            self._sleepers = [sleeper for sleeper in self._sleepers if sleeper not in due]
        for _, loop, woken in due:
            if not loop.is_closed():
                loop.call_soon_threadsafe(woken.set)

    async def tick_once_slept(self, seconds: float) -> None:
        """Wait until somebody sleeps for no longer than that, then tick."""
        await asyncio.to_thread(self._wait_for_sleeper, seconds)
        self.tick(seconds)

    def _wait_for_sleeper(self, seconds: float) -> None:
        end_us = self._now_us + round(seconds * 1_000_000)
        with self._slept:
            assert self._slept.wait_for(lambda: any(due <= end_us for due, _, _ in self._sleepers), timeout=5)


class Posted(msgspec.Struct, frozen=True, kw_only=True):
    """A callback that the simulator sent."""

    url: str
    headers: dict[str, str]
    body: bytes


class Sandbox:
    """The simulator and a client of it."""

    def __init__(self, server: SimulatorServer, clock: TickedClock, posted: list[Posted]) -> None:
        self.server = server
        self.clock = clock
        self.posted = posted

    async def send(self, call: VendorCall, *, token: str | None = TOKEN, headers: dict[str, str] | None = None):
        """One request, as the gateway's client would send it."""
        url = call.url if call.url.startswith("http") else f"{self.server.url}{call.url}"
        sent = {"authorization": f"Bearer {token}"} if token else {}
        sent |= {**dict(call.headers), **(headers or {})}
        body = msgspec.json.encode(call.json) if call.json is not None else call.body
        async with (
            aiohttp.ClientSession() as session,
            session.request(call.method, url, data=body, headers=sent) as reply,
        ):
            received = {name.lower(): value for name, value in reply.headers.items()}
            return VendorReply(status=reply.status, headers=received, body=await reply.read())

    async def get(self, path: str, *, token: str | None = TOKEN) -> VendorReply:
        return await self.send(VendorCall(method="GET", url=path), token=token)

    async def order(self, body: dict[str, Any], model: str = "black-forest-labs/flux-schnell", **headers: str):
        """Order a prediction."""
        call = VendorCall(method="POST", url=f"/v1/models/{model}/predictions", json=body)
        return await self.send(call, headers=headers)

    async def deliver(self) -> None:
        """Let the simulator send what is due."""
        await asyncio.to_thread(lambda: self.server.call(self.server.host.deliver_due()))


class OpenSandbox(Protocol):
    async def __call__(self, *, journal_path: Path | str = ":memory:") -> Sandbox: ...


@pytest.fixture
async def open_sandbox() -> AsyncGenerator[OpenSandbox]:
    servers: list[SimulatorServer] = []

    async def opened(*, journal_path: Path | str = ":memory:") -> Sandbox:
        clock, posted = TickedClock(), list[Posted]()

        async def fetch(url: str) -> bytes:
            message = f"`{url}` is refused"
            raise OutsideError(message)

        async def send_callback(url: str, headers: Sequence[tuple[str, str]], body: bytes) -> int:
            posted.append(Posted(url=url, headers=dict(headers), body=body))
            return 200

        settings = SimulatorSettings(clock=clock, open_outside=outside_of(fetch=fetch, send_callback=send_callback))
        server = SimulatorServer("replicate", create_app, settings, journal_path=journal_path)
        servers.append(server)
        await asyncio.to_thread(server.start)
        return Sandbox(server, clock, posted)

    yield opened
    for server in servers:
        await asyncio.to_thread(server.stop)


@pytest.fixture
async def sandbox(open_sandbox: OpenSandbox) -> Sandbox:
    return await open_sandbox()


@pytest.fixture(scope="session", autouse=True)
def _journal_may_block(_loop_is_never_blocked: BlockBuster) -> None:
    """Let the simulator's own loop wait for its own journal, as it does in service."""
    for name, function in _loop_is_never_blocked.functions.items():
        if name.startswith("sqlite3."):
            function.can_block_in("simulate/journal.py", {"_rows", "_change"})


def fixture(name: str) -> VendorReply:
    """A reply of the real vendor."""
    kept = msgspec.json.decode((FIXTURES / f"{name}.json").read_bytes(), type=dict[str, Any])
    return VendorReply(status=kept["status"], headers=kept.get("headers", {}), body=msgspec.json.encode(kept["body"]))


def body_of(reply: VendorReply) -> dict[str, Any]:
    """Its JSON object."""
    return msgspec.json.decode(reply.body, type=dict[str, Any])


def report_of(answer: VendorReply) -> Report:
    """Read a report as that of the task that it names."""
    named = re.search(rb'"id": ?"([^"]+)"', answer.body)
    return TASKS.read_report(answer, TaskRef(vendor_task_id=named[1].decode() if named else "unnamed"))


def is_valid(body: Any, name: str) -> None:
    """Assert that a body is what the vendor's own specification says."""
    kept = msgspec.json.decode((FIXTURES / "schemas.json").read_bytes(), type=dict[str, Any])
    schemas = {key: schema for key, schema in kept.items() if key not in ("source", "date")}
    rooted = json.loads(json.dumps(schemas).replace("#/", "#/$defs/"))
    jsonschema.validate(body, {**rooted[name], "$defs": rooted}, format_checker=jsonschema.FormatChecker())
