"""`POST /v1/chat/completions` of the simulated vendor: validation, answers, streams, and `gpt-4o-image`."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from halley.kernel.chat import ToolMode
from halley.kernel.loose import as_list, as_object, as_text
from halley.vendors.openai.simulated_audio import chat_audio
from halley.vendors.openai.simulated_call import Call, model_of, served
from halley.vendors.openai.simulated_chat_shape import Shape, frames, whole
from halley.vendors.openai.simulated_conversation import Talk, read_messages
from halley.vendors.openai.simulated_errors import invalid
from halley.vendors.openai.simulated_fields import Rule, check_fields
from halley.vendors.openai.simulated_pictures import Pictures, Sketch
from halley.vendors.openai.simulated_tools import Format, Tools, read_format, read_tools
from halley.vendors.simulate import (
    TASK_ONLY,
    Ask,
    Directive,
    Outcome,
    Plan,
    PrefixCache,
    Router,
    SimulatorHost,
    ToolSpec,
    count,
    plan_chat,
    without_marker,
)

CONTEXT_TOKENS_MAX = 1_050_000
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
PICTURE_SIDE = 1_024
_PICTURES = re.compile(r"^gpt-4o-image")
_OUR_OWN = re.compile(r"^(?:gpt-|o\d|chatgpt|codex)")
_REASONING = re.compile(r"^o\d")
_NO_MAX_TOKENS = re.compile(r"^(?:o\d|gpt-[5-9](?!.*chat))")
_FIXED = {"temperature": 1, "top_p": 1, "presence_penalty": 0, "frequency_penalty": 0}
_FIELDS: Mapping[str, Rule] = {
    "model": Rule("str"),
    "messages": Rule("array", low=1),
    "audio": Rule("object"),
    "frequency_penalty": Rule("number", -2, 2),
    "function_call": Rule("str|object"),
    "functions": Rule("array", low=1, high=128),
    "logit_bias": Rule("object"),
    "logprobs": Rule("bool"),
    "max_completion_tokens": Rule("int", 1),
    "max_tokens": Rule("int", 1),
    "metadata": Rule("object"),
    "modalities": Rule("array", low=1),
    "moderation": Rule("object"),
    "n": Rule("int", 1, 128),
    "parallel_tool_calls": Rule("bool"),
    "prediction": Rule("object"),
    "presence_penalty": Rule("number", -2, 2),
    "prompt_cache_key": Rule("str"),
    "prompt_cache_options": Rule("object"),
    "prompt_cache_retention": Rule("str", one_of=("in_memory", "24h")),
    "reasoning_effort": Rule("str", one_of=EFFORTS),
    "response_format": Rule("object"),
    "safety_identifier": Rule("str"),
    "seed": Rule("int"),
    "service_tier": Rule("str"),
    "stop": Rule("str|array", high=4),
    "store": Rule("bool"),
    "stream": Rule("bool"),
    "stream_options": Rule("object"),
    "temperature": Rule("number", 0, 2),
    "tool_choice": Rule("str|object"),
    "tools": Rule("array"),
    "top_logprobs": Rule("int", 0, 20),
    "top_p": Rule("number", 0, 1),
    "user": Rule("str"),
    "verbosity": Rule("str", one_of=("low", "medium", "high")),
    "web_search_options": Rule("object"),
}


class _Order(msgspec.Struct, frozen=True, kw_only=True):
    model: str
    given: dict[str, Any]
    talk: Talk
    tools: Tools
    format: Format
    directive: Directive


def add_routes(router: Router, host: SimulatorHost, pictures: Pictures, cache: PrefixCache) -> None:
    """Serve `/v1/chat/completions`."""
    chat = _Chat(pictures, cache)
    router.add("POST", "/v1/chat/completions", served(host, chat.create))


class _Chat:
    def __init__(self, pictures: Pictures, cache: PrefixCache) -> None:
        self._pictures = pictures
        self._cache = cache

    async def create(self, call: Call) -> None:
        """Answer one chat."""
        body = await call.body()
        model = model_of(body)
        is_vendor = call.host.vendor == "openai"
        given = check_fields(body, _FIELDS, required=("messages",), is_closed=is_vendor)
        _check_model(model, given)
        _check_together(given)
        talk = await read_messages(call, given["messages"])
        directive = call.directive(talk.prompt, param="messages", without=_without(model))
        order = _Order(
            model=model,
            given=given,
            talk=talk,
            tools=_tools(given),
            format=read_format(given.get("response_format"), param="response_format", texts=talk.texts),
            directive=directive,
        )
        plans = await self._plans(call, order)
        shape = await self._shape(call, order, plans)
        if given.get("stream") is True:
            await call.stream(frames(shape), directive)
        else:
            await call.answer(whole(shape), directive)

    async def _plans(self, call: Call, order: _Order) -> tuple[Plan, ...]:
        tokens = order.talk.tokens + order.tools.tokens
        if tokens > CONTEXT_TOKENS_MAX:
            message = (
                f"This model's maximum context length is {CONTEXT_TOKENS_MAX} tokens. "
                f"However, your messages resulted in {tokens} tokens."
            )
            raise invalid(message, "messages", "context_length_exceeded")
        if _PICTURES.match(order.model):
            return (await self._drawn(call, order, tokens),)
        known = self._cache.cached(call.account, order.talk.texts)
        number = int(order.given.get("n") or 1)
        try:
            return tuple(plan_chat(_ask(order, place, min(known, tokens))) for place in range(number))
        except ValueError as error:
            raise invalid(str(error), None, "invalid_value") from error

    async def _drawn(self, call: Call, order: _Order, tokens: int) -> Plan:
        """A picture, told in Markdown as the gateways of this family do."""
        prompt = without_marker(order.talk.prompt)
        sketch = Sketch(prompt=prompt, width=PICTURE_SIDE, height=PICTURE_SIDE, format="png", model=order.model)
        link = self._pictures.keep(call, sketch, order.directive)[0]
        plan = plan_chat(_ask(order, 0, 0))
        text = f"![image]({link})\n\n[download]({link})"
        usage = msgspec.structs.replace(plan.usage, input=tokens, output=count(text), reasoning=0)
        if plan.refusal:
            return plan
        return msgspec.structs.replace(plan, text=text, calls=(), reasoning="", usage=usage)

    async def _shape(self, call: Call, order: _Order, plans: tuple[Plan, ...]) -> Shape:
        given = order.given
        return Shape(
            id=f"chatcmpl-{call.host.base32_id()}",
            created_s=call.created_s,
            model=order.model,
            plans=plans,
            call_ids=tuple(tuple(f"call_{call.host.base32_id()}" for _ in plan.calls) for plan in plans),
            talk=order.talk,
            top_logprobs=int(given.get("top_logprobs") or 0) if given.get("logprobs") is True else None,
            shows_reasoning=not _OUR_OWN.match(order.model),
            is_legacy="functions" in given and "tools" not in given,
            include_usage=as_object(given.get("stream_options")).get("include_usage") is True,
            audio=await _audio(call, given, plans),
        )


async def _audio(call: Call, given: dict[str, Any], plans: tuple[Plan, ...]) -> tuple[dict[str, Any] | None, ...]:
    """What is spoken instead of written, where that was asked."""
    if "audio" not in as_list(given.get("modalities")):
        return tuple(None for _ in plans)
    asked = as_object(given.get("audio"))
    voice, kind = as_text(asked.get("voice")) or "alloy", as_text(asked.get("format")) or "wav"
    spoken: list[dict[str, Any] | None] = []
    for plan in plans:
        if not plan.text:
            spoken.append(None)
            continue
        data, transcript = await chat_audio(plan.text, voice=voice, audio_format=kind)
        expires = call.created_s + 3_600
        spoken.append(
            {"id": f"audio_{call.host.base32_id()}", "data": data, "expires_at": expires, "transcript": transcript}
        )
    return tuple(spoken)


def _without(model: str) -> frozenset[Outcome]:
    """A picture's link may have ended; nothing else of a task has a meaning here."""
    return TASK_ONLY - {Outcome.EXPIRED_LINK} if _PICTURES.match(model) else TASK_ONLY


def _check_model(model: str, given: dict[str, Any]) -> None:
    if "max_tokens" in given and _NO_MAX_TOKENS.match(model):
        message = (
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
        )
        raise invalid(message, "max_tokens", "unsupported_parameter")
    for name, fixed in _FIXED.items() if _REASONING.match(model) else ():
        if given.get(name, fixed) != fixed:
            message = (
                f"Unsupported value: '{name}' does not support {given[name]} with this model. "
                f"Only the default ({fixed}) value is supported."
            )
            raise invalid(message, name, "unsupported_value")


def _check_together(given: dict[str, Any]) -> None:
    """What one field says about another."""
    if "stream_options" in given and given.get("stream") is not True:
        raise invalid("The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options")
    if given.get("top_logprobs") and given.get("logprobs") is not True:
        raise invalid("The 'logprobs' parameter must be true when 'top_logprobs' is used.", "top_logprobs")
    if "parallel_tool_calls" in given and not given.get("tools"):
        message = "Invalid value for 'parallel_tool_calls': it is only allowed when 'tools' are specified."
        raise invalid(message, "parallel_tool_calls")
    if "audio" in as_list(given.get("modalities")) and "audio" not in given:
        raise invalid("Missing required parameter: 'audio'.", "audio", "missing_required_parameter")


def _tools(given: dict[str, Any]) -> Tools:
    if "tools" in given or "functions" not in given:
        return read_tools(given.get("tools"), given.get("tool_choice"))
    tools = [{"type": "function", "function": each} for each in as_list(given["functions"])]
    choice = given.get("function_call")
    if isinstance(choice, dict):
        choice = {"type": "function", "function": as_object(given["function_call"])}
    return read_tools(tools, choice)


def _ask(order: _Order, variant: int, known: int) -> Ask:
    given, talk, tools = order.given, order.talk, order.tools
    effort = given.get("reasoning_effort")
    stop = given.get("stop")
    # A function of old, which a model called one of at a time.
    is_legacy = "functions" in given and "tools" not in given
    return Ask(
        model=order.model,
        prompt=talk.prompt,
        turns=talk.turns,
        notes=talk.notes,
        tools=_allowed(tools),
        tool_mode=tools.mode,
        tool_name=tools.name if tools.mode is ToolMode.REQUIRED else None,
        allows_parallel=given.get("parallel_tool_calls") is not False and not is_legacy,
        tool_results=talk.tool_results,
        wants_json=order.format.wants_json,
        schema=order.format.schema,
        output_tokens_max=given.get("max_completion_tokens") or given.get("max_tokens"),
        stop=(stop,) if isinstance(stop, str) else tuple(as_text(each) for each in as_list(stop)),
        thinks=effort != "none" if effort else bool(_REASONING.match(order.model)) or _thinks_elsewhere(given),
        input_tokens=talk.tokens + tools.tokens,
        cached_tokens=known,
        directive=order.directive,
        variant=variant,
    )


def _allowed(tools: Tools) -> tuple[ToolSpec, ...]:
    if tools.mode is ToolMode.AUTO and tools.name:
        return tuple(spec for spec in tools.specs if spec.name == tools.name)
    return tools.specs


def _thinks_elsewhere(given: dict[str, Any]) -> bool:
    """Whether thinking is asked for in the words of vendors that conform to this one but for that."""
    reasoning = as_object(given.get("reasoning"))
    return (
        given.get("enable_thinking") is True
        or as_object(given.get("thinking")).get("type") == "enabled"
        or bool(reasoning.get("effort") or reasoning.get("enabled"))
    )
