"""A caller of `/v1/responses` who also sees what the vendors are sent."""

import json
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import msgspec
from tests.app.rigs import Client, Rig

from halley.routing import Channel
from halley.testing.client import Reply
from halley.upstream.client import Prepared, UpstreamClient, UpstreamReply, UpstreamRequest, UpstreamStream
from halley.world import load_config

OPENAI, CLAUDE, GEMINI = "gpt-5.4-mini", "claude-sonnet-4-6", "gemini-2.5-flash"
OWNERS = ("openai", "anthropic", "gemini")
PATH = "/v1/responses"


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A call that a vendor was sent."""

    method: str
    url: str
    body: Any

    @property
    def path(self) -> str:
        return urlsplit(self.url).path


class _MadeUp:
    """A reply that no simulator would give."""

    status = 200
    head_us = 1

    def __init__(self, content_type: str, body: bytes) -> None:
        self.headers = {"content-type": content_type}
        self._body = body

    async def read(self) -> bytes:
        given, self._body = self._body, b""
        return given

    async def pour(self, tap: Callable[[bytes], bool]) -> None:
        """Hand on nothing."""

    async def read_all(self) -> bytes:
        return await self.read()

    async def aclose(self) -> None:
        pass

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class _Watched:
    """A client of vendors that remembers what it sent."""

    def __init__(self, inner: UpstreamClient) -> None:
        self._inner = inner
        self.sent: list[Sent] = []
        self.made_up: _MadeUp | None = None

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        self._note(request)
        return await self._inner.send(request)

    async def open(self, request: UpstreamRequest) -> UpstreamStream:
        self._note(request)
        return self.made_up or await self._inner.open(request)

    def prepare(self, request: UpstreamRequest) -> Prepared:
        return self._inner.prepare(request)

    def begin(self, prepared: Prepared, body: bytes) -> None:
        """Have everything opened."""

    async def aclose(self) -> None:
        await self._inner.aclose()

    def _note(self, request: UpstreamRequest) -> None:
        body = json.loads(request.body) if request.body else None
        self.sent.append(Sent(method=request.method, url=request.url, body=body))


class Responses:
    """Makes, fetches and deletes responses."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self._watched = _Watched(rig.world.upstream)
        rig.world.upstream = self._watched

    async def use_channels(self, which: Callable[[Channel], bool], also: tuple[str, str] = ("", "")) -> None:
        """Use only these channels, and of one more vendor one model."""
        world, (vendor, model) = self.rig.world, also

        def changed(one: Channel) -> Channel:
            if one.vendor == vendor:
                return msgspec.structs.replace(one, models=(model,), model_map={})
            return msgspec.structs.replace(one, enabled=one.enabled and which(one))

        world.sandbox = tuple(map(changed, world.sandbox))
        world.config = await world.db.read(lambda tx: load_config(tx, world.clock.now(), world.sandbox))

    @property
    def sent(self) -> list[Sent]:
        """What the vendors were sent so far."""
        return self._watched.sent

    def make_up(self, body: bytes, content_type: str = "application/json") -> None:
        """Let every vendor answer this from now on."""
        self._watched.made_up = _MadeUp(content_type, body)

    @property
    def last_sent(self) -> Any:
        """The last body that a vendor was sent."""
        return self.sent[-1].body

    async def call(self, given: Any = "Hello", /, model: str = OPENAI, **fields: Any) -> Reply:
        """Ask for a response."""
        return await self.rig.client.call("POST", PATH, {"model": model, "input": given, **fields})

    async def make(self, given: Any = "Hello", /, model: str = OPENAI, **fields: Any) -> Any:
        """Ask for a response; the body."""
        reply = await self.call(given, model, **fields)
        assert reply.status == 200, reply.text
        return reply.json

    async def fetch(self, identity: str, query: str = "", *, client: Client | None = None) -> Reply:
        """Fetch a response, or what a query says of it."""
        return await (client or self.rig.client).call("GET", f"{PATH}/{identity}{query}")

    async def items(self, identity: str, query: str = "") -> Any:
        """List what a response was made from; the body."""
        reply = await self.fetch(identity, f"/input_items{query}")
        assert reply.status == 200, reply.text
        return reply.json

    async def delete(self, identity: str, *, client: Client | None = None) -> Reply:
        """Delete a response."""
        return await (client or self.rig.client).call("DELETE", f"{PATH}/{identity}")

    async def kept(self) -> list[Any]:
        """The rows, the oldest first."""
        return list(await self.rig.world.db.read(lambda tx: tx.all("SELECT * FROM responses ORDER BY id")))


def events_of(reply: Reply) -> list[tuple[str, Any]]:
    """The events of a stream: their types and what they say."""
    frames = [frame for frame in reply.body.decode().split("\n\n") if frame]
    found = [json.loads(frame.partition("data: ")[2]) for frame in frames]
    return [(event["type"], event) for event in found]


def error_of(reply: Reply) -> tuple[int, Any, Any]:
    """Status, field and code of an error."""
    error = reply.json["error"]
    return reply.status, error["param"], error["code"]
