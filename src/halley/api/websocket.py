"""The public API's websocket: `/v1/realtime`. Refuses before the upgrade in JSON, relays after it.

The upgrade is accepted once a vendor's websocket is open, so that whatever hinders a session is an HTTP error.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import msgspec

from halley.accounts import Caller
from halley.api import errors
from halley.api.answer_routes import render_openai
from halley.api.asgi import Receive, Scope, Send
from halley.api.base_url import Address, base_url
from halley.api.endpoints.answers import MODEL_CHARACTERS_MAX, public_model
from halley.kernel.body import JsonBody
from halley.kernel.faults import BadRequest, Fault, NoSuchPath
from halley.kernel.operation import Operation
from halley.limits import rate_headers
from halley.pipeline.admit import limit
from halley.pipeline.answers.ask import Ask
from halley.pipeline.answers.realtime import Left, Session, open_session
from halley.pipeline.answers.realtime_connect import TRANSCRIPTION, first_transcriber
from halley.pipeline.request import RequestContext
from halley.upstream.websocket import Closed, Unreadable
from halley.world import World

PATH = "/v1/realtime"
SUBPROTOCOL = "realtime"
BETA_HEADER = "openai-beta"
BETA_PREFIX = "openai-beta."
"""Before a beta's name and version among the subprotocols: `openai-beta.realtime-v1`."""
SEND_S_MAX = 15.0
"""A caller who takes no frame for so long has left. Meanwhile the vendor is not read, and would soon count as lost."""
ABORT_EXTENSION = "halley.abort"
"""Drops the connection, where the server offers that: a caller who takes no frame takes no closing frame either."""
SWITCHING = 101
_NO_CODE = 1005
_INTENT_CHARACTERS_MAX = 64

Admit = Callable[[], Awaitable[tuple[Caller, dict[str, str]]]]
"""Gives the caller and the query without its key. Raises a fault."""


class Upgrade(msgspec.Struct, kw_only=True, eq=False):
    """One request to open a websocket, and what is known of it so far."""

    world: World
    id: str
    path: str | None
    headers: Mapping[str, str]
    """By lower-case name."""
    peer: str | None
    received_at: int
    admit: Admit
    status: int = 0
    """As answered; 0 until then."""
    key_id: str | None = None

    @property
    def upgraded(self) -> bool:
        """Whether a vendor has opened its side: from here on the caller is told in events."""
        return self.status == SWITCHING


async def serve_websocket(upgrade: Upgrade, scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one websocket from its handshake to its end. Until it was `upgraded`, `deny` tells what is raised."""
    await receive()
    session, headers = await _open(upgrade)
    upgrade.status = SWITCHING
    client = _Client(scope, receive, send)
    try:
        await client.accept(scope, (*headers, ("halley-request-id", upgrade.id)))
    except Left:
        await session.abandon()
        return
    except BaseException:
        await session.abandon()
        raise
    await session.run(client)


async def deny(upgrade: Upgrade, fault: Fault, scope: Scope, send: Send) -> None:
    """Answer the handshake with an error, in JSON where the server can; else it answers 403 by itself."""
    reply = errors.reply_to_fault(fault, upgrade.id, render_openai)
    upgrade.status = reply.status
    try:
        if "websocket.http.response" not in (scope.get("extensions") or {}):
            await send({"type": "websocket.close", "code": 1000})
            return
        pairs = (*reply.headers, ("halley-request-id", upgrade.id))
        headers = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in pairs]
        await send({"type": "websocket.http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": reply.body})
    except OSError:
        pass  # the caller has gone meanwhile


async def _open(upgrade: Upgrade) -> tuple[Session, tuple[tuple[str, str], ...]]:
    """Connect a vendor; give the session, and headers for the caller."""
    caller, query = await upgrade.admit()
    upgrade.key_id = caller.key_id
    if upgrade.path != PATH:
        raise NoSuchPath(f"No websocket is served at this path; realtime sessions are at `{PATH}`")
    intent = query.get("intent")
    named = query.get("model") or (first_transcriber(upgrade.world, caller) if intent == TRANSCRIPTION else None)
    if not named:
        message = f"`model` is missing: connect to `{PATH}?model=…`; `GET /v1/models` lists what is served"
        raise BadRequest(message, param="model")
    if len(named) > MODEL_CHARACTERS_MAX:
        raise BadRequest(f"`model` is longer than {MODEL_CHARACTERS_MAX} characters", param="model")
    if intent is not None and len(intent) > _INTENT_CHARACTERS_MAX:
        raise BadRequest(f"`intent` is longer than {_INTENT_CHARACTERS_MAX} characters", param="intent")
    verdict = limit(upgrade.world, caller, 1)
    session = await open_session(upgrade.world, _ask(upgrade, caller, named), intent)
    return session, rate_headers(verdict)


def _ask(upgrade: Upgrade, caller: Caller, named: str) -> Ask:
    beta = upgrade.headers.get(BETA_HEADER) or _beta_of(upgrade.headers.get("sec-websocket-protocol", ""))
    world = upgrade.world
    address = Address(
        public_url=world.settings.public_url,
        bound_url=world.bound_url or world.settings.bound_url,
        trusted_proxies=world.settings.trusted_proxies,
    )
    return Ask(
        caller=caller,
        operation=Operation.REALTIME,
        model=public_model(world, named),
        named=named,
        body=JsonBody(b"{}"),
        stream=True,
        headers={BETA_HEADER: beta} if beta else {},
        request=RequestContext(
            id=upgrade.id,
            method="GET",
            path=PATH,
            base_url=base_url(address, upgrade.peer, dict(upgrade.headers)),
            received_at=upgrade.received_at,
            directive=upgrade.headers.get("halley-test"),
        ),
    )


def _beta_of(offered: str) -> str | None:
    """Give the beta that a browser asks for among its subprotocols, as the header says it: `realtime=v1`."""
    for item in offered.split(","):
        name, _, version = item.strip().removeprefix(BETA_PREFIX).rpartition("-")
        if item.strip().startswith(BETA_PREFIX) and name.isidentifier() and version.isalnum():
            return f"{name}={version}"
    return None


class _Client:
    """The caller's side of a session, over ASGI."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        extensions: Mapping[str, Callable[[], None]] = scope.get("extensions") or {}
        self._abort = extensions.get(ABORT_EXTENSION)

    async def accept(self, scope: Scope, headers: tuple[tuple[str, str], ...]) -> None:
        """Complete the handshake. Raises `Left`."""
        offered: list[str] = scope.get("subprotocols") or []
        await self._told(
            {
                "type": "websocket.accept",
                "subprotocol": SUBPROTOCOL if SUBPROTOCOL in offered else None,
                "headers": [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers],
            }
        )

    async def receive(self) -> str | Unreadable | Closed:
        """Give the next frame, or the end."""
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            code: int = message.get("code") or _NO_CODE
            return Closed(code=None if code == _NO_CODE else code, reason=message.get("reason") or "")
        text: str | None = message.get("text")
        return Unreadable() if text is None else text

    async def send(self, text: str) -> None:
        """Send a frame, waiting while the caller is slow. Raises `Left`."""
        await self._told({"type": "websocket.send", "text": text})

    async def aclose(self, code: int, reason: str) -> None:
        """Close. Raises `Left`."""
        await self._told({"type": "websocket.close", "code": code, "reason": reason})

    async def _told(self, message: dict[str, object]) -> None:
        try:
            async with asyncio.timeout(SEND_S_MAX):
                await self._send(message)
        except OSError as error:  # `TimeoutError` is one
            if isinstance(error, TimeoutError) and self._abort is not None:
                self._abort()
            raise Left from error
