"""A vendor's simulator on a real socket and a plain client of it, for vendors whose answers come within the call."""

import asyncio
import io
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
from blockbuster import BlockBuster
from PIL import Image
from tests.vendors.bfl.support import StillClock

from halley.kernel.loose import as_list
from halley.kernel.sse import Splitter
from halley.vendors.simulate import CreateApp, OutsideError, SimulatorServer, SimulatorSettings, outside_of

TIMEOUT_S = 20


class Got(msgspec.Struct, frozen=True, kw_only=True):
    """What was answered."""

    status: int
    headers: dict[str, str]
    body: bytes
    is_whole: bool = True
    """False if the connection ended before the answer did."""

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def frames(self) -> list[Any]:
        """The data of each whole event."""
        found = [frame for _, frame in Splitter().feed(self.body) if frame is not None]
        return [msgspec.json.decode(frame.data) for frame in found if frame.data != b"[DONE]"]

    @property
    def events(self) -> list[str]:
        """The names of the events."""
        return [frame.event for _, frame in Splitter().feed(self.body) if frame is not None]


class Sandbox:
    """The simulator and a client of it."""

    def __init__(self, server: SimulatorServer, clock: StillClock, headers: dict[str, str]) -> None:
        self.server = server
        self.clock = clock
        self.headers = headers

    async def post(self, path: str, body: Any, **headers: str) -> Got:
        """Send JSON; a header's `_` is sent as `-`, and an empty header is left out."""
        return await self._send("POST", path, msgspec.json.encode(body), {"content-type": "application/json"} | headers)

    async def form(self, path: str, fields: dict[str, Any], **headers: str) -> Got:
        """Send a form; bytes are sent as a file."""
        form = aiohttp.FormData(default_to_multipart=True)
        for name, value in fields.items():
            for each in as_list(value) or [value]:
                if isinstance(each, bytes):
                    form.add_field(name, io.BytesIO(each), filename="sound")
                else:
                    form.add_field(name, each)
        return await self._send("POST", path, form, headers)

    async def get(self, path: str, **headers: str) -> Got:
        return await self._send("GET", path, None, headers)

    async def _send(self, method: str, path: str, data: Any, headers: dict[str, str]) -> Got:
        given = self.headers | {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {name: value for name, value in given.items() if value}
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        parts: list[bytes] = []
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.request(method, self.server.url + path, data=data, headers=sent) as reply,
        ):
            received = {name.lower(): value for name, value in reply.headers.items()}
            try:
                while part := await reply.content.readany():
                    parts.append(part)
            except aiohttp.ClientPayloadError:
                return Got(status=reply.status, headers=received, body=b"".join(parts), is_whole=False)
            return Got(status=reply.status, headers=received, body=b"".join(parts))


@asynccontextmanager
async def simulated(vendor: str, create_app: CreateApp, headers: dict[str, str]) -> AsyncGenerator[Sandbox]:
    """A simulator that can fetch `…/fox.png` and nothing else."""

    async def fetch(url: str) -> bytes:
        if url.endswith("/fox.png"):
            return picture(320, 256)
        message = f"`{url}` is refused"
        raise OutsideError(message)

    clock = StillClock()
    settings = SimulatorSettings(clock=clock, open_outside=outside_of(fetch=fetch))
    server = SimulatorServer(vendor, create_app, settings)
    await asyncio.to_thread(server.start)
    try:
        yield Sandbox(server, clock, headers)
    finally:
        await asyncio.to_thread(server.stop)


def let_journal_block(guard: BlockBuster) -> None:
    """Let the simulator's own loop wait for its own journal, as it does in service."""
    for name, function in guard.functions.items():
        if name.startswith("sqlite3."):
            function.can_block_in("simulate/journal.py", {"_rows", "_change"})


def picture(width: int, height: int, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), (200, 40, 40)).save(out, kind)
    return out.getvalue()
