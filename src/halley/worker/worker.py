"""The worker's loops under one roof: started together, stopped together, their leases handed back."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from halley.worker.deliver import Deliverer
from halley.worker.poll import Poller
from halley.worker.sweep import Sweeper
from halley.world import World

RESTART_AFTER_S = 1.0
_log = structlog.get_logger("halley.worker")


class Worker:
    """Runs until it is stopped. An unexpected error in one loop is logged, and the loop begins again."""

    def __init__(self, world: World, *, live: bool = True) -> None:
        """`live=False`: only look after the tasks of this process's own simulators, which nobody else knows."""
        self._world = world
        self._stopping = False
        self._loops: dict[str, Poller | Deliverer | Sweeper] = {"poll": Poller(world, live=live)}
        if live:
            self._loops |= {"deliver": Deliverer(world), "sweep": Sweeper(world)}

    async def run(self) -> None:
        """Run all loops; return after `stop`, when what was under way has ended."""
        async with asyncio.TaskGroup() as group:
            for name, loop in self._loops.items():
                group.create_task(self._keep(name, loop.run), name=f"worker-{name}")

    def stop(self) -> None:
        """Take nothing more, and hand leases back."""
        self._stopping = True
        for loop in self._loops.values():
            loop.stop()

    async def _keep(self, name: str, loop: Callable[[], Awaitable[None]]) -> None:
        while not self._stopping:
            try:
                await loop()
            except Exception:  # noqa: BLE001 - an edge: logged
                _log.exception("worker_loop_failed", loop=name)
                await self._world.clock.sleep(RESTART_AFTER_S)
