"""The public API as an ASGI application: finds the route, admits the key, lets the handler answer, notes it down."""

import asyncio
import logging
import string
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote

import msgspec

from halley.accounts import Caller
from halley.api import errors
from halley.api.answer_routes import GEMINI
from halley.api.asgi import ClientLeft, Receive, Reply, Scope, Send
from halley.api.base_url import Address, base_url
from halley.api.call import Access, Call, Entry
from halley.api.client import Answers, Client
from halley.api.credentials import KEY_HEADERS, QUERY_FIELD, find_key, key_in, without_key
from halley.api.dispatch import Dispatch, Match
from halley.api.gate import BodyGates, Share
from halley.api.paths import first_segment, normal_path
from halley.api.routes import table
from halley.api.websocket import PATH as WEBSOCKET_PATH
from halley.api.websocket import Upgrade, deny, serve_websocket
from halley.kernel.faults import BadRequest, Draining, Fault, NoSuchPath, NotAllowed, Unauthenticated
from halley.kernel.headers import header_name
from halley.pipeline.admit import admit, known
from halley.world import World
from halley.world.access import AccessLog

if TYPE_CHECKING:
    from halley.api.call import RenderFault

QUERY_BYTES_MAX = 16 * 1024
QUERY_FIELDS_MAX = 64
DRAIN_RETRY_S = 5
CLIENT_LEFT = 499
"""Logged for a caller who hung up; nothing is sent."""
UNKNOWN_ROUTE = "unknown"
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))

_EXPOSED = (
    "halley-request-id",
    "x-request-id",
    "request-id",
    "halley-cost",
    "idempotency-replayed",
    "retry-after",
    "x-should-retry",
    "etag",
    "content-range",
    "content-disposition",
    "halley-channel",
    "x-ratelimit-limit-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-tokens",
)
_PLAIN_QUERY = f"{string.ascii_letters}{string.digits}-._~=&".encode()
_ON_ALL = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", ", ".join(_EXPOSED).encode()),
)
_PREFLIGHT = (
    # `*` does not stand for `Authorization`, so that one is named.
    ("access-control-allow-headers", "authorization, *"),
    ("access-control-max-age", "86400"),
)

_log = logging.getLogger("halley.api")


class _Visit(msgspec.Struct, kw_only=True, eq=False):
    """One request and what is known of it so far."""

    id: str
    method: str
    path: str | None
    headers: dict[str, str]
    repeats: bool
    """Whether a header came more than once."""
    received_at: int
    match: Match[Entry] | None = None
    allowed: tuple[str, ...] = ()
    render: "RenderFault" = errors.render_openai
    key_id: str | None = None
    answered: bool = False
    """Whether the answer has begun."""
    websocket: bool = False
    """Whether it is for the one path that speaks websocket."""

    @property
    def route(self) -> str:
        """The route's template, for logs and metrics."""
        if self.websocket:
            return WEBSOCKET_PATH
        return UNKNOWN_ROUTE if self.match is None else self.match.entry.path


class Api:
    """All public routes over one world, or other entries in their place."""

    def __init__(self, world: World, entries: Sequence[Entry] | None = None) -> None:
        self._world = world
        entries = table(world.dialects) if entries is None else entries
        self._dispatch = Dispatch(entries)
        self._renders = _renders(entries)
        self._key_headers = KEY_HEADERS.union(*(dialect.key_headers for dialect in world.dialects.values()))
        self._plain_paths = {entry.path.encode(): entry.path for entry in entries if "{" not in entry.path}
        self._gates = BodyGates()
        self._answers = Answers(_ON_ALL)
        self._access = AccessLog(world.clock)
        self._address = Address(public_url=None, bound_url="", trusted_proxies=())
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or the server's own questions."""
        if scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._serve_websocket(scope, receive, send)
        elif scope["type"] == "lifespan":
            await _live(receive, send)

    @property
    def running(self) -> int:
        """Calls that have not ended."""
        return self._running

    async def idle(self) -> None:
        """Return when no call is running."""
        await self._idle.wait()

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = self._world.clock.monotonic()
        visit = self._visit(scope)
        client = self._answers.client(scope, receive, send)
        self._running += 1
        self._idle.clear()
        status = CLIENT_LEFT
        try:
            reply = await self._reply(visit, scope, client)
            status = reply.status
            await _send(visit, reply, client)
        except ClientLeft:
            _log.debug("the caller hung up", extra={"request_id": visit.id})
        except asyncio.CancelledError:
            # The server cuts what has not ended when its time to stop is over.
            if not visit.answered:
                reply = errors.reply_to_fault(_cut(visit), visit.id, visit.render)
                status = reply.status
                await _send(visit, reply, client)
            raise
        except Exception:
            # The answer has begun, so all that is left is to cut the connection: the server does when we raise.
            _log.exception("an answer broke off", extra={"request_id": visit.id})
            raise
        finally:
            self._running -= 1
            if not self._running:
                self._idle.set()
            self._note(visit, status, self._world.clock.monotonic() - began)

    async def _serve_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a websocket; it runs as a call does until its end."""
        world, began = self._world, self._world.clock.monotonic()
        scope = {"headers": (), "query_string": b"", **scope, "method": "GET"}
        visit = self._visit(scope)
        visit.websocket = visit.path == WEBSOCKET_PATH
        client = scope.get("client")
        upgrade = Upgrade(
            world=world,
            id=visit.id,
            path=visit.path,
            headers=visit.headers,
            peer=client[0] if client else None,
            received_at=visit.received_at,
            admit=lambda: self._admit_websocket(scope),
        )
        self._running += 1
        self._idle.clear()
        try:
            await serve_websocket(upgrade, scope, receive, send)
        except Exception as error:
            fault = errors.known_fault(error)
            if fault is None or upgrade.upgraded:
                _log.exception("a websocket failed", extra={"request_id": visit.id})
            if upgrade.upgraded:
                # All that is left is to cut the connection: the server does when we raise.
                raise
            await deny(upgrade, fault or errors.internal(), scope, send)
        finally:
            self._running -= 1
            if not self._running:
                self._idle.set()
            visit.key_id = upgrade.key_id
            self._note(visit, upgrade.status or CLIENT_LEFT, world.clock.monotonic() - began)

    async def _admit_websocket(self, scope: Scope) -> tuple[Caller, dict[str, str]]:
        if self._world.draining or not self._world.ready:
            message = "The gateway is starting or stopping; try again in a moment"
            raise Draining(message, retry_after_s=DRAIN_RETRY_S)
        fields = read_query(scope["query_string"])
        key = find_key(_pairs(scope["headers"]), fields, self._key_headers)
        return await admit(self._world, key), dict(without_key(fields))

    def _visit(self, scope: Scope) -> _Visit:
        headers, repeats = _headers(scope["headers"])
        raw: bytes | None = scope.get("raw_path")
        path = self._plain_paths.get(raw or b"") or normal_path(raw or quote(scope["path"]).encode())
        visit = _Visit(
            id=f"req_{self._world.ids.new()}",
            method=scope["method"],
            path=path,
            headers=headers,
            repeats=repeats,
            received_at=self._world.clock.now(),
        )
        if path is None:
            # No path of ours, but whose format it is in may still be plain to see.
            visit.render = self._renders.get(first_segment((raw or b"").decode("latin-1")), visit.render)
        else:
            self._route(visit, path)
        return visit

    def _route(self, visit: _Visit, path: str) -> None:
        wanted = "GET" if visit.method == "HEAD" else visit.method
        visit.match = self._dispatch.find(wanted, path)
        if visit.match is not None:
            visit.render = visit.match.entry.render_fault
            return
        entries = self._dispatch.entries(path)
        visit.allowed = _methods(entries)
        visit.render = entries[0].render_fault if entries else self._renders.get(first_segment(path), visit.render)

    async def _reply(self, visit: _Visit, scope: Scope, client: Client) -> Reply:
        try:
            return await self._handle(visit, scope, client)
        except ClientLeft:
            raise
        except Exception as error:  # noqa: BLE001 - the edge of the ASGI app: what nobody foresaw is logged, then a 500
            fault = errors.known_fault(error)
            if fault is None:
                _log.exception("a call failed", extra={"request_id": visit.id, "route": visit.route})
                fault = errors.internal()
            return errors.reply_to_fault(fault, visit.id, visit.render)

    async def _handle(self, visit: _Visit, scope: Scope, client: Client) -> Reply:
        if visit.match is None or visit.path is None:
            return _unrouted(visit)
        entry = visit.match.entry
        if not entry.while_draining and (self._world.draining or not self._world.ready):
            message = "The gateway is starting or stopping; try again in a moment"
            raise Draining(message, retry_after_s=DRAIN_RETRY_S)
        fields = read_query(scope["query_string"])
        call = self._call(visit, visit.match, visit.path, scope, client)
        if fields:
            call.query = dict(without_key(fields))
        await self._admit(call, visit, scope, fields)
        visit.key_id = call.admitted.key_id if call.admitted else None
        try:
            return await entry.handler(call)
        finally:
            call.share.release()

    def _call(self, visit: _Visit, match: Match[Entry], path: str, scope: Scope, client: Client) -> Call:
        peer = scope.get("client")
        host: str | None = peer[0] if peer else None
        address = self._place()
        return Call(
            world=self._world,
            entry=match.entry,
            id=visit.id,
            method=visit.method,
            path=path,
            params=match.params,
            query={},
            query_text=scope["query_string"].decode("latin-1"),
            headers=visit.headers,
            peer=host,
            address=address,
            base_url=base_url(address, host, visit.headers),
            received_at=visit.received_at,
            client=client,
            share=Share(self._gates),
        )

    def _place(self) -> Address:
        """Where we are reached; where the server listens may be known late."""
        settings = self._world.settings
        bound_url = self._world.bound_url or settings.bound_url
        if self._address.bound_url != bound_url:
            self._address = Address(
                public_url=settings.public_url, bound_url=bound_url, trusted_proxies=settings.trusted_proxies
            )
        return self._address

    async def _admit(self, call: Call, visit: _Visit, scope: Scope, fields: list[tuple[str, str]]) -> None:
        access = call.entry.access
        if access in (Access.OPEN, Access.LINK):
            return
        try:
            beside = visit.repeats or QUERY_FIELD in dict(fields)
            key = None if beside else key_in(visit.headers, self._key_headers)
            if key is None:
                key = find_key(_pairs(scope["headers"]), fields, self._key_headers)
        except Unauthenticated:
            if access is Access.KEY_OR_LINK and "signature" in call.query:
                return
            raise
        call.epoch = self._world.callers.epoch
        call.admitted = known(self._world, key) or await admit(self._world, key)

    def _note(self, visit: _Visit, status: int, seconds: float) -> None:
        method, route = visit.method if visit.method in METHODS else "other", visit.route
        metrics = self._world.metrics
        metrics.requests.labels(route, method, str(status)).inc()
        metrics.latency.labels(route).observe(seconds)
        theirs = visit.headers.get("x-request-id")
        self._access.note((route, method, status), visit.id, seconds, visit.key_id, theirs)


async def _send(visit: _Visit, reply: Reply, client: Client) -> None:
    visit.answered = True
    await client.answer(reply, visit.id.encode(), is_head=visit.method == "HEAD")


class _MayBeDone(Draining):
    """Cut when it may have been carried out: to send it again could order twice."""

    may_retry = False


def _cut(visit: _Visit) -> Draining:
    if visit.method == "POST" and "idempotency-key" not in visit.headers:
        return _MayBeDone("The gateway stopped before this call had ended; look whether it was carried out")
    message = "The gateway stopped before this call had ended; send the same again in a moment"
    return Draining(message, retry_after_s=DRAIN_RETRY_S)


def _unrouted(visit: _Visit) -> Reply:
    allowed = visit.allowed
    if visit.method == "OPTIONS" and allowed:
        listed = ", ".join((*allowed, "OPTIONS"))
        return Reply(status=204, headers=(("allow", listed), ("access-control-allow-methods", listed), *_PREFLIGHT))
    raise _missing(visit, allowed)


def _missing(visit: _Visit, allowed: tuple[str, ...]) -> Fault:
    if allowed:
        message = f"This path does not answer {visit.method[:20]}; it answers {', '.join(allowed)}"
        return NotAllowed(message, allow=(*allowed, "OPTIONS"))
    return NoSuchPath("There is no such path; `GET /openapi.json` lists those that there are")


def _renders(entries: Iterable[Entry]) -> dict[str, "RenderFault"]:
    """By the first segment of a path: the format in which an unknown path below it is refused."""
    mine = [entry for entry in entries if entry.dialect is not None or entry.tag == GEMINI]
    return {
        segment: entry.render_fault
        for entry in mine
        if entry.model_pattern is None and (segment := first_segment(entry.path)) != "v1"
    }


def _methods(entries: list[Entry]) -> tuple[str, ...]:
    found = {entry.method for entry in entries}
    return tuple(sorted(found | {"HEAD"} if "GET" in found else found))


def _pairs(raw: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    return [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in raw]


def _headers(raw: Iterable[tuple[bytes, bytes]]) -> tuple[dict[str, str], bool]:
    """By lower-case name; a repeated header is one with a comma, as HTTP reads it. The second tells of such a one."""
    headers: dict[str, str] = {}
    repeats = False
    for name, value in raw:
        key = header_name(name)
        text = value.decode("latin-1")
        if key in headers:
            text, repeats = f"{headers[key]}, {text}", True
        headers[key] = text
    return headers, repeats


def read_query(raw: bytes) -> list[tuple[str, str]]:
    """Read the fields of a query in their order. Raises `BadRequest` for too long a one."""
    if not raw:
        return []
    if len(raw) > QUERY_BYTES_MAX:
        raise BadRequest(f"The query is longer than {QUERY_BYTES_MAX:,} bytes")
    if not raw.translate(None, _PLAIN_QUERY) and raw.count(b"&") < QUERY_FIELDS_MAX:
        # Nothing in it is encoded.
        pairs = [field.partition("=") for field in raw.decode().split("&") if field]
        return [(name, value) for name, _, value in pairs]
    try:
        return parse_qsl(raw.decode("latin-1"), keep_blank_values=True, max_num_fields=QUERY_FIELDS_MAX)
    except ValueError as error:
        raise BadRequest(f"The query has more than {QUERY_FIELDS_MAX} fields") from error


async def _live(receive: Receive, send: Send) -> None:
    """Tell the server that we are there: what is to be opened and closed, the composition does."""
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            await send({"type": "lifespan.shutdown.complete"})
            return
