"""A house per test, and one that tests of failpoints share within a process of the run."""

import os
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from tests.crash.house import House
from tests.database import postgres_server

__all__ = ["postgres_server"]


@pytest.fixture
def seeded() -> Random:
    """Chance that can be had again: the seed is printed with a failure."""
    seed = int(os.environ.get("HALLEY_CRASH_SEED") or Random().randrange(1_000_000))
    print(f"HALLEY_CRASH_SEED={seed}")
    return Random(seed)


@pytest.fixture
def house(tmp_path: Path, seeded: Random) -> Iterator[House]:
    made = House(tmp_path, seeded)
    yield made
    made.close()
