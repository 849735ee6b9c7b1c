"""One gateway for all clients, and a place that webhooks are sent to."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from tests.clients.receiver import Receiver
from tests.clients.served import Served, served


@pytest.fixture(scope="session")
def gateway() -> Iterator[Served]:
    with served({"HALLEY_FETCH_ALLOW": "127.0.0.1"}) as running:
        yield running


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as listening:
        yield listening


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A picture of the user's own, to be edited."""
    path = tmp_path / "source.png"
    Image.new("RGB", (384, 256), "teal").save(path)
    return path
