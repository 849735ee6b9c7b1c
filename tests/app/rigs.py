"""Fixtures for tests through a whole gateway.

A conftest takes them by name: `from tests.app.rigs import folder, journal_may_block, rig`.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from blockbuster import BlockBuster

from halley.catalogue.meters import METERS
from halley.catalogue.model import read_models
from halley.console.commands import accounts
from halley.kernel.money import MILLION, dollars
from halley.ledger.model import AccountKind
from halley.settings import PriceConfig, Settings
from halley.testing import gateway
from halley.testing.client import GatewayClient, Reply, order_headers
from halley.testing.gateway import opened_rig, settings_for
from halley.vendors.contract import Vendor

__all__ = ["Rig", "folder", "journal_may_block", "opened_gateway", "priced_at_twice_the_cost", "rig"]


class Client(GatewayClient):
    """A caller who knows both formats by heart."""

    async def flux(self, model: str = "flux-pro-1.1", /, ending: str = "", *, key: str = "", **fields: Any) -> Reply:
        """Order in Flux format."""
        body = {"prompt": "a red teapot", "width": 256, "height": 256, **fields}
        return await self.call("POST", f"/flux/v1/{model}", body, headers=order_headers(ending, key))

    async def get_result(self, identity: str) -> Any:
        """Fetch in Flux format; the body."""
        return (await self.call("GET", f"/flux/v1/get_result?id={identity}")).json

    async def replicate(
        self,
        model: str = "black-forest-labs/flux-dev",
        /,
        ending: str = "",
        *,
        key: str = "",
        headers: Mapping[str, str] | None = None,
        outer: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> Reply:
        """Order in Replicate format; `fields` go into `input`, `outer` beside it."""
        body = {"input": {"prompt": "a red teapot", "megapixels": "0.25", **fields}, **(outer or {})}
        if model.endswith(("pro", "max", "ultra")):
            body["input"].pop("megapixels")
        every = {**order_headers(ending, key), **(headers or {})}
        return await self.call("POST", f"/replicate/v1/models/{model}/predictions", body, headers=every)

    async def prediction(self, identity: str) -> Reply:
        """Fetch in Replicate format."""
        return await self.call("GET", f"/replicate/v1/predictions/{identity}")


class Rig(gateway.Rig):
    """A gateway whose callers know both formats."""

    def connect(self, key: str) -> Client:
        return Client(self.gateway.url, key)

    @property
    def client(self) -> Client:
        assert isinstance(self._client, Client)
        return self._client

    @asynccontextmanager
    async def stranger(self) -> AsyncGenerator[Client]:
        """A caller of another account, with a test key."""
        create = accounts.CreateAccount(name=f"stranger-{self.world.ids.new()}", kind=AccountKind.PREPAID)
        account = await accounts.create(self.world, create, lambda _: None)
        async with self.connect(await self.make_key(account=account.name)) as client:
            yield client


@asynccontextmanager
async def opened_gateway(settings: Settings, **options: Any) -> AsyncGenerator[Rig]:
    """Start a gateway; see `halley.testing.gateway.opened_rig`."""
    async with opened_rig(Rig, settings, **options) as running:
        yield running


@pytest.fixture(scope="session", autouse=True)
def journal_may_block(_loop_is_never_blocked: BlockBuster) -> None:
    """Let the simulators' own loops wait for their own journal (see the note in journal.py), and start and stop block.

    Before it listens and after the last call has ended, the gateway has nobody to keep waiting.
    """
    for name, function in _loop_is_never_blocked.functions.items():
        if name.startswith("sqlite3."):
            function.can_block_in("simulate/journal.py", {"_rows", "_change"})
        function.can_block_in("halley/app/gateway.py", {"_start", "__aexit__"})
        # When coverage is measured, its own lock and files are met anywhere.
        function.can_block_in("coverage/control.py", {"_should_trace"})
        function.can_block_in("coverage/collector.py", {"lock_data"})
    # A traceback that is rendered quotes files, which the guard takes for a blocked loop.
    structlog.configure(processors=[structlog.processors.KeyValueRenderer()])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The data folder; short, for the local socket's path is bounded."""
    return tmp_path / "d"


@pytest.fixture
async def rig(folder: Path) -> AsyncIterator[Rig]:
    """A gateway with its usual settings, on a clock that the test moves; its books are right at the end."""
    async with opened_gateway(settings_for(folder)) as running:
        yield running
        assert await running.differences() == ()


def priced_at_twice_the_cost(vendor: Vendor) -> tuple[PriceConfig, ...]:
    """Each model at twice what the vendor bills, so that a cost of the vendor's is never mistaken for a price."""
    return tuple(
        PriceConfig(model=model.id, meters={meter: _dollars(meter, 2 * cost) for meter, cost in model.cost.items()})
        for model in read_models(vendor)
    )


def _dollars(meter: str, nanos_per_million: int) -> str:
    return dollars(nanos_per_million * METERS[meter] // MILLION)
