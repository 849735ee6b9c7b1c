"""Imports that are too slow for the event loop and too large for an idle gateway: in a thread, at first use."""

import asyncio
from importlib import import_module

_whole: set[str] = set()


async def ready(module: str) -> None:
    """Have a module imported, so that an `import` of it waits for nothing.

    That it stands in `sys.modules` does not say so: it is there while another thread still runs it, and whoever
    imports it then waits for that thread's lock, with the whole loop.
    """
    if module not in _whole:
        await asyncio.to_thread(import_module, module)
        _whole.add(module)
