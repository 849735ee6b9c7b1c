"""A whole gateway for a test: free ports, a folder of its own, short time-outs, and a clock that the test moves."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import msgspec

from halley.app import Gateway
from halley.console.commands import keys
from halley.kernel.ids import parse_task_id
from halley.ledger.verify import verify
from halley.pipeline.vendor import call_vendor
from halley.routing import Bounds, Health
from halley.settings import Settings
from halley.tasks import Task
from halley.tasks import store as tasks
from halley.testing.client import GatewayClient
from halley.testing.clock import FakeClock
from halley.testing.wire import BrokenWire
from halley.usage.model import Usage
from halley.usage.store import of_order
from halley.vendors.contract import tasks_of
from halley.vendors.simulate.job import Job
from halley.vendors.simulate.journal import Journal
from halley.world import World, load_config

T = TypeVar("T")
P = ParamSpec("P")
ANSWER_TIMEOUT_S = 0.4
TURN_S = 0.003
"""How long the loop turns, in real time, before the clock is moved again."""
QUIET_TURNS = 5
"""Of the loop, in which nothing is under way: who was told of something has gone on by then."""
STEP_S = 0.25
STEP_S_MAX = 20.0
STEP_GROWTH = 1.1
REAL_S_MAX = 30.0
"""How long anything may take in real time: a test that hangs fails."""


R = TypeVar("R", bound="Rig")


def settings_for(folder: Path, **changed: Any) -> Settings:
    """What a test's gateway runs with."""
    settings = Settings(
        data_dir=folder,
        port=0,
        sandbox_delay_s=0.0,
        answer_timeout_s=ANSWER_TIMEOUT_S,
        connect_timeout_s=1.0,
        drain_s=2.0,
    )
    return msgspec.structs.replace(settings, **changed)


class Rig:
    """A running gateway with its clock, its simulators' journals, the broken wire, and a caller."""

    def __init__(self, gateway: Gateway, clock: FakeClock, wire: BrokenWire, key: str) -> None:
        self.gateway = gateway
        self.clock = clock
        self.wire = wire
        self.key = key
        """A test key."""
        self._client = self.connect(key)
        self._sandbox = gateway.world.sandbox

    @property
    def world(self) -> World:
        """What the gateway is made of."""
        return self.gateway.world

    async def make_key(self, *, account: str = "default", project: str = "default", **terms: Any) -> str:
        """Make one more key; the account must be there."""
        made = await keys.create(self.world, keys.CreateKey(account=account, project=project, **terms), _nobody)
        return made.key

    async def revoke(self, key: str) -> None:
        """Revoke a key, as the operator would."""
        await keys.revoke(self.world, keys.RevokeKey(key=key), _nobody)

    def connect(self, key: str) -> GatewayClient:
        """Make a caller with this key; it is not open yet."""
        return GatewayClient(self.gateway.url, key)

    @property
    def client(self) -> GatewayClient:
        """The caller with the first key."""
        return self._client

    # time

    async def turn(self, seconds: float = 0.0) -> None:
        """Move the clock by that much and let the loop turn.

        Nothing moves while anything is under way, be it a call, a thread or the database, in any gateway on this clock.
        """
        async with asyncio.timeout(REAL_S_MAX):
            quiet = 0
            while quiet < QUIET_TURNS:
                is_held = self.clock.is_held
                quiet = 0 if is_held else quiet + 1
                await asyncio.sleep(TURN_S if is_held else 0)
        self.clock.advance(seconds)
        await asyncio.sleep(TURN_S)

    async def settle(
        self, until: Callable[[], Awaitable[Any]], *, within_s: float = 120.0, step_s: float = STEP_S
    ) -> None:
        """Move the clock, first in small then in larger steps, until a condition holds; or fail."""
        ends = self.clock.monotonic() + within_s
        async with asyncio.timeout(REAL_S_MAX):
            while not await until():
                assert self.clock.monotonic() < ends, f"it did not come to pass within {within_s:g} s of the clock"
                await self.turn(step_s)
                step_s = min(step_s * STEP_GROWTH, STEP_S_MAX)

    async def pass_time(self, seconds: float, *, step_s: float = 10.0) -> None:
        """Let time go by, step by step, so that whoever sleeps wakes in between."""
        while seconds > 0:
            await self.turn(min(step_s, seconds))
            seconds -= step_s

    async def while_ticking(self, work: Awaitable[T], *, step_s: float = STEP_S) -> T:
        """Await something that waits for the clock."""
        running = asyncio.ensure_future(work)  # noqa: TID251 - awaited right here
        async with asyncio.timeout(REAL_S_MAX):
            while not running.done():
                await self.turn(step_s)
        return await running

    # tasks

    async def task(self, identity: str) -> Task:
        """A task's row, by any spelling of its id."""
        known = parse_task_id(identity)
        assert known is not None, identity
        found = await self.world.db.read(lambda tx: tasks.find_task(tx, known))
        assert found is not None, identity
        return found

    async def ended(self, identity: str, *, within_s: float = 120.0) -> Task:
        """Let time go by until a task has ended; its row."""
        await self.reach(identity, "succeeded", "failed", "cancelled", within_s=within_s)
        return await self.task(identity)

    async def reach(self, identity: str, *states: str, within_s: float = 120.0) -> Task:
        """Let time go by until a task is in one of these states."""

        async def there() -> bool:
            return (await self.task(identity)).state in states

        await self.settle(there, within_s=within_s)
        return await self.task(identity)

    async def set_poll_url(self, task_id: str, url: str) -> None:
        """Let a task be polled elsewhere, as a vendor that was taken over might want."""
        await self.world.db.write(
            "test", lambda tx: tx.run("UPDATE tasks SET poll_url = :url WHERE id = :id", {"url": url, "id": task_id})
        )

    async def last_task(self) -> Task:
        """The youngest task of all."""
        which = tasks.TaskFilter()
        return (await self.world.db.read(lambda tx: tasks.list_tasks(tx, which, 1)))[0]

    async def usage(self, task: Task) -> Usage | None:
        """The usage row of a task; None until it has ended."""
        return await self.world.db.read(lambda tx: of_order(tx, order_id=task.id, order_kind="task"))

    # books and vendors

    async def differences(self) -> tuple[str, ...]:
        """What `halley ledger verify` finds."""
        return (await self.world.db.read(verify)).differences

    async def open_holds(self) -> int:
        """How many holds are neither posted nor voided."""
        row = await self.world.db.read(lambda tx: tx.one("SELECT count(*) AS n FROM open_holds"))
        assert row is not None
        return row["n"]

    async def posted(self, task: Task) -> int:
        """What was posted for a task, in nano-dollars."""
        row = await self.world.db.read(
            lambda tx: tx.one(
                "SELECT coalesce(sum(amount_nanos), 0) AS n FROM transfers"
                " WHERE hold_id = :id AND kind IN ('post', 'excess')",
                {"id": task.hold_id},
            )
        )
        assert row is not None
        return int(row["n"])

    async def jobs(self, vendor: str, after: int = 0) -> list[Job]:
        """The simulator's journal: jobs after that place."""
        return [job for job in await self._journal(vendor, Journal.all) if job.seq > after]

    async def inputs(self, vendor: str, job: Job) -> tuple[bytes, ...]:
        """The input images that a job came with, as the simulator kept them."""
        return await self._journal(vendor, lambda journal: journal.inputs(job))

    async def last_job(self, vendor: str) -> int:
        """The place of the journal's last job; 0 for none."""
        newest = await self._journal(vendor, lambda journal: journal.page(limit=1))
        return newest[0].seq if newest else 0

    async def stored_objects(self) -> list[str]:
        """The keys of everything in the object store; it must be a folder."""
        folder = self.world.settings.objects_path
        assert folder is not None

        def found() -> list[str]:
            return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())

        return await asyncio.to_thread(found)

    async def requests(self, vendor: str) -> dict[str, int]:
        """How many requests the simulator had, by route."""
        return await self._journal(vendor, Journal.requests)

    async def vendor_secret(self, vendor: str) -> str:
        """What the simulator signs the gateway's callbacks with, asked for as the gateway does."""
        callbacks = tasks_of(self.world.vendors[vendor]).callbacks
        assert callbacks is not None
        assert callbacks.write_secret is not None
        assert callbacks.read_secret is not None
        channel = next(each for each in self._sandbox if each.vendor == vendor)
        return callbacks.read_secret(
            await call_vendor(self.world, channel, callbacks.write_secret(), operation="callback_secret")
        )

    async def serve_only(self, *vendors: str) -> None:
        """Let only these vendors' simulators take orders from now on; without names, all. Failures are forgotten."""
        world = self.world
        world.health, world.bounds = Health(), Bounds()
        world.sandbox = tuple(
            msgspec.structs.replace(channel, enabled=not vendors or channel.vendor in vendors)
            for channel in self._sandbox
        )
        world.config = await world.db.read(lambda tx: load_config(tx, world.clock.now(), world.sandbox))

    async def _journal(self, vendor: str, query: Callable[[Journal], T]) -> T:
        path = self.world.settings.data_dir / "simulators.db"

        def read() -> T:
            journal = Journal(path, vendor=vendor)
            try:
                return query(journal)
            finally:
                journal.close()

        return await asyncio.to_thread(read)


@asynccontextmanager
async def opened_gateway(
    settings: Settings, *, clock: FakeClock | None = None, key: str = "", environ: dict[str, str] | None = None
) -> AsyncGenerator[Rig]:
    """Start a gateway; when it is left the clock goes on moving until it has stopped.

    `key`: the test key of an earlier start in the same folder, since it is shown only once.
    """
    async with opened_rig(Rig, settings, clock=clock, key=key, environ=environ) as rig:
        yield rig


@asynccontextmanager
async def opened_rig(
    kind: type[R],
    settings: Settings,
    *,
    clock: FakeClock | None = None,
    key: str = "",
    environ: dict[str, str] | None = None,
) -> AsyncGenerator[R]:
    """The same for a rig that can do more."""
    clock = clock or FakeClock()
    wire = BrokenWire()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(wire.running())
        gateway = Gateway(settings, clock=clock, environ=environ or {})
        await gateway.__aenter__()
        stack.push_async_callback(_stop, gateway, clock)
        wire.interpose(gateway.world)
        key = key or gateway.welcome.test_key or (settings.bootstrap_key.reveal() if settings.bootstrap_key else "")
        rig = kind(gateway, clock, wire, key)
        await stack.enter_async_context(rig.client)
        threads = CountedThreads()
        asyncio.get_running_loop().set_default_executor(threads)
        stack.enter_context(clock.holding(lambda: bool(wire.busy or threads.jobs) or gateway.world.db.at_work))
        yield rig


class CountedThreads(ThreadPoolExecutor):
    """What a loop hands blocking work to, and what of it is not done."""

    def __init__(self) -> None:
        super().__init__(thread_name_prefix="halley-test")
        self.jobs: set[Future[Any]] = set()
        """Those that are not done."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Count a job until it is done."""
        future = super().submit(fn, *args, **kwargs)
        self.jobs.add(future)
        future.add_done_callback(self.jobs.discard)
        return future


async def _stop(gateway: Gateway, clock: FakeClock) -> None:
    stopping = asyncio.ensure_future(gateway.__aexit__(None, None, None))  # noqa: TID251 - awaited right here
    async with asyncio.timeout(REAL_S_MAX):
        while not stopping.done():
            clock.advance(STEP_S)
            await asyncio.sleep(TURN_S)
    await stopping


def leaks(client: GatewayClient, secrets: Sequence[str]) -> list[str]:
    """Which of these texts occur in a reply that the caller got, and where."""
    return [
        f"{reply.method} {reply.url}: {secret}"
        for reply in client.replies
        for secret in secrets
        if secret and secret in reply.text
    ]


def _nobody(_progress: object) -> None:
    """Hears how far a command is."""
