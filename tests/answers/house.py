"""A gateway with live channels to scripted vendors, a caller with a live key, and a look into its books."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from tests.answers.vendor import Vendor
from tests.app.rigs import Rig, opened_gateway

from halley.console.commands import accounts
from halley.ledger import queries
from halley.ledger.model import AccountKind
from halley.settings import ChannelConfig, PriceConfig, Secret
from halley.testing.client import Reply
from halley.testing.gateway import settings_for
from halley.usage.model import Usage
from halley.usage.store import of_order

LIVE = "sk-a-live-key-of-the-first-start"
MODEL = "gpt-4o-mini"
CLAUDE, GEMINI = "claude-haiku-4-5", "gemini-2.5-flash"
SOON_S = 3.0
"""How long, in real time, something may take that happens of itself."""
HELLO = [{"role": "user", "content": "Hello there"}]
USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
PRICE = {"input_token": "1", "output_token": "2"}
PRICES = tuple(PriceConfig(model=model, meters=PRICE) for model in (MODEL, CLAUDE, GEMINI))
PER_INPUT, PER_OUTPUT = 1_000, 2_000
"""The same in nano-dollars per token."""


def completion(text: str = "Hi.", usage: Any = USAGE, **fields: Any) -> dict[str, Any]:
    """A chat completion as OpenAI writes it."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    body = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": MODEL, "choices": [choice]}
    return {**body, **({} if usage is None else {"usage": usage}), **fields}


def chunk(text: str | None = None, *, finish: str | None = None, **fields: Any) -> dict[str, Any]:
    """A chunk of a chat completion."""
    choice = {"index": 0, "delta": {} if text is None else {"content": text}, "finish_reason": finish}
    body = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": MODEL}
    return {**body, "choices": [choice], **fields}


def usage_chunk(usage: Any = USAGE) -> dict[str, Any]:
    """The chunk that only tells the usage."""
    return {**chunk(), "choices": [], "usage": usage}


class House:
    """What a test works with."""

    def __init__(self, rig: Rig, vendor: Vendor, second: Vendor, session: aiohttp.ClientSession) -> None:
        self.rig = rig
        self.vendor = vendor
        self.second = second
        self.session = session
        self.headers = {"authorization": f"Bearer {rig.key}"}

    async def post(self, path: str, body: Any, *, headers: Mapping[str, str] | None = None, key: str = "") -> Reply:
        """Make a call; bytes are sent as they are."""
        async with self.posting(path, body, headers=headers, key=key) as response:
            return Reply(
                method="POST",
                url=path,
                status=response.status,
                headers={name.lower(): value for name, value in response.headers.items()},
                body=await response.read(),
            )

    def posting(self, path: str, body: Any, *, headers: Mapping[str, str] | None = None, key: str = "") -> Any:
        """Make a call whose reply is read by the test."""
        data = body if isinstance(body, bytes | aiohttp.FormData) else json.dumps(body).encode()
        every = {**self.headers, **({"authorization": f"Bearer {key}"} if key else {}), **(headers or {})}
        if not isinstance(body, aiohttp.FormData):
            every["content-type"] = "application/json"
        return self.session.post(self.rig.gateway.url + path, data=data, headers=every)

    async def chat(self, *, key: str = "", headers: Mapping[str, str] | None = None, **fields: Any) -> Reply:
        """Chat in OpenAI's format."""
        return await self.post("/v1/chat/completions", chat_body(**fields), key=key, headers=headers)

    # books

    async def usages(self) -> list[Usage]:
        """All usage rows, in the order in which they were written."""
        rows = await self.rig.world.db.read(lambda tx: list(tx.all("SELECT order_id FROM usage ORDER BY rowid")))
        found = [await self._usage(row["order_id"]) for row in rows]
        return [row for row in found if row is not None]

    async def usage(self, count: int = 1) -> Usage:
        """Wait until that many calls are settled and nothing is held; the last row."""

        async def settled() -> bool:
            return len(await self.usages()) >= count and await self.rig.open_holds() == 0

        await soon(settled)
        rows = await self.usages()
        assert len(rows) == count
        return rows[-1]

    async def held(self) -> list[int]:
        """The amounts that are held now."""
        return [hold.amount_nanos for hold in await self.rig.world.db.read(queries.open_holds)]

    async def funded(self, nanos: int) -> str:
        """Make a prepaid account with so much money; a live key of it."""
        create = accounts.CreateAccount(name=f"a-{self.rig.world.ids.new()}", kind=AccountKind.PREPAID)
        row = await accounts.create(self.rig.world, create, lambda _: None)
        credit = accounts.CreditAccount(account=row.name, amount_nanos=nanos)
        await accounts.credit(self.rig.world, credit, lambda _: None)
        return await self.rig.make_key(account=row.name, livemode=True)

    async def channel_of(self, usage: Usage) -> str:
        """The name of the channel that a call ended on."""
        return self.rig.world.config.by_id[usage.channel_id or ""].name

    async def _usage(self, order_id: str) -> Usage | None:
        return await self.rig.world.db.read(lambda tx: of_order(tx, order_id=order_id, order_kind="answer"))


def chat_body(**fields: Any) -> dict[str, Any]:
    """A call in OpenAI's format."""
    return {"model": MODEL, "messages": HELLO, **fields}


async def soon(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something holds; or fail."""
    async with asyncio.timeout(SOON_S):
        while not await condition():  # noqa: ASYNC110 - what is looked at tells nobody
            await asyncio.sleep(0.005)


Channels = Callable[[Vendor, Vendor], tuple[ChannelConfig, ...]]


def channel(at: Vendor, name: str = "first", /, **changed: Any) -> ChannelConfig:
    """A channel to a scripted vendor that speaks OpenAI's format unless another is named."""
    values: dict[str, Any] = {"name": name, "vendor": "openai", "base_url": f"{at.url}/v1"}
    values["api_key"] = Secret(f"key-of-{name}")
    return ChannelConfig(**values | changed)


def one(**changed: Any) -> Channels:
    """One channel, to the first vendor."""
    return lambda first, _second: (channel(first, **changed),)


def three(first: Vendor, _second: Vendor) -> tuple[ChannelConfig, ...]:
    """One vendor that speaks every format, by a channel for each."""
    return (
        channel(first, "openai"),
        channel(first, "anthropic", vendor="anthropic", base_url=first.url),
        channel(first, "gemini", vendor="gemini", base_url=first.url),
    )


def two(first: Vendor, second: Vendor) -> tuple[ChannelConfig, ...]:
    """Two channels: the first is preferred."""
    return channel(first, priority=1), channel(second, "second")


@asynccontextmanager
async def opened(folder: Path, channels: Channels | None = None, **changed: Any) -> AsyncGenerator[House]:
    """Open a house; when it closes nothing is held and the books are right."""
    async with AsyncExitStack() as stack:
        first, second = [await stack.enter_async_context(Vendor()) for _ in range(2)]
        values: dict[str, Any] = {
            "channels": (channels or one())(first, second),
            "prices": PRICES,
            "bootstrap_key": Secret(LIVE),
            "sandbox": False,
            **changed,
        }
        rig = await stack.enter_async_context(opened_gateway(settings_for(folder, **values), key=LIVE))
        timeout = aiohttp.ClientTimeout(total=20)
        session = await stack.enter_async_context(aiohttp.ClientSession(timeout=timeout, auto_decompress=False))
        house = House(rig, first, second, session)
        yield house

        async def nothing_held() -> bool:
            return await rig.open_holds() == 0

        await soon(nothing_held)
        assert await rig.differences() == ()
        assert [each.name for each in rig.world.config.channels if rig.world.bounds.running(each.id)] == []
