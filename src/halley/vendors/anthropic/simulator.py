"""The vendor's API as its documents describe it: messages whole and streamed, token counts, models.

Served by `halley.vendors.simulate`; which ending an answer takes is ordered by the header `Halley-Test` or in the
last thing that the user says.
"""

import asyncio
import tomllib
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Any

import msgspec

from halley.kernel.clock import rfc3339
from halley.kernel.codec import decode
from halley.kernel.loose import as_object
from halley.vendors.anthropic.simulated_cache import Cached, PromptCache
from halley.vendors.anthropic.simulated_errors import (
    OVERLOADED,
    REFUSED_BY_ORDER,
    invalid,
    named,
    problem,
)
from halley.vendors.anthropic.simulated_order import UNKNOWN_MODEL, Order, read_order
from halley.vendors.anthropic.simulated_reply import BROKEN_FRAME, ERROR_FRAME, Shape, frames, whole
from halley.vendors.simulate import (
    TASK_ONLY,
    AsgiApp,
    Ask,
    Directive,
    Headers,
    Outcome,
    Plan,
    Refusal,
    Reply,
    Request,
    SimulatorHost,
    directive_for,
    json_reply,
    plan_chat,
    send_stream,
    send_whole,
)

PAGE_MAX = 1_000
REQUESTS_LIMIT = 4_000
TOKENS_LIMIT = 2_000_000
REDACT = "ANTHROPIC_MAGIC_STRING_TRIGGER_REDACTED_THINKING"
"""The vendor's documents give a text that begins so; who sends it gets a thought that nobody may read."""
ORGANIZATION = "00000000-0000-4000-8000-000000000000"


def create_app(host: SimulatorHost) -> AsgiApp:
    """Build the simulator on its host."""
    simulator = _Simulator(host)
    router = host.router(error=lambda status, detail: named(problem(status, detail), f"req_{host.base32_id()}"))
    router.add("POST", "/v1/messages", simulator.named(simulator.create))
    router.add("POST", "/v1/messages/count_tokens", simulator.named(simulator.count))
    router.add("GET", "/v1/models", simulator.named(simulator.models))
    router.add("GET", "/v1/models/{id}", simulator.named(simulator.model))
    return router


class _Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request that was let in."""

    id: str
    account: str
    request: Request
    headers: Headers


_Work = Callable[[_Call], Awaitable[Reply | None]]
_Handler = Callable[[Request], Awaitable[Reply | None]]


class _Simulator:
    def __init__(self, host: SimulatorHost) -> None:
        self._host = host
        self._cache = PromptCache()
        self._listed: list[dict[str, Any]] = []

    def named(self, work: _Work) -> _Handler:
        """A handler that checks who calls, and gives each reply its id."""

        async def handle(request: Request) -> Reply | None:
            request_id = f"req_{self._host.base32_id()}"
            try:
                account = self._host.account_of(_key(request))
                call = _Call(id=request_id, account=account, request=request, headers=self._headers(request_id))
                return await work(call)
            except Refusal as refusal:
                return named(refusal.reply, request_id)

        return handle

    # messages

    async def create(self, call: _Call) -> Reply | None:
        body = _parsed(await call.request.body())
        order = await read_order(self._host, body, only_counts=False)
        directive = _directive(call.request, order)
        shape = self._shape(call, order, _planned(order, directive))
        if order.is_stream:
            await self._stream(call, frames(shape), directive)
            return None
        if directive.outcome is Outcome.ERROR_FRAME:
            raise Refusal(OVERLOADED)
        await send_whole(call.request, json_reply(whole(shape), headers=call.headers), directive, self._host)
        return None

    async def _stream(self, call: _Call, events: list[bytes], directive: Directive) -> None:
        if directive.outcome is Outcome.MALFORMED_FRAME:
            events.insert((len(events) + 1) // 2, BROKEN_FRAME)
            directive = Directive(delay_s=directive.delay_s)
        await send_stream(call.request, events, directive, self._host, error_frame=ERROR_FRAME, headers=call.headers)

    async def count(self, call: _Call) -> Reply:
        order = await read_order(self._host, _parsed(await call.request.body()), only_counts=True)
        _directive(call.request, order)
        return json_reply({"input_tokens": order.tokens}, headers=call.headers)

    def _shape(self, call: _Call, order: Order, plan: Plan) -> Shape:
        now_us = self._host.clock.now()
        marked = any(segment.ttl_s is not None for segment in order.segments)
        cached = self._cache.use(call.account, order.model, order.segments, now_us=now_us) if marked else Cached()
        return Shape(
            id=f"msg_{self._host.base32_id()}",
            model=order.model,
            plan=plan,
            call_ids=tuple(f"toolu_{self._host.base32_id()}" for _ in plan.calls),
            shows_thoughts=order.shows_thoughts,
            is_redacted=REDACT in order.prompt,
            cached=cached,
            tier=order.tier,
        )

    # models

    async def models(self, call: _Call) -> Reply:
        query = call.request.query
        limit = query.get("limit", "20")
        if not limit.isdecimal() or not 1 <= int(limit) <= PAGE_MAX:
            raise invalid(f"limit: Input should be between 1 and {PAGE_MAX}")
        known = await self._known()
        ids = [model["id"] for model in known]
        after, before = query.get("after_id"), query.get("before_id")
        start = ids.index(after) + 1 if after in ids else 0
        end = ids.index(before) if before in ids else len(ids)
        first = max(start, end - int(limit)) if before in ids else start
        page = known[first : min(end, first + int(limit))]
        listed = {
            "data": page,
            "first_id": page[0]["id"] if page else None,
            "last_id": page[-1]["id"] if page else None,
            "has_more": first > 0 if before in ids else first + len(page) < len(ids),
        }
        return json_reply(listed, headers=call.headers)

    async def model(self, call: _Call) -> Reply:
        wanted = call.request.params["id"]
        if UNKNOWN_MODEL in wanted:
            raise Refusal(problem(404, f"model: {wanted[:200]}"))
        known = {model["id"]: model for model in await self._known()}
        return json_reply(known.get(wanted) or _listed({"id": wanted}), headers=call.headers)

    async def _known(self) -> list[dict[str, Any]]:
        if not self._listed:
            self._listed = await asyncio.to_thread(_read_models)
        return self._listed

    # every reply

    def _headers(self, request_id: str) -> Headers:
        reset = rfc3339(self._host.clock.now())
        limits = {
            "requests": REQUESTS_LIMIT,
            "tokens": TOKENS_LIMIT,
            "input-tokens": TOKENS_LIMIT,
            "output-tokens": TOKENS_LIMIT,
        }
        told: list[tuple[str, str]] = []
        for name, limit in limits.items():
            prefix = f"anthropic-ratelimit-{name}"
            told += [
                (f"{prefix}-limit", str(limit)),
                (f"{prefix}-remaining", str(limit - 1)),
                (f"{prefix}-reset", reset),
            ]
        return (("request-id", request_id), ("anthropic-organization-id", ORGANIZATION), *told)


# reading a call


def _key(request: Request) -> str:
    """Who calls. Raises `Refusal`."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    key = request.headers.get("x-api-key", "").strip() or (token.strip() if scheme.lower() == "bearer" else "")
    if not key:
        raise Refusal(problem(401, "x-api-key header is required"))
    if key.startswith("bad"):
        raise Refusal(problem(401, "invalid x-api-key"))
    if not request.headers.get("anthropic-version"):
        raise invalid("anthropic-version: header is required")
    return key


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        value = decode(data)
    except ValueError as error:
        raise invalid(f"The request body is not valid JSON: {str(error)[:200]}") from error
    if not isinstance(value, dict):
        raise invalid("Input should be a valid dictionary")
    return as_object(value)


def _directive(request: Request, order: Order) -> Directive:
    try:
        directive = directive_for(request.raw_headers, order.prompt, without=TASK_ONLY)
    except ValueError as error:
        raise invalid(f"messages: {error}") from error
    refused = REFUSED_BY_ORDER.get(directive.outcome)
    if refused is not None:
        raise Refusal(refused)
    if directive.outcome is Outcome.TOOL_CALL and order.results:
        # The order stands in what the user said before the call: it has been carried out.
        return Directive(delay_s=directive.delay_s)
    return directive


def _planned(order: Order, directive: Directive) -> Plan:
    ask = Ask(
        model=order.model,
        prompt=order.prompt,
        turns=max(1, sum(line.role == "user" and bool(line.text) for line in order.lines)),
        notes=order.notes,
        tools=order.tools,
        tool_mode=order.tool_mode,
        tool_name=order.tool_name,
        allows_parallel=order.allows_parallel,
        tool_results=order.results,
        schema=order.schema,
        output_tokens_max=order.max_tokens,
        stop=order.stop,
        thinks=order.thinks,
        input_tokens=order.tokens,
        directive=directive,
    )
    try:
        return plan_chat(ask)
    except ValueError as error:
        raise invalid(f"tools: {error}") from error


# models


def _read_models() -> list[dict[str, Any]]:
    text = files("halley.vendors.anthropic").joinpath("catalogue.toml").read_text(encoding="utf-8")
    return [_listed(model) for model in tomllib.loads(text)["models"] if model.get("kind") == "chat"]


def _listed(model: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "model",
        "id": model["id"],
        "display_name": model["id"].replace("-", " ").title(),
        "created_at": "2026-01-01T00:00:00Z",
        "lifecycle": "active",
        "max_input_tokens": model.get("context_tokens"),
        "max_tokens": model.get("output_tokens_max"),
    }
