"""A group that writes names, and a way to have writes in one batch."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from halley.db import Database, Group, Tx

PATIENCE_S = 30
"""Real seconds until a test that hangs fails."""


class Puts:
    """A group that writes names, and notes how many items came in each call."""

    def __init__(self, name: str = "put") -> None:
        self.sizes: list[int] = []
        self.group = Group(name, self.run)

    def run(self, tx: Tx, items: Sequence[str]) -> Sequence[str]:
        self.sizes.append(len(items))
        for item in items:
            put(tx, item)
        return [item.upper() for item in items]


def put(tx: Tx, name: str) -> None:
    if name.startswith("bad"):
        raise KeyError(name)
    tx.run("INSERT INTO meta (name, value) VALUES (:name, 'x')", {"name": name})
    tx.wake(name)


async def names(db: Database) -> list[str]:
    rows = await db.read(lambda tx: tx.all("SELECT name FROM meta ORDER BY name"))
    return [row["name"] for row in rows]


async def at_once(db: Database, *writes: Callable[[], Awaitable[Any]]) -> list[Any]:
    """Ask for all of them while the writer is busy, so that they are of one batch."""
    gate, begun = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def hold_up(_tx: Tx) -> None:
        loop.call_soon_threadsafe(begun.set)
        gate.wait(PATIENCE_S)

    async def ask(write: Callable[[], Awaitable[Any]]) -> Any:
        return await write()

    busy = asyncio.gather(db.write("gate", hold_up))
    await begun.wait()
    rest = asyncio.gather(*(ask(write) for write in writes), return_exceptions=True)
    await asyncio.sleep(0)
    gate.set()
    await busy
    return await rest
