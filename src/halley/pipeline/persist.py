"""Writes that must not be given up: until it is on disk, only this process knows what a vendor took or refused."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Generic, Protocol, TypeVar

import structlog

from halley.db import DatabaseUnavailable, Group, Tx, WriterOverloaded
from halley.world import World

T = TypeVar("T")
Item = TypeVar("Item")
OfWorldItem = TypeVar("OfWorldItem", bound="OfWorld")
PAUSE_S_MIN = 0.1
PAUSE_S_MAX = 5.0
_log = structlog.get_logger("halley.persist")


class OfWorld(Protocol):
    """An item that knows where it is to be written."""

    @property
    def world(self) -> World:
        """Where."""
        ...


async def write_surely(world: World, name: str, unit: Callable[[Tx], T]) -> T:
    """Write, again and again while the database is away. `unit` looks at the state anew each time."""
    return await _surely(world, name, lambda: world.db.write(name, unit))


async def write_to_the_end(world: World, group: Group[Item, T], item: Item) -> T:
    """The same for an item of a group, whether or not whoever asked still waits: they leave once it is on disk."""
    try:
        written = world.db.write_together(group, item)
    except WriterOverloaded:
        return await to_its_end(_again(world, group, item))
    try:
        return await written
    except DatabaseUnavailable:
        return await to_its_end(_again(world, group, item))
    except asyncio.CancelledError:
        if isinstance(written.exception(), DatabaseUnavailable):
            await to_its_end(_again(world, group, item))
        raise


class Later(Generic[OfWorldItem]):
    """Writes of a group that nobody waits for: with the next commit, and again and again while the database is away.

    `done` is called with items of which it is known what became of them. A process that stops waits for it as for a
    call.
    """

    def __init__(self, group: Group[OfWorldItem, Any], done: Callable[[Sequence[OfWorldItem]], object]) -> None:
        self._group = group
        self._done = done

    def write(self, item: OfWorldItem) -> None:
        """Write one."""
        try:
            item.world.db.write_later(self._group, item, self._told)
        except WriterOverloaded:
            self._insist(item)

    def _told(self, items: Sequence[OfWorldItem], error: Exception | None) -> None:
        if isinstance(error, DatabaseUnavailable):
            for item in items:
                self._insist(item)
            return
        self._done(items)
        if error is not None:
            _log.error("write_failed", unit=self._group.name, exc_info=error)

    def _insist(self, item: OfWorldItem) -> None:
        async def work() -> None:
            try:
                await _again(item.world, self._group, item)
            finally:
                self._done((item,))

        insisting = asyncio.ensure_future(work())  # noqa: TID251 - the world keeps it until it has ended
        item.world.insisting.add(insisting)
        insisting.add_done_callback(item.world.insisting.discard)


async def _again(world: World, group: Group[Item, T], item: Item) -> T:
    return await _surely(world, group.name, lambda: world.db.write_together(group, item))


async def to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Do something whole, and only then notice that nobody waits for it."""
    running = asyncio.ensure_future(work)  # noqa: TID251 - awaited right here
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait((running,))
        raise


async def _surely(world: World, name: str, write: Callable[[], Awaitable[T]]) -> T:
    pause = PAUSE_S_MIN
    while True:
        try:
            return await write()
        except (DatabaseUnavailable, WriterOverloaded):
            _log.warning("write_postponed", unit=name, again_in_s=pause)
            await world.clock.sleep(pause)
            pause = min(pause * 2, PAUSE_S_MAX)
