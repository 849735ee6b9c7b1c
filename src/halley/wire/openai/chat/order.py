"""An order in chat completions: the body that a caller sends, and the one that a vendor gets."""

from typing import Any

from halley.kernel.chat import ChatOrder
from halley.wire.extras import refuse_extras
from halley.wire.openai.chat.messages import read_messages, write_messages
from halley.wire.openai.chat.thinking import SPELLINGS, read_reasoning
from halley.wire.openai.chat.tools import (
    read_choice,
    read_output,
    read_tools,
    write_choice,
    write_output,
    write_tools,
)
from halley.wire.openai.hints import sent
from halley.wire.openai.settings import effort_for, refuse_fields, required, shared_extras
from halley.wire.shape import Cursor

# `reasoning_effort` and its like are kept as extras by their own reader where they say more than we can.
_KNOWN = frozenset(
    (
        *("model", "messages", "tools", "functions", "tool_choice", "function_call", "parallel_tool_calls"),
        *("max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k", "stop", "seed"),
        *("presence_penalty", "frequency_penalty", "n", "response_format", "stream", *SPELLINGS),
    )
)


def read_order(body: dict[str, Any]) -> ChatOrder:
    """Read a caller's body. Raises `BadRequest` naming the field."""
    required(body, "model")
    required(body, "messages")
    extras: dict[str, Any] = {}
    at = Cursor(sent(body), "", extras)
    at.keep_others(_KNOWN)
    return ChatOrder(
        model=at.at("model").text(),
        messages=read_messages(at.at("messages")),
        tools=read_tools(at.at("tools"), at.at("functions")),
        tool_choice=read_choice(at.at("tool_choice"), at.at("function_call")),
        parallel_tools=at.at("parallel_tool_calls").flag_or_none(),
        output_tokens_max=at.at(
            "max_completion_tokens" if at.has("max_completion_tokens") else "max_tokens"
        ).whole_or_none(),
        temperature=at.at("temperature").number_or_none(),
        top_p=at.at("top_p").number_or_none(),
        top_k=at.at("top_k").whole_or_none(),
        stop=_read_stop(at.at("stop")),
        seed=at.at("seed").whole_or_none(),
        presence_penalty=at.at("presence_penalty").number_or_none(),
        frequency_penalty=at.at("frequency_penalty").number_or_none(),
        count=at.at("n").whole_or_none(),
        output=read_output(at.at("response_format")),
        reasoning=read_reasoning(at),
        stream=at.at("stream").flag_or_none() or False,
        extras=extras,
    )


def write_order(order: ChatOrder) -> dict[str, Any]:
    """Write a body for a vendor. Raises `NotConveyed` naming what this format has no word for."""
    return _write_order(order, thoughts=False)


def write_order_with_thoughts(order: ChatOrder) -> dict[str, Any]:
    """The same for vendors that want earlier thoughts handed back as `reasoning_content`."""
    return _write_order(order, thoughts=True)


def _write_order(order: ChatOrder, *, thoughts: bool) -> dict[str, Any]:
    shared = shared_extras(order)
    refuse_extras(order, shared)
    refuse_fields({"top_k": order.top_k}, "OpenAI's chat has no word for it")
    fields: dict[str, Any] = {
        "model": order.model,
        "messages": write_messages(order.messages, thoughts=thoughts),
        "tools": write_tools(order.tools) or None,
        "tool_choice": None if order.tool_choice is None else write_choice(order.tool_choice),
        "parallel_tool_calls": order.parallel_tools,
        "max_completion_tokens": order.output_tokens_max,
        "temperature": order.temperature,
        "top_p": order.top_p,
        "stop": list(order.stop) or None,
        "seed": order.seed,
        "presence_penalty": order.presence_penalty,
        "frequency_penalty": order.frequency_penalty,
        "n": order.count,
        "response_format": None if order.output is None else write_output(order.output),
        "reasoning_effort": effort_for(order.reasoning, order.model),
        **shared,
    }
    if order.stream:
        fields |= {"stream": True, "stream_options": {"include_usage": True}}
    return {name: value for name, value in fields.items() if value is not None}


def _read_stop(at: Cursor) -> tuple[str, ...]:
    match at.value:
        case None:
            return ()
        case str():
            return (at.text(),)
        case list():
            return tuple(item.text() for item in at.items())
        case _:
            raise at.wrong("a string or an array of strings")
