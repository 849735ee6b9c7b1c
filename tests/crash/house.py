"""The set-up of a crash test: vendors that survive, a receiver, callers, and a gateway that dies and comes back."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from random import Random

import aiohttp
import msgspec
from tests.crash.books import Books, read_books, unsettled
from tests.crash.chats import MODEL, Chats
from tests.crash.invariants import violations, wrong_answers
from tests.crash.orders import Answered, Ending, Order, Orders
from tests.crash.processes import GatewayProcess, Job, VendorProcess, environment, refusing_origin
from tests.crash.receiver import Receiver

from halley.console.client import call
from halley.console.protocol import SOCKET_NAME, Request

LIVE_KEY = "sk-live-0123456789abcdefghijklmnop"
SECRET = "a-secret-that-only-crash-tests-use-0123456789"
DELAY_S = 0.3
SETTLE_S_MAX = 45.0
SETTLE_TURN_S = 0.1
DOWNLOADS_AT_ONCE = 8
_CONFIG = """
[[channels]]
name = "bfl-main"
vendor = "bfl"
base_url = "{bfl}"
api_key = "any"
models = ["flux-pro-1.1", "flux-dev"]

[[channels]]
name = "replicate-main"
vendor = "replicate"
base_url = "{replicate}"
api_key = "any"
models = ["flux-schnell", "flux-kontext-pro"]

[[channels]]
name = "replicate-away"
vendor = "replicate"
base_url = "{refused}"
api_key = "any"
models = ["flux-dev"]
priority = 10

[[channels]]
name = "openai-main"
vendor = "openai"
base_url = "{openai}/v1"
api_key = "any"
models = ["{model}"]
"""


class House:
    """Made before the first start; `close` ends what still runs."""

    def __init__(
        self, folder: Path, random: Random, settings: Mapping[str, str] | None = None, *, delay_s: float = DELAY_S
    ) -> None:
        self.folder = folder
        self._open = ExitStack()
        self.receiver = Receiver()
        self._open.callback(self.receiver.close)
        self.vendors: list[VendorProcess] = []
        for name in ("bfl", "replicate"):
            self.vendors.append(VendorProcess(name, folder, delay_s))
            self._open.callback(self.vendors[-1].stop)
        self.answerer = VendorProcess("openai", folder, delay_s)
        """Who answers chats; it keeps no jobs."""
        self._open.callback(self.answerer.stop)
        self.orders = Orders(LIVE_KEY, self.receiver.url, random)
        self.chats = Chats(LIVE_KEY)
        refusing, refused = refusing_origin()
        self._open.callback(refusing.close)
        urls = dict(zip(("bfl", "replicate"), (vendor.url for vendor in self.vendors), strict=True))
        config = folder / "halley.toml"
        config.write_text(_CONFIG.format(refused=refused, openai=self.answerer.url, model=MODEL, **urls))
        self._settings = {
            "HALLEY_CONFIG": str(config),
            "HALLEY_BOOTSTRAP_KEY": LIVE_KEY,
            "HALLEY_SECRET": SECRET,
            "HALLEY_FETCH_ALLOW": "127.0.0.1",
            "HALLEY_LOG_FORMAT": "json",
            "HALLEY_LOG_LEVEL": "warning",
        } | dict(settings or {})
        self.gateway = self.another("gateway")
        self.database_url = self._settings.get("HALLEY_DATABASE_URL", f"sqlite:///{self.gateway.folder}/data/halley.db")
        self.healthy = True
        """False after a failed test: then the next one makes a house of its own."""

    def another(self, name: str, **more: str) -> GatewayProcess:
        """Make one more gateway with the same settings, e.g. a replica; it is not started yet."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        made = GatewayProcess(folder, self._settings | more)
        self._open.callback(made.close)
        return made

    def jobs(self) -> list[Job]:
        """Every job of every vendor."""
        return [job for vendor in self.vendors for job in vendor.jobs()]

    async def load_and_kill(self, after_s: float, *, whole_tree: bool) -> None:
        """Kill the gateway under load."""
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.orders.load([self.gateway.url], stop))
            await asyncio.sleep(after_s)
            self.gateway.kill(whole_tree=whole_tree)
            stop.set()

    async def send(self, *orders: Order) -> list[Answered | None]:
        """Send some orders at once."""
        async with self.orders.session() as session:
            sending = (self.orders.send(session, self.gateway.url, order) for order in orders)
            return await asyncio.gather(*sending)

    async def settle(self) -> None:
        """Wait until nothing is left to be done, but for what nobody can ever know."""
        ends = time.monotonic() + SETTLE_S_MAX
        # Beside the loop, which no call to a database may hold up.
        while left := await asyncio.to_thread(self._unsettled):
            if time.monotonic() >= ends:
                raise TimeoutError(f"not settled within {SETTLE_S_MAX} s: {left[:10]}\n{self.gateway.tail()}")
            await asyncio.sleep(SETTLE_TURN_S)

    async def books(self) -> Books:
        """Read what was written down."""
        return await asyncio.to_thread(read_books, self.database_url)

    async def check(self, url: str | None = None) -> None:
        """Hold everything against everything. Raises with all that is wrong."""
        books = await self.books()
        jobs = await asyncio.to_thread(self.jobs)
        wrong = violations(books, jobs, self.orders, self.receiver.received())
        wrong += wrong_answers(books, self.chats.heard)
        wrong += await self._undownloadable(url or self.gateway.url)
        assert not wrong, "\n".join([f"{len(wrong)} violations:", *wrong[:30]])

    async def command(self, name: str, args: Mapping[str, object]) -> object:
        """Run a command of the operator in the gateway."""
        request = Request(command=name, args=msgspec.Raw(msgspec.json.encode(args)))
        socket = self.gateway.folder / "data" / SOCKET_NAME
        return await asyncio.to_thread(call, socket, request, lambda _: None)

    def command_line(self) -> dict[str, str]:
        """The environment in which `halley` means this gateway."""
        return environment(self._settings | {"HALLEY_DATA_DIR": str(self.gateway.folder / "data")})

    def close(self) -> None:
        """End all of it, the gateways first."""
        self._open.close()

    def _unsettled(self) -> list[str]:
        findable = frozenset(job.tag for job in self.jobs() if job.vendor == "replicate")
        return unsettled(self.database_url, findable)

    async def _undownloadable(self, url: str) -> list[str]:
        """List accepted orders whose image cannot be had by the caller."""
        room = asyncio.Semaphore(DOWNLOADS_AT_ONCE)
        good = {each.order.tag: each for each in self.orders.answers if each.task_id and not each.replayed}
        wanted = [each for each in good.values() if each.order.ending is Ending.SUCCESS]

        async def look(session: aiohttp.ClientSession, answered: Answered) -> str | None:
            async with room:
                return await _download(session, url, answered)

        async with self.orders.session() as session:
            found = await asyncio.gather(*(look(session, each) for each in wanted))
        return [wrong for wrong in found if wrong is not None]


async def _download(session: aiohttp.ClientSession, url: str, answered: Answered) -> str | None:
    async with session.get(f"{url}/flux/v1/get_result", params={"id": str(answered.task_id)}) as reply:
        shown = await reply.json()
    if shown["status"] != "Ready":
        return f"{answered.order.tag} was accepted and is shown as {shown['status']}"
    async with session.get(shown["result"]["sample"]) as reply:
        start = (await reply.read())[:4]
    return None if start in (b"\x89PNG", b"RIFF") or start[:2] == b"\xff\xd8" else f"{answered.order.tag}: no image"
