"""A receiver of webhooks on a loopback port: it keeps what came and answers as it is told."""

from collections import deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiohttp import web

from halley.kernel import codec


class Hook(msgspec.Struct, frozen=True, kw_only=True):
    """One delivery as it came."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return codec.decode(self.body)


class Receiver:
    """`url` takes posts; `answers` are the statuses of the next ones, then 200. What lacks `takes_only` gets 500."""

    def __init__(self) -> None:
        self.url = ""
        self.hooks: list[Hook] = []
        self.answers: deque[int] = deque()
        self.takes_only = b""
        self.says = b""

    async def take(self, request: web.Request) -> web.Response:
        """Keep one."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        hook = Hook(headers=headers, body=await request.read())
        self.hooks.append(hook)
        if self.takes_only not in hook.body:
            return web.Response(status=500)
        return web.Response(status=self.answers.popleft() if self.answers else 200, body=self.says)


@asynccontextmanager
async def receiving() -> AsyncGenerator[Receiver]:
    """Listen while inside."""
    receiver = Receiver()
    application = web.Application()
    application.router.add_post("/hook", receiver.take)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield receiver
    finally:
        await runner.cleanup()
