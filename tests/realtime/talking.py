"""What a realtime client does: connects, says something, listens until an event; and what the books say of it."""

import asyncio
import base64
import json
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import uvicorn
from tests.app.rigs import Rig

from halley.api.app import Api
from halley.api.websocket_server import websocket_options

MODEL = "gpt-realtime"
COLUMNS = ("order_id", "order_kind", "model", "channel_id", "outcome", "price_nanos", "attempts")
EVENTS_MAX = 2_000
WAIT_S_MAX = 10.0
TEXT = {"type": "realtime", "output_modalities": ["text"], "instructions": "Answer briefly."}
SILENT = {"type": "realtime", "output_modalities": ["audio"], "audio": {"input": {"turn_detection": None}}}
SLOWLY = "[[halley delay=30]]"
"""An answer in so many seconds of the gateway's clock, which moves only when the test lets it."""
WEATHER = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


class Ended(Exception):
    """The other side closed."""

    def __init__(self, code: int | None, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code = code
        self.reason = reason


class Talk:
    """One session, from the caller's side."""

    def __init__(self, connection: aiohttp.ClientWebSocketResponse) -> None:
        self.connection = connection
        self.headers: Mapping[str, str] = connection._response.headers  # pyright: ignore[reportPrivateUsage] - aiohttp shows the head of an upgrade nowhere else
        self.seen: list[dict[str, Any]] = []

    async def tell(self, kind: str, **fields: Any) -> None:
        await self.connection.send_str(json.dumps({"type": kind, **fields}))

    async def say(self, text: str) -> None:
        """Say something and ask for an answer."""
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": "user", "content": content}
        await self.tell("conversation.item.create", item=item)
        await self.tell("response.create")

    async def next(self) -> dict[str, Any]:
        """Give the next event. Raises `Ended`."""
        message = await asyncio.wait_for(self.connection.receive(), WAIT_S_MAX)
        if message.type is not aiohttp.WSMsgType.TEXT:
            raise Ended(self.connection.close_code, str(message.extra or ""))
        event: dict[str, Any] = json.loads(message.data)
        self.seen.append(event)
        return event

    async def until(self, kind: str) -> dict[str, Any]:
        """Give the next event of a kind."""
        for _ in range(EVENTS_MAX):
            event = await self.next()
            if event["type"] == kind:
                return event
        raise AssertionError([event["type"] for event in self.seen])

    async def answered(self, text: str = "Say hello.") -> dict[str, Any]:
        """Take a turn; the answer as `response.done` tells it."""
        await self.say(text)
        return (await self.until("response.done"))["response"]

    async def started(self, session: Mapping[str, Any] = TEXT) -> None:
        """Begin with these settings."""
        await self.until("session.created")
        await self.tell("session.update", session=session)
        await self.until("session.updated")

    async def ended(self) -> Ended:
        """Listen to the end."""
        try:
            for _ in range(EVENTS_MAX):
                await self.next()
        except Ended as end:
            return end
        raise AssertionError([event["type"] for event in self.seen])


class Door:
    """The address, and what hangs behind it."""

    def __init__(self, rig: Rig, url: str, session: aiohttp.ClientSession) -> None:
        self.rig = rig
        self.url = url
        self._session = session

    @asynccontextmanager
    async def talk(
        self,
        *,
        key: str | None = None,
        model: str = MODEL,
        headers: Mapping[str, str] | None = None,
        protocols: tuple[str, ...] = (),
        query: str = "",
        size_max: int = 4 * 1024 * 1024,
    ) -> AsyncGenerator[Talk]:
        """Open a session. `key` empty: none is sent in a header. `size_max`: bytes of an event taken, 0 for any."""
        key = self.rig.key if key is None else key
        sent = {"authorization": f"Bearer {key}"} if key else {}
        url = f"{self.url}/v1/realtime?model={model}{query}"
        async with self._session.ws_connect(
            url, headers={**sent, **(headers or {})}, protocols=protocols, max_msg_size=size_max
        ) as opened:
            yield Talk(opened)

    async def refused(self, path: str, key: str | None = None, **headers: str) -> tuple[int, Any, Mapping[str, str]]:
        """Ask for an upgrade that is refused: status, JSON, headers."""
        asked = {
            "connection": "Upgrade",
            "upgrade": "websocket",
            "sec-websocket-version": "13",
            "sec-websocket-key": base64.b64encode(b"0" * 16).decode(),
            **({"authorization": f"Bearer {key}"} if key else {}),
            **headers,
        }
        async with self._session.get(self.url + path, headers=asked) as reply:
            return reply.status, json.loads(await reply.read()), reply.headers

    async def usage(self, *, at_least: int = 1) -> list[dict[str, Any]]:
        """Give the usage rows, oldest first, once there are so many."""

        async def rows() -> list[dict[str, Any]]:
            sql = "SELECT * FROM usage ORDER BY created_at, id"
            found = await self.rig.world.db.read(lambda tx: tx.all(sql))
            return [{name: row[name] for name in COLUMNS} | {"meters": json.loads(row["meters"])} for row in found]

        async def enough() -> bool:
            return len(await rows()) >= at_least

        await in_time(enough)
        return await rows()

    async def charged(self) -> list[dict[str, Any]]:
        """Give the usage rows that something was charged for, once nothing is held any more."""
        await in_time(self._nothing_held)
        return [row for row in await self.usage(at_least=0) if row["meters"]]

    async def _nothing_held(self) -> bool:
        return await self.rig.open_holds() == 0


async def in_time(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait in real time for what another task or thread is about to do."""
    async with asyncio.timeout(WAIT_S_MAX):
        while not await condition():  # noqa: ASYNC110 - it comes from other tasks and threads
            await asyncio.sleep(0.005)


@asynccontextmanager
async def listening(rig: Rig) -> AsyncGenerator[Door]:
    """Serve the gateway's API with websockets on a port of its own."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.bind(("127.0.0.1", 0))
    api = Api(rig.world)
    config = uvicorn.Config(
        api, lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=1, **websocket_options()
    )
    server = _Server(config)
    serving = asyncio.ensure_future(server.serve(sockets=[bound]))  # noqa: TID251 - awaited below
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.005)
    try:
        async with aiohttp.ClientSession() as session:
            yield Door(rig, f"http://127.0.0.1:{bound.getsockname()[1]}", session)
            async with asyncio.timeout(WAIT_S_MAX):
                await api.idle()
    finally:
        server.should_exit = True
        await serving
        bound.close()


class _Server(uvicorn.Server):
    def install_signal_handlers(self) -> None:
        """The test's process keeps its own."""
