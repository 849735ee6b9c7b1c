"""What every test has: no network, no blocking call on the loop, generated cases that repeat.

The network guard sees every socket that Python opens, those of vendor calls too. Order is random (pytest-randomly
prints the seed), warnings are errors (pyproject.toml).
"""

import os
from collections.abc import Iterator

import pytest
from blockbuster import BlockBuster, blockbuster_ctx
from hypothesis import HealthCheck, settings

settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", parent=settings.get_profile("default"), max_examples=1_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

_FOREIGN_SETTINGS = ("HALLEY_", "DATABASE_URL", "REDIS_URL", "BFL_", "REPLICATE_")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse names that hold an address: each worker would see other tests, and none could be run again by its name."""
    unsteady = [item.nodeid for item in items if " at 0x" in item.nodeid]
    assert not unsteady, f"give these cases names of their own (`ids=`): {unsteady[:3]}"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--vendor", default=None, help="run the conformance suite for this vendor only")


@pytest.fixture(scope="session", autouse=True)
def _loop_is_never_blocked() -> Iterator[BlockBuster]:
    """Raise `BlockingError` when code of ours blocks the event loop: file, socket, sleep, lock."""
    with blockbuster_ctx("halley") as guard:
        yield guard


@pytest.fixture(scope="session", autouse=True)
def _developers_settings_stay_out() -> Iterator[None]:
    """Drop settings of the developer's shell, so that a test sees the same defaults everywhere."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(_FOREIGN_SETTINGS)]:
            patch.delenv(name)
        yield
