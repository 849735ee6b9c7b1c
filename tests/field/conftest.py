"""One gateway with two tenants: simulators answer their test keys, a vendor that notes everything their live keys."""

from collections.abc import Iterator
from itertools import count

import pytest
from tests.clients.receiver import Receiver
from tests.clients.served import Served, free_port, served
from tests.field.tenants import SECRET, Tenants
from tests.field.vendor import CREDENTIAL, RecordingVendor

_CONFIG = """
[[channels]]
name = "bfl-main"
vendor = "bfl"
base_url = "{url}/bfl"
api_key = "{credential}"
models = ["flux-*"]

[[channels]]
name = "replicate-main"
vendor = "replicate"
base_url = "{url}/replicate"
api_key = "{credential}"
models = ["black-forest-labs/*", "flux-schnell"]
priority = -1

[[channels]]
name = "openai-main"
vendor = "openai"
base_url = "{url}/openai/v1"
api_key = "{credential}"
models = ["gpt-4.1-nano"]

[[channels]]
name = "anthropic-main"
vendor = "anthropic"
base_url = "{url}/anthropic"
api_key = "{credential}"
models = ["claude-haiku-4-5"]

[[channels]]
name = "gemini-main"
vendor = "gemini"
base_url = "{url}/gemini"
api_key = "{credential}"
models = ["gemini-2.5-flash"]
"""


@pytest.fixture(scope="session")
def vendor() -> Iterator[RecordingVendor]:
    with RecordingVendor() as recording:
        yield recording


@pytest.fixture(scope="session")
def gateway(vendor: RecordingVendor) -> Iterator[Served]:
    port = free_port()
    environ = {
        "HALLEY_PORT": str(port),
        "HALLEY_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "HALLEY_SECRET": SECRET,
        "HALLEY_LOG_LEVEL": "debug",
    }
    with served(environ, config=_CONFIG.format(url=vendor.url, credential=CREDENTIAL)) as running:
        yield running
        running.assert_books_are_sound()


@pytest.fixture(scope="session")
def tenants(gateway: Served) -> Tenants:
    return Tenants.settle(gateway)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as listening:
        yield listening


@pytest.fixture(scope="session")
def _numbers() -> Iterator[int]:
    return count(1)


@pytest.fixture
def unique(_numbers: Iterator[int]) -> str:
    """A word that no other test of this run uses."""
    return f"word{next(_numbers):04d}"
