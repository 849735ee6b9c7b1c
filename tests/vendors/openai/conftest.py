"""The vendor's simulator on a real socket, under a clock that only the test moves."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

import pytest
from blockbuster import BlockBuster
from tests.simulate.conftest import TickedClock
from tests.vendors.openai.support import Sandbox, picture

from halley.vendors.openai.simulator import create_app
from halley.vendors.simulate import OutsideError, SimulatorServer, SimulatorSettings, outside_of

OpenSandbox = Callable[[str], Awaitable[Sandbox]]


@pytest.fixture
async def open_sandbox() -> AsyncGenerator[OpenSandbox]:
    servers: list[SimulatorServer] = []

    async def fetch(url: str) -> bytes:
        if url.endswith("/fox.png"):
            return picture(640, 480)
        message = f"`{url}` is refused"
        raise OutsideError(message)

    async def opened(vendor: str) -> Sandbox:
        clock = TickedClock()
        settings = SimulatorSettings(clock=clock, open_outside=outside_of(fetch=fetch))
        server = SimulatorServer(vendor, create_app, settings)
        servers.append(server)
        await asyncio.to_thread(server.start)
        return Sandbox(server, clock)

    yield opened
    for server in servers:
        await asyncio.to_thread(server.stop)


@pytest.fixture
async def sandbox(open_sandbox: OpenSandbox) -> Sandbox:
    return await open_sandbox("openai")


@pytest.fixture(scope="session", autouse=True)
def _journal_may_block(_loop_is_never_blocked: BlockBuster) -> None:
    """Let the simulator's own loop wait for its own journal, as it does in service."""
    for name, function in _loop_is_never_blocked.functions.items():
        if name.startswith("sqlite3."):
            function.can_block_in("simulate/journal.py", {"_rows", "_change"})
