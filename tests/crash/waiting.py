"""Waiting for other processes, always with a bound and a message that says what did not come."""

import asyncio
import time
from collections.abc import Callable

TURN_S = 0.02


async def until(condition: Callable[[], object], *, within_s: float, what: str | Callable[[], str]) -> None:
    """Return once the condition holds. Raises `TimeoutError` that says what was waited for."""
    ends = time.monotonic() + within_s
    while not condition():
        if time.monotonic() >= ends:
            message = what if isinstance(what, str) else what()
            raise TimeoutError(f"not within {within_s:g} s: {message}")
        await asyncio.sleep(TURN_S)
