"""One struct that names everything a call or a job may use."""

from asyncio import Future
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager

import msgspec

from halley.assets import ObjectStore
from halley.catalogue import Catalogue
from halley.db import Database
from halley.kernel.clock import Clock
from halley.kernel.failpoints import Failpoints
from halley.kernel.ids import Ids
from halley.kernel.vault import Vault
from halley.limits import Limiter
from halley.routing import Bounds, Channel, Health
from halley.settings import Settings
from halley.tasks import Task
from halley.upstream.client import UpstreamClient
from halley.upstream.guard import Guard
from halley.vendors.contract import Dialect, Vendor
from halley.world.boots import Still
from halley.world.callers import Callers
from halley.world.config import Config
from halley.world.metrics import Metrics
from halley.world.seldom import Seldom


class World(msgspec.Struct, kw_only=True):
    """The process. Everything is set once at start but `config`, which a reload replaces whole, and the last three."""

    settings: Settings
    db: Database
    clock: Clock
    ids: Ids
    vault: Vault
    draw: Callable[[], float]
    """Random numbers from 0 to 1, for weights and jitter."""
    vendors: Mapping[str, Vendor]
    dialects: Mapping[str, Dialect]
    catalogue: Catalogue
    upstream: UpstreamClient
    guard: Guard
    objects: ObjectStore
    health: Health
    bounds: Bounds
    limits: Limiter
    metrics: Metrics
    told: Seldom
    """Which lines of the log that could be many are written."""
    failpoints: Failpoints
    boot_id: str
    still: Still | None
    """Which other processes stand still; None with SQLite, where there can be no other."""
    callers: Callers
    config: Config
    sandbox: tuple[Channel, ...] = ()
    """The channels to the built-in simulators."""
    bound_url: str = ""
    """Where this process listens, e.g. `http://127.0.0.1:8000`."""
    callback_secrets: dict[str, str] = {}
    """Channel id → the vendor's signing secret for callbacks; emptied when the channels change."""
    submitting: set[str] = set()
    """Ids of the tasks that calls of this process are submitting right now."""
    answering: set[str] = set()
    """Order ids of the answers that calls of this process hold money for right now."""
    seeing_through: set[Future[None]] = set()
    """Orders on their way to a vendor, whose callers may have left."""
    insisting: set[Future[None]] = set()
    """Writes that nobody waits for and that the database was away for: they are tried again."""
    ready: bool = False
    draining: bool = False
    unanswered_since: float | None = None
    """On the clock, when the watch asked what the database has not answered since; None while it answers."""

    @property
    def base_url(self) -> str:
        """The public base URL for what no request gives one for, e.g. links in webhooks."""
        return (self.settings.public_url or self.bound_url).rstrip("/")

    @contextmanager
    def at_work(self, task_id: str) -> Generator[None]:
        """Note that this process works on a task that is not submitted yet, so that no sweep takes it for stranded."""
        self.submitting.add(task_id)
        try:
            yield
        finally:
            self.submitting.discard(task_id)

    def channel(self, channel_id: str) -> Channel | None:
        """Give a channel, also one that is disabled now."""
        return self.config.by_id.get(channel_id)

    def channel_of(self, task: Task) -> Channel | None:
        """Give the channel that a task runs through; None while its name is gone, or is another vendor's."""
        channel = self.channel(task.channel_id)
        return channel if channel is not None and channel.vendor == task.vendor else None
