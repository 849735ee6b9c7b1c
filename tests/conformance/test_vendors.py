"""Every operation of every vendor that takes tasks with every ending, through a whole gateway.

`make check-vendor V=name` runs one vendor's and prints the matrix.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import pytest_asyncio
from tests.app.rigs import priced_at_twice_the_cost
from tests.conformance.samples import SAMPLES

from halley.settings import PriceConfig
from halley.testing.conformance import Cell, answer_cells, cells, drive, sample_of
from halley.testing.gateway import Rig, opened_gateway, settings_for
from halley.vendors import load_vendors
from halley.vendors.contract import Vendor

VENDORS = tuple(load_vendors().values())
CELLS = [cell for vendor in VENDORS for cell in cells(vendor) if not cell.why_not]


class Rigs:
    """One gateway for all cells of a vendor, opened for the first of them."""

    def __init__(self, stack: AsyncExitStack, prices: Mapping[str, tuple[PriceConfig, ...]]) -> None:
        self._stack = stack
        self._prices = prices
        self._open: dict[str, Rig] = {}

    async def of(self, vendor: Vendor) -> Rig:
        """Give the vendor's; its models cost twice what the vendor bills, so each vendor has a gateway of its own."""
        if vendor.name not in self._open:
            folder = Path(self._stack.enter_context(TemporaryDirectory(prefix="halley-")))
            settings = settings_for(folder, prices=self._prices[vendor.name])
            self._open[vendor.name] = await self._stack.enter_async_context(opened_gateway(settings))
        return self._open[vendor.name]


@pytest.fixture(scope="module")
def prices() -> dict[str, tuple[PriceConfig, ...]]:
    vendors = {cell.vendor.name: cell.vendor for cell in CELLS}
    return {name: priced_at_twice_the_cost(vendor) for name, vendor in vendors.items()}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rigs(prices: dict[str, tuple[PriceConfig, ...]]) -> AsyncIterator[Rigs]:
    async with AsyncExitStack() as stack:
        yield Rigs(stack, prices)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("cell", [pytest.param(cell, id=f"{cell.vendor.name}/{cell.name}") for cell in CELLS])
async def test_a_cell_of_the_matrix_ends_as_it_must(rigs: Rigs, cell: Cell) -> None:
    await drive(await rigs.of(cell.vendor), cell, SAMPLES.get(cell.vendor.name) or sample_of(cell.vendor))


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)
def test_each_exemption_names_cells_and_a_reason(vendor: Vendor) -> None:
    names = [cell.name for cell in (*cells(vendor), *answer_cells(vendor))]
    for glob, why in vendor.exempt.items():
        assert any(fnmatchcase(name, glob) for name in names), glob
        assert len(why) > 10, glob
