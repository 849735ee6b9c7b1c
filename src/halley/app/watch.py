"""Keeps what is in memory of keys, channels and prices equal to the database: woken by changes, checked each second."""

import structlog

from halley.accounts.rules import KEYS_TOPIC
from halley.catalogue.prices import TOPIC as PRICES
from halley.db import DatabaseUnavailable, WriterOverloaded
from halley.db.wakeups import BACKSTOP_S
from halley.kernel.clock import MICROSECONDS
from halley.routing.store import TOPIC as CHANNELS
from halley.world import World, load_config
from halley.world.boots import see_boot
from halley.world.config import read_generations

ALIVE_EVERY_S = 5
_log = structlog.get_logger("halley.watch")


class Watch:
    """Runs until stopped."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._stopping = False
        self._said_at = 0
        self._seen: dict[str, int] = dict(world.config.generations)

    def stop(self) -> None:
        """Let `run` return."""
        self._stopping = True
        self._world.db.wakeups.publish(("watch",))

    async def run(self) -> None:
        """Look at each wake-up, and at least every second."""
        world = self._world
        with world.db.wakeups.subscribe("watch", KEYS_TOPIC, CHANNELS, PRICES) as waiter:
            while not self._stopping:
                await waiter.wait(BACKSTOP_S)
                if world.unanswered_since is None:
                    world.unanswered_since = world.clock.monotonic()
                try:
                    await self.look()
                    await self._say_alive()
                    world.unanswered_since = None
                except (DatabaseUnavailable, WriterOverloaded):
                    # The database may be away or behind for a moment; a stale view is better than none.
                    _log.exception("watch_failed")

    async def _say_alive(self) -> None:
        """Keep this process's row fresh, so that nobody takes its calls for those of a dead one."""
        world, now = self._world, self._world.clock.now()
        if now >= self._said_at + ALIVE_EVERY_S * MICROSECONDS:
            await world.db.write("see_boot", lambda tx: see_boot(tx, world.boot_id, now))
            self._said_at = now

    async def look(self) -> None:
        """Compare generations, and read again what has changed."""
        world = self._world
        found = await world.db.read(read_generations)
        changed = {topic for topic, value in found.items() if self._seen.get(topic) != value}
        if KEYS_TOPIC in changed:
            world.callers.clear()
        if {CHANNELS, PRICES} & changed:
            world.callback_secrets.clear()
            world.config = await world.db.read(lambda tx: load_config(tx, world.clock.now(), world.sandbox))
        self._seen = found
