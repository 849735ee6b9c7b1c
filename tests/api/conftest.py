"""A world on SQLite with the fake clock, without simulators and worker, and a client that speaks to its API."""

import shutil
from collections.abc import AsyncIterator
from ipaddress import ip_network
from pathlib import Path

import pytest
from blockbuster import BlockBuster
from tests.api.client import Client, Owner, make_owner
from tests.database import clock, sqlite_template

from halley.api.app import Api
from halley.app.build import open_world
from halley.settings import Settings
from halley.testing.clock import FakeClock
from halley.world import World

__all__ = ["clock", "sqlite_template"]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, trusted_proxies=(ip_network("10.9.0.0/16"),), body_bytes_max=1024 * 1024)


@pytest.fixture
async def world(
    settings: Settings, clock: FakeClock, sqlite_template: Path, _loop_is_never_blocked: BlockBuster
) -> AsyncIterator[World]:
    assert settings.database_path is not None
    shutil.copy(sqlite_template, settings.database_path)
    # Start and end may block: nobody is served yet.
    _loop_is_never_blocked.deactivate()
    async with open_world(settings, clock=clock, environ={}) as opened:
        opened.ready = True
        _loop_is_never_blocked.activate()
        yield opened
        _loop_is_never_blocked.deactivate()
    _loop_is_never_blocked.activate()


@pytest.fixture
def client(world: World) -> Client:
    return Client(Api(world))


@pytest.fixture
async def owner(world: World) -> Owner:
    return await make_owner(world, "alice", credit=5_000_000_000)


@pytest.fixture
async def stranger(world: World) -> Owner:
    return await make_owner(world, "mallory")
