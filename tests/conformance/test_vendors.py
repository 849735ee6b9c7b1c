"""Every operation of every vendor that takes tasks with every ending, through a whole gateway.

`make check-vendor V=name` runs one vendor's and prints the matrix.
"""

from collections.abc import AsyncIterator
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


@pytest.fixture(scope="module")
def vendor_name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def prices(vendor_name: str) -> tuple[PriceConfig, ...]:
    return priced_at_twice_the_cost(next(each for each in VENDORS if each.name == vendor_name))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(prices: tuple[PriceConfig, ...]) -> AsyncIterator[Rig]:
    """One gateway for all cells of a vendor."""
    with TemporaryDirectory(prefix="halley-") as folder:
        async with opened_gateway(settings_for(Path(folder), prices=prices)) as rig:
            yield rig


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("vendor_name", "cell"),
    [pytest.param(cell.vendor.name, cell, id=f"{cell.vendor.name}/{cell.name}") for cell in CELLS],
    indirect=["vendor_name"],
)
async def test_a_cell_of_the_matrix_ends_as_it_must(shared: Rig, cell: Cell) -> None:
    await drive(shared, cell, SAMPLES.get(cell.vendor.name) or sample_of(cell.vendor))


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)
def test_each_exemption_names_cells_and_a_reason(vendor: Vendor) -> None:
    names = [cell.name for cell in (*cells(vendor), *answer_cells(vendor))]
    for glob, why in vendor.exempt.items():
        assert any(fnmatchcase(name, glob) for name in names), glob
        assert len(why) > 10, glob
