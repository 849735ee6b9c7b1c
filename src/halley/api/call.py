"""One request on its way: a route's entry in the table, and what a handler sees of a call."""

from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum

import msgspec

from halley.accounts import Caller
from halley.api.asgi import JSON_TYPE, Reply
from halley.api.base_url import Address
from halley.api.body import IDLE_S, WHOLE_S, BodyReader
from halley.api.client import Client
from halley.api.gate import Share
from halley.idempotency.rules import checked_value
from halley.kernel.faults import Fault
from halley.pipeline.request import CREDENTIALS, RequestContext
from halley.vendors.contract import Answer, Dialect, Incoming, Route
from halley.world import World

RenderFault = Callable[[Fault, str], Answer]
"""(fault, request id) → how this route's format says it."""


class Access(StrEnum):
    """Who may call a route."""

    KEY = "key"
    LINK = "link"
    """Whoever has the signed link; no key is looked at."""
    KEY_OR_LINK = "key_or_link"
    """With a key, or with the signed link that the handler then checks."""
    OPEN = "open"
    """Anybody."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One public route: how it is found, who may call it, what answers, and its facts for the API reference."""

    route: Route
    handler: "Handler"
    render_fault: RenderFault
    tag: str
    access: Access = Access.KEY
    dialect: Dialect | None = None
    while_draining: bool = False
    """Whether it answers while the gateway starts or stops."""
    reply_type: str = "application/json"
    """Content type of a success."""
    listed: bool = True
    """Whether the API reference names it."""
    shared: bool = False
    """Whether SDKs of several formats ask it, and are answered each in its own."""

    @property
    def method(self) -> str:
        return self.route.method

    @property
    def path(self) -> str:
        return self.route.path

    @property
    def model_pattern(self) -> str | None:
        return self.route.model_pattern


class Call(msgspec.Struct, kw_only=True, eq=False):
    """A request whose route is known; `caller` is set once its key was admitted."""

    world: World
    entry: Entry
    id: str
    method: str
    path: str
    params: Mapping[str, str]
    query: dict[str, str]
    """Of a repeated field the last; without the key."""
    query_text: str
    """As sent, for signatures. It may hold a key: it is never logged."""
    headers: dict[str, str]
    peer: str | None
    address: Address
    base_url: str
    received_at: int
    client: Client
    share: Share
    """Of the bytes that all bodies may be together."""
    admitted: Caller | None = None
    epoch: int = -1
    """Of what is known of callers, from before the key was looked at."""

    @property
    def caller(self) -> Caller:
        """Who calls; only routes with a key ask."""
        assert self.admitted is not None
        return self.admitted

    @property
    def dialect(self) -> Dialect:
        """The format of a dialect's route."""
        assert self.entry.dialect is not None
        return self.entry.dialect

    def body(self, bytes_max: int, *, whole_s: float = WHOLE_S) -> BodyReader:
        """Give access to the body; nothing of it has been read."""
        if self.admitted is not None:
            self.share.owner = self.admitted.key_id
        limits = {"idle_s": min(IDLE_S, whole_s), "whole_s": whole_s}
        reader = BodyReader(self.client.receive, self.headers, bytes_max=bytes_max, share=self.share, **limits)
        if (came := self.client.body) is not None:
            reader.came(came)
        return reader

    def plain_json(self) -> bytes | None:
        """Give a small JSON body that has come whole and is not packed; None is for `body` to read."""
        data, headers = self.client.body, self.headers
        if data is None or "content-encoding" in headers or headers.get("content-type", JSON_TYPE) != JSON_TYPE:
            return None
        if len(data) > self.world.settings.body_bytes_max or not self.share.need_now(len(data)):
            return None
        return data

    def context(self) -> RequestContext:
        """Say what the pipeline may know of this request. Raises `BadRequest` for a bad idempotency key."""
        key = self.headers.get("idempotency-key") if self.method == "POST" else None
        return RequestContext(
            id=self.id,
            method=self.method,
            path=self.path,
            base_url=self.base_url,
            received_at=self.received_at,
            idempotency_key=None if key is None else checked_value(key),
            directive=self.headers.get("halley-test"),
        )

    def incoming(self, body: dict[str, object] | None = None) -> Incoming:
        """Hand the request to a dialect, without its credentials."""
        headers = {name: value for name, value in self.headers.items() if name not in CREDENTIALS}
        return Incoming(
            method=self.method,
            path=self.path,
            path_params=dict(self.params),
            query=self.query,
            headers=headers,
            body=body or {},
        )


Handler = Callable[[Call], Awaitable[Reply]]
