"""The vendor's simulator on a real socket, under a clock that only the test moves."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import pytest
from blockbuster import BlockBuster
from tests.vendors.bfl.support import OpenSandbox, Posted, Sandbox, StillClock, picture

from halley.vendors.bfl.simulator import create_app
from halley.vendors.simulate import OutsideError, SimulatorServer, SimulatorSettings, outside_of


@pytest.fixture
async def open_sandbox() -> AsyncGenerator[OpenSandbox]:
    servers: list[SimulatorServer] = []

    async def opened(*, journal_path: Path | str = ":memory:", clock: StillClock | None = None) -> Sandbox:
        now, posted = clock or StillClock(), list[Posted]()

        async def fetch(url: str) -> bytes:
            if url.endswith("/fox.png"):
                return picture(320, 256)
            message = f"`{url}` is refused"
            raise OutsideError(message)

        async def send_callback(url: str, headers: Sequence[tuple[str, str]], body: bytes) -> int:
            posted.append(Posted(url=url, headers=dict(headers), body=body))
            return 200

        settings = SimulatorSettings(clock=now, open_outside=outside_of(fetch=fetch, send_callback=send_callback))
        server = SimulatorServer("bfl", create_app, settings, journal_path=journal_path)
        servers.append(server)
        await asyncio.to_thread(server.start)
        return Sandbox(server, now, posted)

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
