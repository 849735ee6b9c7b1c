"""Both loops: uvloop serves, asyncio is what platforms without it run on; their transports differ."""

import asyncio
from collections.abc import Callable

import pytest
import uvloop

from halley.kernel import volley

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


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.definition.path.name not in ON_ONE_LOOP:
        metafunc.parametrize("crowd", ["alone", "crowded"], indirect=True)


@pytest.fixture(autouse=True)
def crowd(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where sockets are real, answers go out at once, or at the end of the loop's turn."""
    if getattr(request, "param", "alone") == "crowded":
        monkeypatch.setattr(volley, "CROWD", 0)
