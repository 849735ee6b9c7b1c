"""A clock that only a test moves, and simulators to talk to over real sockets."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Protocol

import pytest
from blockbuster import BlockBuster

from halley.vendors.simulate import (
    CreateApp,
    SimulatorServer,
    SimulatorSettings,
    outside_of,
)
from halley.vendors.simulate.host import OpenOutside

START_US = 1_790_000_000_000_000


class TickedClock:
    """Stands still until `tick`; its sleepers may be in another thread, as a simulator is."""

    def __init__(self) -> None:
        self._now_us = START_US
        self._sleepers: list[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]] = []

    def now(self) -> int:
        return self._now_us

    def monotonic(self) -> float:
        return self._now_us / 1_000_000

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.Event()
        sleeper = (self._now_us + round(seconds * 1_000_000), asyncio.get_running_loop(), woken)
        self._sleepers.append(sleeper)
        try:
            await woken.wait()
        finally:
            if sleeper in self._sleepers:
                self._sleepers.remove(sleeper)

    def tick(self, seconds: float) -> None:
        self._now_us += round(seconds * 1_000_000)
        for due_us, loop, woken in tuple(self._sleepers):
            if due_us <= self._now_us:
                loop.call_soon_threadsafe(woken.set)


@pytest.fixture
def clock() -> TickedClock:
    return TickedClock()


class StartSimulator(Protocol):
    async def __call__(
        self,
        create_app: CreateApp,
        *,
        open_outside: OpenOutside | None = None,
        journal_path: Path | str = ":memory:",
        port: int = 0,
        port_file: Path | None = None,
    ) -> SimulatorServer: ...


@pytest.fixture
async def start(clock: TickedClock) -> AsyncGenerator[StartSimulator]:
    """Start simulators that are stopped when the test is over."""
    servers: list[SimulatorServer] = []

    async def started(
        create_app: CreateApp,
        *,
        open_outside: OpenOutside | None = None,
        journal_path: Path | str = ":memory:",
        port: int = 0,
        port_file: Path | None = None,
    ) -> SimulatorServer:
        settings = SimulatorSettings(clock=clock, open_outside=open_outside or outside_of())
        server = SimulatorServer(
            "acme", create_app, settings, journal_path=journal_path, port=port, port_file=port_file
        )
        servers.append(server)
        await asyncio.to_thread(server.start)
        return server

    yield started
    for server in servers:
        await asyncio.to_thread(server.stop)


@pytest.fixture(scope="session", autouse=True)
def _journal_may_block(_loop_is_never_blocked: BlockBuster) -> None:
    """Let the simulators' own loop wait for their own journal; see the note in journal.py."""
    for name, function in _loop_is_never_blocked.functions.items():
        if name.startswith("sqlite3."):
            function.can_block_in("simulate/journal.py", {"_rows", "_change"})
