"""One gateway for all clients, a place that webhooks are sent to, and files of a user's own."""

import math
import struct
import wave
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


@pytest.fixture
def square(tmp_path: Path) -> Path:
    """A picture with an alpha channel and equal sides, as the older models want it."""
    path = tmp_path / "square.png"
    Image.new("RGBA", (256, 256), "teal").save(path)
    return path


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    """Of the size of `source`, with a hole in it."""
    path = tmp_path / "mask.png"
    drawn = Image.new("RGBA", (384, 256), (0, 0, 0, 255))
    drawn.paste((0, 0, 0, 0), (100, 50, 200, 150))
    drawn.save(path)
    return path


@pytest.fixture
def document(tmp_path: Path) -> Path:
    """A paper of one page."""
    path = tmp_path / "paper.pdf"
    Image.new("RGB", (200, 280), "white").save(path)
    return path


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """A second of a tone that nobody spoke."""
    path = tmp_path / "tone.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(struct.pack("<16000h", *(int(8_000 * math.sin(n / 6)) for n in range(16_000))))
    return path
