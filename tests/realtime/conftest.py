"""A gateway whose API listens once more, with websockets."""

from collections.abc import AsyncIterator

import pytest
from tests.app.rigs import Rig, folder, journal_may_block, rig
from tests.realtime.talking import Door, listening

__all__ = ["folder", "journal_may_block", "rig"]


@pytest.fixture
async def door(rig: Rig) -> AsyncIterator[Door]:
    """Where realtime sessions are opened; when all have ended nothing is held any more."""
    async with listening(rig) as opened:
        yield opened
    assert await rig.open_holds() == 0
