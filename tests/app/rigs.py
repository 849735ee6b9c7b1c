"""Fixtures for tests through a whole gateway. A conftest takes them by name: `from tests.app.rigs import folder, rig`."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog
from blockbuster import BlockBuster

from halley.catalogue.meters import METERS
from halley.catalogue.model import read_models
from halley.kernel.money import MILLION, dollars
from halley.settings import PriceConfig
from halley.testing.gateway import Rig, opened_gateway, settings_for
from halley.vendors.contract import Vendor

__all__ = ["folder", "journal_may_block", "priced_at_twice_the_cost", "rig"]


@pytest.fixture(scope="session", autouse=True)
def journal_may_block(_loop_is_never_blocked: BlockBuster) -> None:
    """Let the simulators' own loops wait for their own journal (see the note in journal.py), and start and stop block.

    Before it listens and after the last call has ended, the gateway has nobody to keep waiting.
    """
    for name, function in _loop_is_never_blocked.functions.items():
        if name.startswith("sqlite3."):
            function.can_block_in("simulate/journal.py", {"_rows", "_change"})
        function.can_block_in("halley/app/gateway.py", {"_start", "__aexit__"})
    # A traceback that is rendered quotes files, which the guard takes for a blocked loop.
    structlog.configure(processors=[structlog.processors.KeyValueRenderer()])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The data folder; short, for the local socket's path is bounded."""
    return tmp_path / "d"


@pytest.fixture
async def rig(folder: Path) -> AsyncIterator[Rig]:
    """A gateway with its usual settings, on a clock that the test moves; its books are right at the end."""
    async with opened_gateway(settings_for(folder)) as running:
        yield running
        assert await running.differences() == ()


def priced_at_twice_the_cost(vendor: Vendor) -> tuple[PriceConfig, ...]:
    """Each model at twice what the vendor bills, so that a cost of the vendor's is never mistaken for a price."""
    return tuple(
        PriceConfig(model=model.id, meters={meter: _dollars(meter, 2 * cost) for meter, cost in model.cost.items()})
        for model in read_models(vendor)
    )


def _dollars(meter: str, nanos_per_million: int) -> str:
    return dollars(nanos_per_million * METERS[meter] // MILLION)
