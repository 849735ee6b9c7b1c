"""`/v1/responses` of the simulated vendor: answers, streams, and what is kept of them for a while, in memory."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import msgspec

from halley.kernel.chat import ToolMode
from halley.kernel.codec import encode
from halley.kernel.loose import as_list, as_object, as_text
from halley.kernel.sse import frame
from halley.vendors.openai.simulated_call import SERVER_ERROR, Call, model_of, served
from halley.vendors.openai.simulated_chat import EFFORTS
from halley.vendors.openai.simulated_conversation import Line, Talk, talk_of
from halley.vendors.openai.simulated_errors import invalid, missing, problem
from halley.vendors.openai.simulated_fields import Rule, check, check_fields
from halley.vendors.openai.simulated_parts import Seen, look_at, together
from halley.vendors.openai.simulated_response_shape import Made, at_end, frames, made_of, waiting
from halley.vendors.openai.simulated_tools import Format, Tools, read_format, read_tools
from halley.vendors.simulate import (
    NEVER_US,
    Ask,
    Directive,
    Plan,
    PrefixCache,
    Refusal,
    Router,
    SimulatorHost,
    plan_chat,
)

KEPT_MAX = 500
ITEMS_MAX = 5_000
PAGE_MAX = 100
PAGE_USUAL = 20
OUTPUT_TOKENS_MIN = 16
_FIELDS: Mapping[str, Rule] = {
    "model": Rule("str"),
    "input": Rule("str|array", low=1),
    "background": Rule("bool"),
    "include": Rule("array"),
    "instructions": Rule("str"),
    "max_output_tokens": Rule("int", OUTPUT_TOKENS_MIN),
    "max_tool_calls": Rule("int", 1),
    "metadata": Rule("object"),
    "parallel_tool_calls": Rule("bool"),
    "previous_response_id": Rule("str"),
    "prompt_cache_key": Rule("str"),
    "reasoning": Rule("object"),
    "safety_identifier": Rule("str"),
    "service_tier": Rule("str"),
    "store": Rule("bool"),
    "stream": Rule("bool"),
    "stream_options": Rule("object"),
    "temperature": Rule("number", 0, 2),
    "text": Rule("object"),
    "tool_choice": Rule("str|object"),
    "tools": Rule("array"),
    "top_logprobs": Rule("int", 0, 20),
    "top_p": Rule("number", 0, 1),
    "truncation": Rule("str", one_of=("auto", "disabled")),
    "user": Rule("str"),
    **{
        name: Rule("object") for name in ("moderation", "prompt", "prompt_cache_options", "background_options", "image")
    },
    "conversation": Rule("str|object"),
    "context_management": Rule("array"),
    "prompt_cache_retention": Rule("str"),
    "access_programs": Rule("array"),
}
_EFFORT = Rule("str", one_of=EFFORTS)


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    account: str
    made: Made
    items: tuple[dict[str, Any], ...]
    """What went in: of this response, and of those before it."""
    ready_us: int
    is_background: bool
    cancelled: bool = False


class _Order(msgspec.Struct, frozen=True, kw_only=True):
    model: str
    given: dict[str, Any]
    items: tuple[dict[str, Any], ...]
    talk: Talk
    tools: Tools
    format: Format
    directive: Directive


def add_routes(router: Router, host: SimulatorHost, cache: PrefixCache) -> None:
    """Serve `/v1/responses`."""
    responses = _Responses(host, cache)
    router.add("POST", "/v1/responses", served(host, responses.create))
    router.add("GET", "/v1/responses/{id}", served(host, responses.get))
    router.add("DELETE", "/v1/responses/{id}", served(host, responses.delete))
    router.add("POST", "/v1/responses/{id}/cancel", served(host, responses.cancel))
    router.add("GET", "/v1/responses/{id}/input_items", served(host, responses.input_items))
    router.add("POST", "/v1/responses/input_tokens", served(host, responses.input_tokens))


class _Responses:
    def __init__(self, host: SimulatorHost, cache: PrefixCache) -> None:
        self._host = host
        self._cache = cache
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    async def create(self, call: Call) -> None:
        """Answer, now or in the background."""
        order = await self._order(call)
        plan = self._plan(call, order)
        given = order.given
        now_us = self._host.clock.now()
        made = made_of(self._host, plan, order.model, given, created_s=call.created_s)
        is_background = given.get("background") is True
        ready_us = self._host.ready_us(order.directive, created_us=now_us) if is_background else now_us
        if given.get("store") is not False:
            kept = _Kept(
                account=call.account,
                made=made,
                items=order.items,
                ready_us=ready_us,
                is_background=is_background,
            )
            self._keep(kept)
        if given.get("stream") is True:
            await call.stream(frames(made), order.directive, error_frame=error_frame(made))
        else:
            await call.answer(waiting(made, "queued") if is_background else at_end(made), order.directive)

    async def _order(self, call: Call) -> _Order:
        body = await call.body()
        model = model_of(body)
        is_vendor = call.host.vendor == "openai"
        given = check_fields(body, _FIELDS, required=("input",), is_closed=is_vendor)
        reasoning = as_object(given.get("reasoning"))
        if reasoning.get("effort") is not None:
            check("reasoning.effort", reasoning["effort"], _EFFORT)
        if given.get("background") is True and given.get("store") is False:
            raise invalid("Background mode requires 'store' to be true.", "background")
        before = self._before(call, given)
        items = (*before, *_items(given["input"]))
        if len(items) > ITEMS_MAX:
            raise invalid(
                f"Invalid 'input': array too long. Expected at most {ITEMS_MAX} items.",
                "input",
                "array_above_max_length",
            )
        talk = talk_of(await _lines(call, given, items, own_from=len(before)))
        return _Order(
            model=model,
            given=given,
            items=items,
            talk=talk,
            tools=read_tools(given.get("tools"), given.get("tool_choice")),
            format=read_format(as_object(given.get("text")).get("format"), param="text.format", texts=talk.texts),
            directive=call.directive(talk.prompt, param="input"),
        )

    def _before(self, call: Call, given: dict[str, Any]) -> tuple[dict[str, Any], ...]:
        """All that was said up to the response that is gone on from."""
        before = given.get("previous_response_id")
        if before is None:
            return ()
        kept = self._kept.get(before)
        if kept is None or kept.account != call.account:
            message = f"Previous response with id '{before[:100]}' not found."
            raise Refusal(problem(400, message, param="previous_response_id", code="previous_response_not_found"))
        return (*kept.items, *kept.made.output)

    def _plan(self, call: Call, order: _Order) -> Plan:
        known = self._cache.cached(call.account, order.talk.texts)
        try:
            return plan_chat(_ask(order, known))
        except ValueError as error:
            raise invalid(str(error), None, "invalid_value") from error

    def _keep(self, kept: _Kept) -> None:
        self._kept[kept.made.id] = kept
        while len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)

    # what is kept

    async def get(self, call: Call) -> None:
        """Show a response as it is now, or stream its events once more."""
        kept = self._found(call)
        if call.request.query.get("stream") == "true":
            after = call.request.query.get("starting_after", "")
            start = int(after) + 1 if after.isdecimal() else 0
            await call.stream(frames(kept.made)[start:], Directive())
            return
        await call.answer(self._state(kept))

    async def delete(self, call: Call) -> None:
        """Forget a response."""
        kept = self._found(call)
        del self._kept[kept.made.id]
        await call.answer({"id": kept.made.id, "object": "response", "deleted": True})

    async def cancel(self, call: Call) -> None:
        """Cancel a response that is made in the background; one that has ended stays as it is."""
        kept = self._found(call)
        if not kept.is_background:
            raise invalid("Cannot cancel a synchronous response.", None)
        if self._host.clock.now() < kept.ready_us:
            kept = msgspec.structs.replace(kept, cancelled=True, ready_us=NEVER_US)
            self._kept[kept.made.id] = kept
        await call.answer(self._state(kept))

    async def input_items(self, call: Call) -> None:
        """List what went into a response, the newest first unless asked otherwise."""
        kept = self._found(call)
        query = call.request.query
        items = [_shown(item, kept.made.id, place) for place, item in enumerate(kept.items)]
        if query.get("order", "desc") != "asc":
            items.reverse()
        ids = [item["id"] for item in items]
        start = ids.index(query["after"]) + 1 if query.get("after") in ids else 0
        limit = min(int(query.get("limit", "")) if query.get("limit", "").isdecimal() else PAGE_USUAL, PAGE_MAX)
        page = items[start : start + limit]
        await call.answer(
            {
                "object": "list",
                "data": page,
                "first_id": page[0]["id"] if page else None,
                "last_id": page[-1]["id"] if page else None,
                "has_more": start + limit < len(items),
            }
        )

    async def input_tokens(self, call: Call) -> None:
        """Count what an order would take."""
        order = await self._order(call)
        await call.answer({"object": "response.input_tokens", "input_tokens": order.talk.tokens + order.tools.tokens})

    def _found(self, call: Call) -> _Kept:
        name = call.request.params["id"]
        kept = self._kept.get(name)
        if kept is None or kept.account != call.account:
            raise Refusal(problem(404, f"Response with id '{name[:100]}' not found."))
        return kept

    def _state(self, kept: _Kept) -> dict[str, Any]:
        if kept.cancelled:
            return waiting(kept.made, "cancelled")
        if self._host.clock.now() < kept.ready_us:
            return waiting(kept.made, "in_progress")
        return at_end(kept.made)


def error_frame(made: Made) -> bytes:
    """What a stream says that breaks: an event of its own, without the number of any."""
    event = {"type": "error", "code": "server_error", "message": SERVER_ERROR["message"], "param": None}
    return frame(encode({**event, "sequence_number": len(frames(made)) // 2}), "error")


def _items(given: Any) -> tuple[dict[str, Any], ...]:
    if isinstance(given, str):
        return ({"type": "message", "role": "user", "content": [{"type": "input_text", "text": given}]},)
    return tuple(as_object(item) for item in as_list(given))


def _shown(item: dict[str, Any], response_id: str, place: int) -> dict[str, Any]:
    content = item.get("content")
    shown = {**item, "type": item.get("type", "message")}
    if isinstance(content, str):
        shown["content"] = [{"type": "input_text", "text": content}]
    return {"id": item.get("id") or f"msg_{response_id.removeprefix('resp_')}{place}", **shown}


async def _lines(call: Call, given: dict[str, Any], items: tuple[dict[str, Any], ...], *, own_from: int) -> list[Line]:
    lines = [Line(role="system", seen=Seen(text=given["instructions"]))] if given.get("instructions") else []
    asked: set[str] = set()
    for place, item in enumerate(items):
        param = f"input[{max(0, place - own_from)}]"
        lines.append(await _line(call, item, param, asked))
    return lines


async def _line(call: Call, item: dict[str, Any], param: str, asked: set[str]) -> Line:
    match item.get("type", "message"):
        case "message":
            if not isinstance(item.get("role"), str):
                raise missing(f"{param}.role")
            return Line(role=item["role"], seen=await look_at(call, item.get("content"), f"{param}.content"))
        case "function_call":
            asked.add(as_text(item.get("call_id")))
            further = as_text(item.get("name")) + as_text(item.get("arguments"))
            return Line(role="assistant", seen=Seen(), further=further)
        case "function_call_output":
            if item.get("call_id") not in asked:
                message = f"No tool call found for function call output with call_id {str(item.get('call_id'))[:100]}."
                raise invalid(message, "input")
            return Line(role="tool", seen=await look_at(call, item.get("output"), f"{param}.output"))
        case "reasoning":
            said = [Seen(text=as_text(as_object(part).get("text"))) for part in as_list(item.get("summary"))]
            return Line(role="assistant", seen=together(said))
        case kind:
            if not isinstance(kind, str):
                raise invalid(f"Invalid type for '{param}.type': expected a string.", f"{param}.type", "invalid_type")
            return Line(role="assistant", seen=Seen())


def _ask(order: _Order, known: int) -> Ask:
    given, talk, tools = order.given, order.talk, order.tools
    effort = as_object(given.get("reasoning")).get("effort")
    tokens = talk.tokens + tools.tokens
    return Ask(
        model=order.model,
        prompt=talk.prompt,
        turns=talk.turns,
        notes=talk.notes,
        tools=tools.specs,
        tool_mode=tools.mode,
        tool_name=tools.name if tools.mode is ToolMode.REQUIRED else None,
        allows_parallel=given.get("parallel_tool_calls") is not False,
        tool_results=talk.tool_results,
        wants_json=order.format.wants_json,
        schema=order.format.schema,
        output_tokens_max=given.get("max_output_tokens"),
        thinks=effort != "none" if effort else bool(as_object(given.get("reasoning")).get("summary")),
        input_tokens=tokens,
        cached_tokens=min(known, tokens),
        directive=order.directive,
    )
