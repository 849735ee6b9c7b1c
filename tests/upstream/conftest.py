"""A client, a guard, and a certificate of an authority that only these tests know."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import NamedTuple

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from halley.kernel import volley
from halley.kernel.clock import SystemClock
from halley.upstream import FastClient
from halley.upstream.address import FetchPolicy
from halley.upstream.guard import Guard

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}
"""uvloop serves; asyncio is what most other tests, and platforms without uvloop, run on."""
ON_BOTH_LOOPS = frozenset(
    {
        "test_client.py",
        "test_connect.py",
        "test_framing.py",
        "test_keep_alive.py",
        "test_streams.py",
        "test_whole.py",
    }
)


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The client meets each loop's own transports, so its tests run on both."""
    del config
    return LOOPS if item.path.name in ON_BOTH_LOOPS else {"asyncio": asyncio.new_event_loop}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.definition.path.name in ON_BOTH_LOOPS:
        metafunc.parametrize("crowd", ["alone", "crowded"], indirect=True)


@pytest.fixture(autouse=True)
def crowd(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests go out at once, or at the end of the loop's turn."""
    if getattr(request, "param", "alone") == "crowded":
        monkeypatch.setattr(volley, "CROWD", 0)


class Tls(NamedTuple):
    server: ssl.SSLContext
    client: ssl.SSLContext
    roots_pem: bytes


@pytest.fixture
async def client() -> AsyncIterator[FastClient]:
    client = FastClient(SystemClock())
    yield client
    await client.aclose()


@pytest.fixture
async def guard() -> AsyncIterator[Guard]:
    """Nothing private is permitted."""
    guard = Guard(FetchPolicy())
    yield guard
    await guard.aclose()


@pytest.fixture
async def open_guard() -> AsyncIterator[Guard]:
    """The operator permits loopback."""
    guard = Guard(FetchPolicy(allow=("127.0.0.0/8",)))
    yield guard
    await guard.aclose()


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "halley tests")])
    now = datetime(2026, 1, 1, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=36_500))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    path: Path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(
        pem
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    return Tls(server, ssl.create_default_context(cadata=pem.decode()), pem)
