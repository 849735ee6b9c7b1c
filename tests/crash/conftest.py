"""What a test that kills random moments needs: the seed, a house, and a PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from tests.crash.chance import SEED
from tests.crash.house import House
from tests.database import postgres_server

__all__ = ["postgres_server"]


@pytest.fixture
def seeded() -> Random:
    """Chance that can be had again: the seed is printed with a failure."""
    print(f"HALLEY_CRASH_SEED={SEED}")
    return Random(SEED)


@pytest.fixture
def house(tmp_path: Path, seeded: Random) -> Iterator[House]:
    made = House(tmp_path, seeded)
    yield made
    made.close()
