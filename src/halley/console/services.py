"""What commands of an operator work with. The running server's world is one; without a server a small one is opened."""

import hashlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Protocol

import msgspec

from halley.db import Database
from halley.kernel.clock import Clock, SystemClock
from halley.kernel.ids import Ids, SystemIds
from halley.settings import Settings

MARK_LENGTH = 16


class Services(Protocol):
    """The part of the world that commands need."""

    @property
    def settings(self) -> Settings: ...

    @property
    def db(self) -> Database: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def ids(self) -> Ids: ...


class OwnServices(msgspec.Struct, frozen=True, kw_only=True):
    """Services of a command that no server runs for."""

    settings: Settings
    db: Database
    clock: Clock
    ids: Ids


def database_mark(settings: Settings) -> str:
    """Tell databases apart without naming them, so that a command never lands in another one than it meant."""
    path = settings.database_path
    name = str(path.absolute()) if path else settings.database_url.reveal()
    return hashlib.sha256(name.encode()).hexdigest()[:MARK_LENGTH]


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncGenerator[OwnServices]:
    """Open the database by ourselves. On SQLite the caller holds the lock on the data."""
    import asyncio

    from halley.db import Wakeups, open_database

    clock = SystemClock()
    wakeups = Wakeups(asyncio.get_running_loop(), clock)
    db = open_database(settings.database_url.reveal(), wakeups)
    try:
        yield OwnServices(settings=settings, db=db, clock=clock, ids=SystemIds(clock))
    finally:
        await asyncio.to_thread(db.close)
