import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.database import FakeIds, clock, database_url, db, ids, postgres_server, sqlite_template, wakeups

from halley.console.client import call
from halley.console.commands import run_command
from halley.console.protocol import SOCKET_NAME, Request, Step
from halley.console.server import ConsoleServer
from halley.console.services import OwnServices
from halley.db import Database
from halley.settings import Secret, Settings
from halley.testing.clock import FakeClock

__all__ = ["clock", "database_url", "db", "ids", "postgres_server", "sqlite_template", "wakeups"]


@pytest.fixture
def services(tmp_path: Path, database_url: str, db: Database, clock: FakeClock, ids: FakeIds) -> OwnServices:
    settings = Settings(data_dir=tmp_path, configured_database=Secret(database_url))
    return OwnServices(settings=settings, db=db, clock=clock, ids=ids)


class Operator:
    """Runs commands as the command line would, without a socket between."""

    def __init__(self, services: OwnServices) -> None:
        self.services = services
        self.steps: list[Step] = []

    async def __call__(self, command: str, **args: Any) -> Any:
        request = Request(command=command, args=msgspec.Raw(msgspec.json.encode(args)))
        return msgspec.json.decode(msgspec.json.encode(await run_command(self.services, request, self.steps.append)))


@pytest.fixture
def operator(services: OwnServices) -> Operator:
    return Operator(services)


@pytest.fixture
async def server(services: OwnServices, tmp_path: Path) -> AsyncIterator[ConsoleServer]:
    console = ConsoleServer(tmp_path / SOCKET_NAME, services)
    assert await console.start()
    yield console
    await console.stop()


@pytest.fixture
def socket_path(server: ConsoleServer, tmp_path: Path) -> Path:
    """Where a running server listens."""
    assert server is not None
    return tmp_path / SOCKET_NAME


async def ask(path: Path, request: Request, steps: list[Step] | None = None) -> Any:
    """Call through the socket, as the command line does, in a thread of its own."""
    told: list[Step] = [] if steps is None else steps
    return await asyncio.to_thread(call, path, request, told.append)
