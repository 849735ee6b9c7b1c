"""The built-in simulators: one server per vendor that has one, on loopback, journalled in the data folder."""

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from secrets import token_hex

import msgspec

from halley.catalogue import Catalogue
from halley.kernel.clock import Clock
from halley.routing import Channel
from halley.settings import Settings
from halley.upstream.address import FetchPolicy
from halley.upstream.errors import UpstreamError
from halley.upstream.guard import Guard
from halley.vendors.contract import Vendor
from halley.vendors.simulate.host import CreateApp, OutsideError, SimulatorSettings
from halley.vendors.simulate.server import SimulatorServer

JOURNAL = "simulators.db"
MARK = "simulators.id"
INPUT_BYTES_MAX = 20 * 1024 * 1024
FETCH_S_MAX = 20
CALLBACK_S_MAX = 10
REPLY_BYTES_MAX = 64 * 1024


class Simulators(msgspec.Struct, frozen=True):
    """Those that run."""

    servers: tuple[SimulatorServer, ...]
    vendors: Mapping[str, SimulatorServer]
    """Vendor → who simulates it; vendors of one format share a server."""
    mark: str
    """Names their journal: several processes on one database each have simulators of their own."""

    def channels(self, vendors: Mapping[str, Vendor], catalogue: Catalogue) -> tuple[Channel, ...]:
        """Give a channel to each vendor; only test keys see them."""
        return tuple(_channel(vendors[name], server, catalogue, self.mark) for name, server in self.vendors.items())

    def stop(self) -> None:
        """Stop them all; their journals stay."""
        for server in self.servers:
            server.stop_soon()
        for server in self.servers:
            server.stop()


def start_simulators(
    vendors: Mapping[str, Vendor], settings: Settings, clock: Clock, allow: Iterable[str]
) -> Simulators:
    """Start one server per simulator. `allow` are private addresses that they may call: the gateway's own."""
    outside = SimulatorSettings(
        clock=clock,
        open_outside=lambda: open_outside((*settings.fetch_allow, *allow)),
        delay_s=settings.sandbox_delay_s,
    )
    servers: dict[str, SimulatorServer] = {}
    for vendor in vendors.values():
        if not vendor.simulator or vendor.simulator in servers:
            continue
        server = simulator_of(vendor, outside, journal=settings.data_dir / JOURNAL, folder=settings.data_dir)
        server.start()
        servers[vendor.simulator] = server
    simulated = {vendor.name: servers[vendor.simulator] for vendor in vendors.values() if vendor.simulator}
    return Simulators(tuple(servers.values()), simulated, _mark(settings.data_dir / MARK))


def simulator_of(
    vendor: Vendor, outside: SimulatorSettings, *, journal: Path | str, folder: Path | None, port: int = 0
) -> SimulatorServer:
    """Make a vendor's simulator; it is not started yet."""
    module, _, function = vendor.simulator.partition(":")
    create_app: CreateApp = getattr(import_module(module), function)
    remembered = None if folder is None else folder / f"simulator-{vendor.name}.port"
    return SimulatorServer(vendor.name, create_app, outside, journal_path=journal, port=port, port_file=remembered)


def _mark(path: Path) -> str:
    """Read the name of this folder's journal, made at the first start."""
    if not path.exists():
        path.write_text(token_hex(4))
    return path.read_text().strip()


@asynccontextmanager
async def open_outside(allow: Sequence[str]) -> AsyncGenerator["_Outside"]:
    """The way out of a simulator: through a guard of its own, on its own loop."""
    guard = Guard(FetchPolicy(allow=tuple(allow)))
    try:
        yield _Outside(guard)
    finally:
        await guard.aclose()


class _Outside:
    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    async def fetch(self, url: str) -> bytes:
        try:
            reply = await self._guard.fetch(url, bytes_max=INPUT_BYTES_MAX, timeout_s=FETCH_S_MAX)
        except UpstreamError as error:
            raise OutsideError(error.message) from error
        if reply.status != 200:  # noqa: PLR2004 - the one status that carries the file
            message = f"the address answered with status {reply.status}"
            raise OutsideError(message)
        return reply.body

    async def send_callback(self, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> int:
        try:
            reply = await self._guard.post(
                url, body=body, headers=tuple(headers), timeout_s=CALLBACK_S_MAX, bytes_max=REPLY_BYTES_MAX
            )
        except UpstreamError as error:
            raise OutsideError(error.message) from error
        return reply.status


def _channel(vendor: Vendor, server: SimulatorServer, catalogue: Catalogue, mark: str) -> Channel:
    name = vendor.name
    return Channel(
        id=f"sandbox-{name}-{mark}",
        name=f"sandbox-{name}",
        vendor=name,
        base_url=server.url + vendor.simulator_path,
        credential=None,
        models=tuple(model for model, rows in catalogue.models.items() if name in rows),
        # Where a model has a simulator of its own vendor, that one answers, not a reseller's.
        priority=1 if server.vendor_name == name else 0,
        managed="sandbox",
        refused_url=server.refused_url + vendor.simulator_path,
    )
