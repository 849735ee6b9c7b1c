"""The vendor's API as its documents describe it: content whole and streamed, token counts, embeddings, models.

Served by `halley.vendors.simulate`; which ending an answer takes is ordered by the header `Halley-Test` or in the
last thing that the user says.
"""

import asyncio
import tomllib
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Any

import msgspec

from halley.kernel.codec import decode, encode
from halley.kernel.loose import as_object
from halley.vendors.gemini.simulated_embeddings import embedded, embedded_many
from halley.vendors.gemini.simulated_errors import (
    BAD_KEY,
    NO_KEY,
    OVERLOADED,
    REFUSED_BY_ORDER,
    invalid,
    problem,
)
from halley.vendors.gemini.simulated_media import drawn, spoken
from halley.vendors.gemini.simulated_names import Fields
from halley.vendors.gemini.simulated_order import Order, read_order
from halley.vendors.gemini.simulated_reply import (
    ERROR,
    Answer,
    Shape,
    as_array,
    as_events,
    blocked,
    chunks,
    usage,
    whole,
)
from halley.vendors.simulate import (
    TASK_ONLY,
    AsgiApp,
    Ask,
    Directive,
    Outcome,
    Plan,
    PrefixCache,
    Refusal,
    Reply,
    Request,
    SimulatorHost,
    directive_for,
    json_reply,
    pieces,
    plan_chat,
    send_stream,
    send_whole,
)
from halley.vendors.simulate.asgi import Message

VERSIONS = ("v1beta", "v1")
UNKNOWN_MODEL = "does-not-exist"
"""A model whose name holds this is not known; every other is."""
PAGE_MAX = 1_000
PAGE_USUAL = 50

_ARRAY_ERROR = b",\r\n" + encode(ERROR) + b"]"
_EVENT_ERROR = b"data: " + encode(ERROR) + b"\r\n\r\n"


def create_app(host: SimulatorHost) -> AsgiApp:
    """Build the simulator on its host."""
    simulator = _Simulator(host)
    router = host.router(error=problem)
    for version in VERSIONS:
        router.add("POST", f"/{version}/models/{{call}}", simulator.call)
        router.add("GET", f"/{version}/models", simulator.models)
        router.add("GET", f"/{version}/models/{{id}}", simulator.model)
    return router


class _Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request that was let in."""

    account: str
    model: str
    body: Any
    request: Request


class _Simulator:
    def __init__(self, host: SimulatorHost) -> None:
        self._host = host
        self._cache = PrefixCache()
        self._listed: list[dict[str, Any]] = []
        self._verbs: dict[str, Callable[[_Call], Awaitable[Reply | None]]] = {
            "generateContent": self._generate,
            "streamGenerateContent": self._stream,
            "countTokens": self._count,
            "embedContent": self._embed,
            "batchEmbedContents": self._embed_batch,
        }

    async def call(self, request: Request) -> Reply | None:
        """Answer `models/{model}:{verb}`."""
        account = self._host.account_of(_key(request))
        model, _, verb = request.params["call"].rpartition(":")
        if verb not in self._verbs:
            return problem(404, "Requested entity was not found.")
        if UNKNOWN_MODEL in model:
            version = request.path.split("/")[1]
            message = (
                f"models/{model[:200]} is not found for API version {version}, or is not supported for {verb}. "
                "Call ListModels to see the list of available models and their supported methods."
            )
            return problem(404, message)
        body = _parsed(await request.body())
        return await self._verbs[verb](_Call(account=account, model=model, body=body, request=request))

    # content

    async def _generate(self, call: _Call) -> Reply | None:
        order = await read_order(self._host, call.model, call.body)
        directive = _directive(call.request, order)
        shape = await self._shape(call, order, directive)
        if directive.outcome is Outcome.REQUEST_MODERATED:
            return json_reply(blocked(shape, "PROHIBITED_CONTENT"))
        if directive.outcome is Outcome.ERROR_FRAME:
            return OVERLOADED
        await send_whole(call.request, json_reply(whole(shape)), directive, self._host)
        return None

    async def _stream(self, call: _Call) -> Reply | None:
        order = await read_order(self._host, call.model, call.body)
        directive = _directive(call.request, order)
        shape = await self._shape(call, order, directive)
        is_blocked = directive.outcome is Outcome.REQUEST_MODERATED
        made = [blocked(shape, "PROHIBITED_CONTENT")] if is_blocked else chunks(shape)
        if call.request.query.get("alt") == "sse":
            await send_stream(call.request, as_events(made), directive, self._host, error_frame=_EVENT_ERROR)
        else:
            await send_stream(_as_json(call.request), as_array(made), directive, self._host, error_frame=_ARRAY_ERROR)
        return None

    async def _shape(self, call: _Call, order: Order, directive: Directive) -> Shape:
        known = self._cache.cached(call.account, pieces(_read_text(order)))
        answers = [await self._answer(order, directive, variant) for variant in range(order.candidates)]
        return Shape(
            id=self._host.base32_id(),
            model=order.model,
            answers=tuple(answers),
            shows_thoughts=order.shows_thoughts or directive.outcome is Outcome.REASONING,
            tokens=order.tokens,
            cached=min(known, order.tokens.get("TEXT", 0)),
        )

    async def _answer(self, order: Order, directive: Directive, variant: int) -> Answer:
        plan = _planned(order, directive, variant)
        if not (order.draws or order.speaks):
            # The older models tell calls no ids.
            has_ids = not order.model.startswith(("gemini-1", "gemini-2"))
            ids = tuple(self._host.base32_id()[:8] if has_ids else None for _ in plan.calls)
            return Answer(plan=_enumerated(order, plan), call_ids=ids)
        bare = msgspec.structs.replace(
            plan, text="", calls=(), reasoning="", usage=msgspec.structs.replace(plan.usage, output=0, reasoning=0)
        )
        if directive.outcome in (Outcome.CONTENT_MODERATED, Outcome.REFUSAL):
            return Answer(plan=bare, stop="IMAGE_SAFETY" if order.draws else "SAFETY")
        if order.draws:
            part, tokens = await drawn(self._host, order, variant)
            return Answer(plan=bare, media=(part,), media_tokens=tokens, modality="IMAGE", stop="STOP")
        part, tokens = await spoken(order)
        return Answer(plan=bare, media=(part,), media_tokens=tokens, modality="AUDIO", stop="STOP")

    # counting and embeddings

    async def _count(self, call: _Call) -> Reply:
        fields = Fields(call.body, "", frozenset({"contents", "generateContentRequest", "model"}))
        asked = fields.value("generateContentRequest") or {"contents": fields.value("contents")}
        order = await read_order(self._host, call.model, asked)
        _directive(call.request, order)
        told = usage(Shape(id="", model="", answers=(), shows_thoughts=False, tokens=order.tokens, cached=0))
        return json_reply({"totalTokens": told["promptTokenCount"], "promptTokensDetails": told["promptTokensDetails"]})

    async def _embed(self, call: _Call) -> Reply | None:
        return await self._embedded(call, embedded)

    async def _embed_batch(self, call: _Call) -> Reply | None:
        return await self._embedded(call, embedded_many)

    async def _embedded(self, call: _Call, work: "Callable[[str, Any], tuple[Any, str]]") -> Reply | None:
        """Embed beside the loop: long texts in large numbers take their time."""
        reply, prompt = await asyncio.to_thread(work, call.model, call.body)
        directive = _ordered(call.request, prompt, EMBEDDING_WITHOUT)
        if directive.outcome is Outcome.ERROR_FRAME:
            return OVERLOADED
        await send_whole(call.request, json_reply(reply), directive, self._host)
        return None

    # models

    async def models(self, request: Request) -> Reply:
        _key(request)
        query = request.query
        size, token = query.get("pageSize", str(PAGE_USUAL)), query.get("pageToken", "") or "0"
        if not (size.isdecimal() and token.isdecimal() and len(token) < 10):  # noqa: PLR2004  (no token of ours is as long)
            raise invalid("The page size or the page token is not valid.")
        known = await self._known()
        start, number = int(token), min(PAGE_MAX, int(size) or PAGE_USUAL)
        listed: dict[str, Any] = {"models": known[start : start + number]}
        if start + number < len(known):
            listed["nextPageToken"] = str(start + number)
        return json_reply(listed)

    async def model(self, request: Request) -> Reply:
        _key(request)
        wanted = request.params["id"]
        if UNKNOWN_MODEL in wanted:
            return problem(404, f"models/{wanted[:200]} is not found.")
        known = {model["name"]: model for model in await self._known()}
        return json_reply(known.get(f"models/{wanted}") or _described({"id": wanted, "kind": "chat"}))

    async def _known(self) -> list[dict[str, Any]]:
        if not self._listed:
            self._listed = await asyncio.to_thread(_read_models)
        return self._listed


# reading a call

EMBEDDING_WITHOUT = TASK_ONLY | {Outcome.TOOL_CALL, Outcome.REFUSAL, Outcome.LENGTH, Outcome.REASONING}


def _key(request: Request) -> str:
    """Who calls. Raises `Refusal`."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    given = request.headers.get("x-goog-api-key", "") or request.query.get("key", "")
    key = given.strip() or (token.strip() if scheme.lower() == "bearer" else "")
    if not key:
        raise Refusal(NO_KEY)
    if key.startswith("bad"):
        raise Refusal(BAD_KEY)
    return key


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        value = decode(data)
    except ValueError as error:
        raise invalid(f"Invalid JSON payload received. {str(error)[:200]}") from error
    if not isinstance(value, dict):
        raise invalid("Invalid JSON payload received. Expected an object.")
    return as_object(value)


def _directive(request: Request, order: Order) -> Directive:
    directive = _ordered(request, order.prompt, TASK_ONLY)
    if directive.outcome is Outcome.TOOL_CALL and order.results:
        # The order stands in what the user said before the call: it has been carried out.
        return Directive(delay_s=directive.delay_s)
    return directive


def _ordered(request: Request, prompt: str, without: frozenset[Outcome]) -> Directive:
    try:
        directive = directive_for(request.raw_headers, prompt, without=without)
    except ValueError as error:
        raise invalid(f"* GenerateContentRequest.contents: {error}\n") from error
    refused = REFUSED_BY_ORDER.get(directive.outcome)
    if refused is not None:
        raise Refusal(refused)
    return directive


def _read_text(order: Order) -> str:
    """All words in their order, for the cache."""
    said = [f"{line.role}\n{part.kind}\n{part.text}" for line in order.lines for part in line.parts]
    return "\n".join((order.system, *(tool.name for tool in order.tools), *said))


def _planned(order: Order, directive: Directive, variant: int) -> Plan:
    ask = Ask(
        model=order.model,
        prompt=order.prompt,
        turns=order.turns,
        notes=tuple(part.note for part in order.seen),
        tools=order.tools,
        tool_mode=order.tool_mode,
        tool_name=order.tool_name,
        tool_results=order.results,
        wants_json=order.media == "application/json",
        schema=order.schema,
        output_tokens_max=order.tokens_max,
        stop=order.stop,
        thinks=order.thinks,
        input_tokens=sum(order.tokens.values()),
        directive=directive,
        variant=variant,
    )
    try:
        return plan_chat(ask)
    except ValueError as error:
        raise invalid(f"* GenerateContentRequest.tools: {error}\n") from error


def _enumerated(order: Order, plan: Plan) -> Plan:
    """For `text/x.enum` the bare word instead of JSON."""
    if order.media != "text/x.enum" or not plan.text.startswith('"'):
        return plan
    return msgspec.structs.replace(plan, text=plan.text.strip('"'))


def _as_json(request: Request) -> Request:
    """The request, whose answer is told to be JSON and not an event stream."""

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [each for each in message["headers"] if each[0] != b"content-type"]
            message = {**message, "headers": [(b"content-type", b"application/json; charset=UTF-8"), *headers]}
        await request.send(message)

    return Request(request.scope, request.receive, send, params=request.params)


# models


def _read_models() -> list[dict[str, Any]]:
    text = files("halley.vendors.gemini").joinpath("catalogue.toml").read_text(encoding="utf-8")
    return [_described(model) for model in tomllib.loads(text)["models"]]


def _described(model: dict[str, Any]) -> dict[str, Any]:
    is_embedding = model.get("kind") == "embedding"
    content = ["generateContent", "countTokens", "createCachedContent"]
    described: dict[str, Any] = {
        "name": f"models/{model['id']}",
        "version": "001",
        "displayName": model["id"].replace("-", " ").title(),
        "description": f"Simulated: {model.get('description', 'a model')}",
        "inputTokenLimit": model.get("context_tokens") or 1_048_576,
        "outputTokenLimit": model.get("output_tokens_max") or (1 if is_embedding else 65_536),
        "supportedGenerationMethods": ["embedContent", "countTokens"] if is_embedding else content,
    }
    if is_embedding:
        return described
    return described | {"temperature": 1, "topP": 0.95, "topK": 64, "maxTemperature": 2}
