"""The public API as an ASGI application: finds the route, admits the key, lets the handler answer, notes it down."""

import asyncio
import logging
import string
from collections.abc import Awaitable, Iterable, Sequence
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote

import msgspec

from halley.accounts import Caller
from halley.accounts.rules import hash_key
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
from halley.pipeline.request import ID_PREFIX
from halley.server import Exchange
from halley.world import World
from halley.world.access import AccessLog, Answer
from halley.world.figures import Count, Time

if TYPE_CHECKING:
    from halley.api.call import RenderFault

QUERY_BYTES_MAX = 16 * 1024
QUERY_FIELDS_MAX = 64
DRAIN_RETRY_S = 5
CLIENT_LEFT = 499
"""Logged for a caller who hung up; nothing is sent."""
UNKNOWN_ROUTE = "unknown"
SHARED_SEGMENT = "v1"
"""Below it SDKs of several formats ask."""
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


class _Sight(msgspec.Struct, kw_only=True, eq=False):
    """What the head of a request tells. Requests of one connection with the same head share it."""

    method: str
    path: str | None
    query: bytes
    raw_headers: Sequence[tuple[bytes, bytes]]
    headers: dict[str, str]
    repeats: bool
    """Whether a header came more than once."""
    peer: str | None
    match: Match[Entry] | None = None
    allowed: tuple[str, ...] = ()
    render: "RenderFault" = errors.render_openai
    fields: list[tuple[str, str]] | None = None
    """Of the query, once they were read."""
    key: str | None = None
    key_hash: str = ""
    """Set once a key was found."""
    address: Address | None = None
    base_url: str = ""
    """As of that address."""
    figures: dict[int, "_Figures"] = {}
    """By status."""


class _Figures(msgspec.Struct, frozen=True, eq=False):
    """What is counted of answers that are alike."""

    what: tuple[str, str, int]
    """Route, method and status."""
    requests: Count
    latency: Time


class _Visit(msgspec.Struct, kw_only=True, eq=False):
    """One request and what is known of it so far."""

    id: str
    sight: _Sight
    received_at: int
    key_id: str | None = None
    code: str | None = None
    """Of the fault that it ended in."""
    answered: bool = False
    """Whether the answer has begun."""
    websocket: bool = False
    """Whether it is for the one path that speaks websocket."""

    @property
    def route(self) -> str:
        """The route's template, for logs and metrics."""
        if self.websocket:
            return WEBSOCKET_PATH
        match = self.sight.match
        return UNKNOWN_ROUTE if match is None else match.entry.path


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
        self._given: list[tuple[_Figures, Answer]] = []
        """Answers of this turn of the loop, of which nobody was told yet."""
        self._address = Address(public_url=None, bound_url="", trusted_proxies=())
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or the server's own questions."""
        if scope["type"] == "http":
            sight = self._sight(scope["method"], _raw_path(scope), scope["query_string"], scope["headers"])
            sight.peer = _host(scope.get("client"))
            await self._serve(sight, self._answers.client(scope, receive, send))
        elif scope["type"] == "websocket":
            await self._serve_websocket(scope, receive, send)
        elif scope["type"] == "lifespan":
            await _live(receive, send)

    def exchange(self, exchange: Exchange) -> Awaitable[None]:
        """Answer one request of our own server, of whose head we may have seen the like."""
        head = exchange.head
        sight: _Sight | None = head.known
        if sight is None:
            sight = head.known = self._sight(head.method, head.path, head.query, head.headers)
            sight.peer = _host(exchange.peer)
        return self._serve(sight, self._answers.of_exchange(exchange))

    @property
    def running(self) -> int:
        """Calls that have not ended."""
        return self._running

    async def idle(self) -> None:
        """Return when no call is running."""
        await self._idle.wait()

    async def _serve(self, sight: _Sight, client: Client) -> None:
        world = self._world
        began = world.clock.monotonic()
        share = Share(self._gates)
        visit = _Visit(id=ID_PREFIX + world.ids.new(), sight=sight, received_at=world.clock.now())
        self._running += 1
        self._idle.clear()
        status = CLIENT_LEFT
        try:
            try:
                reply = await self._handle(visit, client, share)
            except ClientLeft:
                raise
            except Exception as error:  # noqa: BLE001 - the edge of the app: what nobody foresaw is logged, then a 500
                reply = self._refusal(visit, error)
            finally:
                share.release()
            status = reply.status
            visit.answered = True
            if not client.answer_now(reply, visit.id.encode(), is_head=sight.method == "HEAD"):
                await client.answer(reply, visit.id.encode(), is_head=sight.method == "HEAD")
        except ClientLeft:
            _log.debug("the caller hung up", extra={"request_id": visit.id})
        except asyncio.CancelledError:
            # The server cuts what has not ended when its time to stop is over.
            if not visit.answered:
                reply = self._refusal(visit, _cut(sight))
                status, visit.answered = reply.status, True
                await client.answer(reply, visit.id.encode(), is_head=sight.method == "HEAD")
            raise
        except Exception:
            # The answer has begun, so all that is left is to cut the connection: the server does when we raise.
            _log.exception("an answer broke off", extra={"request_id": visit.id})
            raise
        finally:
            self._running -= 1
            if not self._running:
                self._idle.set()
            self._note(visit, status, world.clock.monotonic() - began)

    async def _serve_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a websocket; it runs as a call does until its end."""
        world, began = self._world, self._world.clock.monotonic()
        scope = {"headers": (), "query_string": b"", **scope, "method": "GET"}
        sight = self._sight("GET", _raw_path(scope), scope["query_string"], scope["headers"])
        visit = _Visit(id=ID_PREFIX + world.ids.new(), sight=sight, received_at=world.clock.now())
        visit.websocket = sight.path == WEBSOCKET_PATH
        upgrade = Upgrade(
            world=world,
            id=visit.id,
            path=sight.path,
            headers=sight.headers,
            peer=_host(scope.get("client")),
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
            fault = fault or errors.internal()
            visit.code = fault.code
            await deny(upgrade, fault, scope, send)
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

    def _sight(self, method: str, raw: bytes, query: bytes, headers: Sequence[tuple[bytes, bytes]]) -> _Sight:
        by_name, repeats = _headers(headers)
        path = self._plain_paths.get(raw) or normal_path(raw)
        sight = _Sight(
            method=method,
            path=path,
            query=query,
            raw_headers=headers,
            headers=by_name,
            repeats=repeats,
            peer=None,
        )
        if path is None:
            # No path of ours, but whose format it is in may still be plain to see.
            sight.render = self._renders.get(first_segment(raw.decode("latin-1")), sight.render)
        else:
            self._route(sight, path)
        return sight

    def _route(self, sight: _Sight, path: str) -> None:
        wanted = "GET" if sight.method == "HEAD" else sight.method
        sight.match = self._dispatch.find(wanted, path)
        if sight.match is not None:
            entry = sight.match.entry
            sight.render = entry.render_fault
            if entry.shared:
                sight.render = errors.render_shared(sight.headers, sight.render)
            return
        entries = self._dispatch.entries(path)
        sight.allowed = _methods(entries)
        renders = {entry.render_fault for entry in entries}
        usual = self._renders.get(first_segment(path), sight.render) if not renders else sight.render
        sight.render = renders.pop() if len(renders) == 1 else usual
        if first_segment(path) == SHARED_SEGMENT:
            sight.render = errors.render_shared(sight.headers, sight.render)

    def _refusal(self, visit: _Visit, error: Exception) -> Reply:
        fault = errors.known_fault(error)
        if fault is None:
            _log.error("a call failed", exc_info=error, extra={"request_id": visit.id, "route": visit.route})
            fault = errors.internal()
        visit.code = fault.code
        return errors.reply_to_fault(fault, visit.id, visit.sight.render)

    def _handle(self, visit: _Visit, client: Client, share: Share) -> Awaitable[Reply]:
        sight = visit.sight
        if sight.match is None or sight.path is None:
            return _unrouted(sight)
        entry = sight.match.entry
        if not entry.while_draining and (self._world.draining or not self._world.ready):
            message = "The gateway is starting or stopping; try again in a moment"
            raise Draining(message, retry_after_s=DRAIN_RETRY_S)
        if sight.fields is None:
            sight.fields = read_query(sight.query)
        call = self._call(visit, sight.match, sight.path, client, share)
        if sight.fields:
            call.query = dict(without_key(sight.fields))
        if entry.access is not Access.OPEN and entry.access is not Access.LINK:
            call.epoch = self._world.callers.epoch
            caller = call.admitted = self._world.callers.get(sight.key_hash)
            if caller is None:
                return self._handle_newcomer(visit, call)
            visit.key_id = caller.key_id
        return entry.handler(call)

    async def _handle_newcomer(self, visit: _Visit, call: Call) -> Reply:
        """Go on with a call whose key is not the one that came with this head before."""
        call.admitted = await self._admit(call, visit.sight)
        visit.key_id = call.admitted.key_id if call.admitted else None
        return await call.entry.handler(call)

    def _call(self, visit: _Visit, match: Match[Entry], path: str, client: Client, share: Share) -> Call:
        sight = visit.sight
        address = self._place()
        if sight.address is not address:
            sight.address, sight.base_url = address, base_url(address, sight.peer, sight.headers)
        return Call(
            world=self._world,
            entry=match.entry,
            id=visit.id,
            method=sight.method,
            path=path,
            params=match.params,
            query={},
            query_text=sight.query.decode("latin-1") if sight.query else "",
            headers=sight.headers,
            peer=sight.peer,
            address=address,
            base_url=sight.base_url,
            received_at=visit.received_at,
            client=client,
            share=share,
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

    async def _admit(self, call: Call, sight: _Sight) -> Caller | None:
        if sight.key is None:
            try:
                sight.key = self._key(sight)
            except Unauthenticated:
                if call.entry.access is Access.KEY_OR_LINK and "signature" in call.query:
                    return None
                raise
        caller = known(self._world, sight.key) or await admit(self._world, sight.key)
        sight.key_hash = hash_key(sight.key)
        return caller

    def _key(self, sight: _Sight) -> str:
        fields = sight.fields or []
        beside = sight.repeats or QUERY_FIELD in dict(fields)
        key = None if beside else key_in(sight.headers, self._key_headers)
        return find_key(_pairs(sight.raw_headers), fields, self._key_headers) if key is None else key

    def _note(self, visit: _Visit, status: int, seconds: float) -> None:
        sight = visit.sight
        figures = sight.figures.get(status)
        if figures is None:
            route = visit.route
            method = sight.method if sight.method in METHODS else "other"
            metrics = self._world.metrics
            figures = sight.figures[status] = _Figures(
                (route, method, status),
                metrics.requests.labels(route, method, str(status)),
                metrics.latency.labels(route),
            )
        if not self._given:
            # By the end of the turn all that were given in it are counted and told of: in a row, which takes less.
            asyncio.get_running_loop().call_soon(self._tell)
        answer = (figures.what, visit.id, seconds, visit.key_id, sight.headers.get("x-request-id"), visit.code)
        self._given.append((figures, answer))

    def _tell(self) -> None:
        given, self._given = self._given, []
        for figures, answer in given:
            figures.requests.inc()
            figures.latency.observe(answer[2])
        self._access.note(*[answer for _, answer in given])


def _raw_path(scope: Scope) -> bytes:
    return scope.get("raw_path") or quote(scope["path"]).encode()


def _host(peer: tuple[str, int] | None) -> str | None:
    return peer[0] if peer else None


class _MayBeDone(Draining):
    """Cut when it may have been carried out: to send it again could order twice."""

    may_retry = False


def _cut(sight: _Sight) -> Draining:
    if sight.method == "POST" and "idempotency-key" not in sight.headers:
        return _MayBeDone("The gateway stopped before this call had ended; look whether it was carried out")
    message = "The gateway stopped before this call had ended; send the same again in a moment"
    return Draining(message, retry_after_s=DRAIN_RETRY_S)


async def _unrouted(sight: _Sight) -> Reply:
    allowed = sight.allowed
    if sight.method == "OPTIONS" and allowed:
        listed = ", ".join((*allowed, "OPTIONS"))
        return Reply(status=204, headers=(("allow", listed), ("access-control-allow-methods", listed), *_PREFLIGHT))
    raise _missing(sight, allowed)


def _missing(sight: _Sight, allowed: tuple[str, ...]) -> Fault:
    if allowed:
        message = f"This path does not answer {sight.method[:20]}; it answers {', '.join(allowed)}"
        return NotAllowed(message, allow=(*allowed, "OPTIONS"))
    return NoSuchPath("There is no such path; `GET /openapi.json` lists those that there are")


def _renders(entries: Iterable[Entry]) -> dict[str, "RenderFault"]:
    """By the first segment of a path: the format in which an unknown path below it is refused."""
    mine = [entry for entry in entries if entry.dialect is not None or entry.tag == GEMINI]
    return {
        segment: entry.render_fault
        for entry in mine
        if entry.model_pattern is None and (segment := first_segment(entry.path)) != SHARED_SEGMENT
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
