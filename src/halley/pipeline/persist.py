"""Writes that must not be given up: until it is on disk, only this process knows what a vendor took or refused."""

from collections.abc import Callable
from typing import TypeVar

import structlog

from halley.db import DatabaseUnavailable, Tx, WriterOverloaded
from halley.world import World

T = TypeVar("T")
PAUSE_S_MIN = 0.1
PAUSE_S_MAX = 5.0
_log = structlog.get_logger("halley.persist")


async def write_surely(world: World, name: str, unit: Callable[[Tx], T]) -> T:
    """Write, again and again while the database is away. `unit` looks at the state anew each time."""
    pause = PAUSE_S_MIN
    while True:
        try:
            return await world.db.write(name, unit)
        except (DatabaseUnavailable, WriterOverloaded):
            _log.warning("write_postponed", unit=name, again_in_s=pause)
            await world.clock.sleep(pause)
            pause = min(pause * 2, PAUSE_S_MAX)
