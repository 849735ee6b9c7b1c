"""A gateway before one scripted vendor; tests with other channels open a house of their own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.answers.house import House, opened
from tests.app.rigs import folder, journal_may_block

__all__ = ["folder", "journal_may_block"]


@pytest.fixture
async def house(folder: Path) -> AsyncIterator[House]:
    """One channel to one vendor."""
    async with opened(folder) as running:
        yield running
