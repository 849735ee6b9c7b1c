"""Every call that a vendor answers at once, whole and streamed, with every ending, through a whole gateway.

A vendor that shares the simulator of another is driven through the few cells that show how it is called; all of its
cells are with `make check-vendor V=name`.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import pytest_asyncio

from halley.testing.conformance import AnswerCell, answer_cells, drive_answer, owns_simulator
from halley.testing.gateway import Rig, opened_gateway, settings_for
from halley.vendors import load_vendors

VENDORS = tuple(load_vendors().values())


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "cell" not in metafunc.fixturenames:
        return
    wanted: str | None = metafunc.config.getoption("--vendor")
    found = [
        cell
        for vendor in VENDORS
        for cell in answer_cells(vendor, brief=vendor.name != wanted and not owns_simulator(vendor, VENDORS))
        if not cell.why_not
    ]
    metafunc.parametrize("cell", [pytest.param(cell, id=f"{cell.vendor.name}/{cell.name}") for cell in found])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared() -> AsyncIterator[Rig]:
    """One gateway for all cells of all vendors."""
    with TemporaryDirectory(prefix="halley-") as folder:
        async with opened_gateway(settings_for(Path(folder))) as rig:
            yield rig


@pytest.mark.asyncio(loop_scope="module")
async def test_an_answer_ends_as_its_cell_says(shared: Rig, cell: AnswerCell) -> None:
    await drive_answer(shared, cell)


@pytest.mark.parametrize("name", ["openai", "anthropic", "gemini"])
def test_who_owns_a_simulator_is_driven_through_all_of_its_cells(name: str) -> None:
    vendor = next(vendor for vendor in VENDORS if vendor.name == name)
    assert owns_simulator(vendor, VENDORS)


def test_who_shares_a_simulator_is_driven_through_a_few() -> None:
    vendor = next(vendor for vendor in VENDORS if vendor.name == "deepseek")
    assert not owns_simulator(vendor, VENDORS)
    assert {cell.name for cell in answer_cells(vendor, brief=True)} == {
        "openai.chat/success",
        "openai.chat/rate_limited",
        "openai.chat/vendor_error",
        "openai.chat+stream/success",
        "openai.chat+stream/cut_stream",
    }
