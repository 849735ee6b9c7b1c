"""What a vendor's simulator is built with: a small router, JSON replies, signed links and the endings of a broken wire.

Pure ASGI; nothing here knows a vendor. Validation and the shape of errors are the simulator's own.
"""

import asyncio
import hashlib
import hmac
import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec

from halley.vendors.simulate.directive import Directive, Outcome

BODY_BYTES_MAX = 64 * 1024 * 1024
QUERY_FIELDS_MAX = 100
SILENCE_S_MAX = 3_600.0
ABORT_EXTENSION = "halley.abort"
CLOSE_EXTENSION = "halley.close"
GARBAGE = b'{"id": "7d1e", "status": <!doctype html><html><head><title>502 Bad Gateway'

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = tuple[tuple[str, str], ...]

_log = logging.getLogger("halley.simulate")


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer; `json_reply` makes the usual one."""

    status: int = 200
    body: bytes = b""
    type: str = "application/json"
    headers: Headers = ()


class Refusal(Exception):
    """Raised anywhere in a handler to answer with this reply."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"HTTP {reply.status}")
        self.reply = reply


class ClientLeft(Exception):
    """The client closed the connection before its request was whole."""


class BodyTooLarge(Exception):
    """The body is over `BODY_BYTES_MAX`."""


class Request:
    """One request as a handler sees it."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, params: Mapping[str, str]) -> None:
        self.scope = scope
        self.receive = receive
        self.send = send
        self.params = params
        """What the `{names}` of the route's path matched."""
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.raw_headers: list[tuple[bytes, bytes]] = list(scope["headers"])
        self.headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in self.raw_headers}
        """By lower-case name; of a repeated header the last."""
        self._body: bytes | None = None

    @property
    def query(self) -> dict[str, str]:
        """The query's fields; of a repeated one the last. Raises `ValueError` if there are over a hundred."""
        return dict(self.query_fields())

    def query_fields(self) -> list[tuple[str, str]]:
        """The query's fields in their order, repeats included."""
        text = self.scope["query_string"].decode("latin-1")
        return parse_qsl(text, keep_blank_values=True, max_num_fields=QUERY_FIELDS_MAX)

    async def body(self) -> bytes:
        """The body, read once. Raises `BodyTooLarge` or `ClientLeft`."""
        if self._body is None:
            self._body = await read_body(self.receive)
        return self._body


Handler = Callable[[Request], Awaitable[Reply | None]]
"""Answers a request; `None` if it has dealt with the connection itself."""


async def read_body(receive: Receive, *, bytes_max: int = BODY_BYTES_MAX) -> bytes:
    """Read the whole body. Raises `BodyTooLarge` or `ClientLeft`."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > bytes_max:
            raise BodyTooLarge
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


def json_reply(value: object, *, status: int = 200, headers: Headers = ()) -> Reply:
    """A JSON answer."""
    return Reply(status=status, body=msgspec.json.encode(value), headers=headers)


async def send_reply(reply: Reply, send: Send, *, head_only: bool = False) -> None:
    """Write an answer; for HEAD without its body."""
    headers = [(b"content-type", reply.type.encode()), (b"content-length", str(len(reply.body)).encode())]
    headers += [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers]
    if reply.status == 204:  # noqa: PLR2004  (no content: neither type nor length)
        headers = headers[2:]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head_only else reply.body})


def default_error(status: int, detail: str) -> Reply:
    """The shape of the router's own errors, unless the vendor has another."""
    return json_reply({"detail": detail}, status=status)


class _Route(msgspec.Struct, frozen=True, kw_only=True):
    method: str
    template: str
    pattern: re.Pattern[str]
    handler: Handler


class Router:
    """`METHOD /path/{param}` → handler. An ASGI app; every request is counted by its route's template.

    A `{param}` matches one segment, `{param:path}` the rest. Routes without params win, then the order of adding.
    """

    def __init__(self, *, count: Callable[[str], None], error: Callable[[int, str], Reply] = default_error) -> None:
        self._count = count
        self._error = error
        self._fixed: dict[tuple[str, str], _Route] = {}
        self._open: list[_Route] = []

    def add(self, method: str, template: str, handler: Handler) -> None:
        """Serve `METHOD template` by this handler."""
        route = _Route(method=method, template=template, pattern=_pattern(template), handler=handler)
        if "{" in template:
            self._open.append(route)
        else:
            self._fixed[method, template] = route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. What a handler did not foresee is logged and answered 500."""
        assert scope["type"] == "http", scope["type"]
        try:
            reply = await self._answer(scope, receive, send)
        except Refusal as refusal:
            reply = refusal.reply
        except BodyTooLarge:
            reply = self._error(413, f"the body is over {BODY_BYTES_MAX} bytes")
        except ClientLeft:
            return
        except Exception:  # noqa: BLE001 - the edge of an ASGI app: what no handler foresaw becomes a logged 500
            _log.exception("a simulated vendor failed", extra={"path": scope["path"]})
            reply = self._error(500, "the simulator failed; its log says why")
        if reply is not None:
            await send_reply(reply, send, head_only=scope["method"] == "HEAD")

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> Reply | None:
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        found = self._find(method, scope["path"])
        if found is None:
            self._count("unknown route")
            return self._no_route(scope["path"])
        route, params = found
        self._count(f"{route.method} {route.template}")
        return await route.handler(Request(scope, receive, send, params=params))

    def _find(self, method: str, path: str) -> tuple[_Route, dict[str, str]] | None:
        fixed = self._fixed.get((method, path))
        if fixed is not None:
            return fixed, {}
        for route in self._open:
            match = route.pattern.fullmatch(path) if route.method == method else None
            if match is not None:
                return route, match.groupdict()
        return None

    def _no_route(self, path: str) -> Reply:
        routes: Iterable[_Route] = (*self._fixed.values(), *self._open)
        allowed = sorted({route.method for route in routes if route.pattern.fullmatch(path)})
        if not allowed:
            return self._error(404, "Not Found")
        reply = self._error(405, "Method Not Allowed")
        return msgspec.structs.replace(reply, headers=(*reply.headers, ("allow", ", ".join(allowed))))


def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)(:path)?\}", template)
    # `re.split` with two groups gives: literal, name, kind, literal, name, kind, …, literal
    text = re.escape(parts[0])
    for name, kind, literal in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        text += f"(?P<{name}>{'.+' if kind else '[^/]+'})" + re.escape(literal)
    return re.compile(text, re.DOTALL)


class LinkState(StrEnum):
    """What became of a signed link."""

    VALID = "valid"
    EXPIRED = "expired"
    FORGED = "forged"


def signed_query(secret: bytes, path: str, *, expires_us: int) -> str:
    """`se=…&sig=…` for a link to `path` that ends at a time (whole seconds, as vendors print it)."""
    expires_s = expires_us // 1_000_000
    return urlencode({"se": expires_s, "sig": _signature(secret, path, str(expires_s))})


def link_state(secret: bytes, path: str, query: Mapping[str, str], *, now_us: int) -> LinkState:
    """Whether a link's signature and time hold."""
    expires = query.get("se", "")
    given = query.get("sig", "").encode("latin-1", "replace")
    if not hmac.compare_digest(_signature(secret, path, expires).encode(), given):
        return LinkState.FORGED
    # Only what we signed comes here, hence it is a number.
    return LinkState.VALID if now_us < int(expires) * 1_000_000 else LinkState.EXPIRED


def _signature(secret: bytes, path: str, expires: str) -> str:
    return hmac.new(secret, f"{path}\n{expires}".encode("utf-8", "replace"), hashlib.sha256).hexdigest()[:43]


async def apply_transport_ending(directive: Directive, scope: Scope, receive: Receive, send: Send) -> bool:
    """End the request the broken way that was ordered; `False` if nothing was. Call it once the job is journalled.

    `timeout_after_send` never answers until the client leaves, `reset_after_send` resets the TCP connection,
    `garbage` answers 200 with what is no JSON.
    """
    match directive.outcome:
        case Outcome.TIMEOUT_AFTER_SEND:
            await until_client_leaves(receive)
        case Outcome.RESET_AFTER_SEND:
            await reset_connection(scope, receive)
        case Outcome.GARBAGE:
            await send_reply(Reply(body=GARBAGE), send)
        case _:
            return False
    return True


async def until_client_leaves(receive: Receive) -> None:
    """Say nothing until the client closes, or for an hour; then the connection is dropped by the server."""
    try:
        async with asyncio.timeout(SILENCE_S_MAX):
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return


async def reset_connection(scope: Scope, receive: Receive) -> None:
    """Reset the TCP connection (RST), as a crashed proxy would."""
    abort: Callable[[], None] = scope["extensions"][ABORT_EXTENSION]
    abort()
    await until_client_leaves(receive)


async def close_connection(scope: Scope, receive: Receive) -> None:
    """Close the TCP connection once all that was written has gone out, in the middle of a reply if need be."""
    close: Callable[[], None] = scope["extensions"][CLOSE_EXTENSION]
    close()
    await until_client_leaves(receive)
