"""Both loops: uvloop serves, asyncio is what platforms without it run on; their transports differ."""

import asyncio
from collections.abc import Callable

import pytest
import uvloop

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}
ON_ONE_LOOP = frozenset(
    {"test_again.py", "test_fuzz.py", "test_head.py", "test_deadlines.py", "test_gateway.py", "test_remembered.py"}
)


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    del config
    return {"asyncio": asyncio.new_event_loop} if item.path.name in ON_ONE_LOOP else LOOPS
