"""One run: opens the gateway, warms it up, and counts the paths that are wanted."""

import asyncio
import gc
from collections.abc import Sequence

from scripts.budgets import paths
from scripts.budgets.loop import CountingLoop
from scripts.budgets.meter import Meter
from scripts.budgets.model import Measured
from scripts.budgets.rig import Ground, ground, opened


def measure(wanted: Sequence[paths.Path], meter: Meter) -> list[Measured]:
    """Count these paths; this thread must have no event loop yet."""
    with ground() as on:
        # From here on threads begin that are to be counted.
        meter.install()
        try:
            with asyncio.Runner(loop_factory=CountingLoop) as runner:
                return runner.run(_measure(on, wanted, meter))
        finally:
            meter.remove()


async def _measure(on: Ground, wanted: Sequence[paths.Path], meter: Meter) -> list[Measured]:
    async with opened(on, meter) as rig:
        gc.collect()
        # What the collector calls would come by when it likes.
        gc.disable()
        try:
            rounds = 1 if meter.detailed else paths.ROUNDS_MAX
            return [await paths.measure(rig, path, rounds) for path in wanted]
        finally:
            gc.enable()
