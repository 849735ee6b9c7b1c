"""Usage as this format counts: its input leaves out what came from or went to the cache."""

from typing import Annotated, Any

import msgspec

from halley.kernel import codec
from halley.kernel.chat import ChatUsage
from halley.kernel.loose import as_object
from halley.wire.usage import counts_of

Count = Annotated[int, msgspec.Meta(ge=0, le=10**12)]
"""Tokens; what is less than none or beyond belief is not taken for a count."""


class _CacheWrites(msgspec.Struct):
    ephemeral_5m_input_tokens: Count | None = None
    ephemeral_1h_input_tokens: Count | None = None


class _OutputDetails(msgspec.Struct):
    thinking_tokens: Count | None = None


class _ServerTools(msgspec.Struct):
    web_search_requests: Count | None = None


class WireUsage(msgspec.Struct):
    """The counts of a reply or of one event; any may be absent."""

    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cache_creation_input_tokens: Count | None = None
    cache_read_input_tokens: Count | None = None
    cache_creation: _CacheWrites | None = None
    output_tokens_details: _OutputDetails | None = None
    server_tool_use: _ServerTools | None = None


class _Message(msgspec.Struct):
    usage: WireUsage | None = None


class _Carrier(msgspec.Struct):
    """A whole reply, `message_start` or `message_delta`."""

    usage: WireUsage | None = None
    message: _Message | None = None


NONE = ChatUsage(input=0, output=0)
_carrier = msgspec.json.Decoder(_Carrier)


def read_usage(data: bytes) -> ChatUsage | None:
    """Give the usage of a whole reply or of one event of a stream.

    The end of a stream may tell the output alone, its input then being 0: `wire.usage.larger` puts both together.
    """
    if b'"usage"' not in data:
        return None
    try:
        carrier = _carrier.decode(data)
    except msgspec.ValidationError:
        return _usage_in(data)
    except (msgspec.DecodeError, RecursionError):
        return None
    usage = carrier.usage or (carrier.message.usage if carrier.message else None)
    return counted(usage) if usage else None


def _usage_in(data: bytes) -> ChatUsage | None:
    """Do the same where something is of another type than the format says."""
    try:
        body = as_object(codec.decode_reply(data))
    except ValueError:
        return None
    return usage_of(body.get("usage") or as_object(body.get("message")).get("usage"))


def usage_of(value: Any) -> ChatUsage | None:
    """The same of JSON that is read already."""
    if value is None:
        return None
    try:
        usage = msgspec.convert(value, WireUsage)
    except msgspec.ValidationError:
        usage = counts_of(value, WireUsage)
    return counted(usage)


def counted(usage: WireUsage) -> ChatUsage | None:
    """Give the counts; None where all are 0: every call has an input, so that nobody counted this one."""
    cached = usage.cache_read_input_tokens or 0
    writes = usage.cache_creation or _CacheWrites()
    hour = writes.ephemeral_1h_input_tokens or 0
    written = usage.cache_creation_input_tokens
    if written is None:
        written = hour + (writes.ephemeral_5m_input_tokens or 0)
    details, tools = usage.output_tokens_details, usage.server_tool_use
    told = ChatUsage(
        input=(usage.input_tokens or 0) + cached + written,
        output=usage.output_tokens or 0,
        cached=cached,
        cache_write=written,
        cache_write_1h=hour,
        reasoning=(details.thinking_tokens or 0) if details else 0,
        searches=(tools.web_search_requests or 0) if tools else 0,
    )
    return None if told == NONE else told


def write_usage(usage: ChatUsage | None) -> dict[str, Any]:
    """Write the counts of a reply or of a stream's beginning.

    Of what nobody told, all is null but for the two that the format knows no reply without: its SDKs take neither a
    null nor a missing field for `input_tokens` and `output_tokens`, so that these are 0.
    """
    if usage is None:
        return {**_UNTOLD, "cache_creation": None, "input_tokens": 0}
    written: dict[str, Any] = {
        "input_tokens": max(usage.input - usage.cached - usage.cache_write, 0),
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cached,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write - usage.cache_write_1h,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        },
        "output_tokens": usage.output,
    }
    if usage.reasoning:
        written["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    return written


def write_last_usage(usage: ChatUsage | None) -> dict[str, Any]:
    """Write the counts of a stream's end, which has no breakdown of the cache, and only needs an output."""
    if usage is None:
        return dict(_UNTOLD)
    written = write_usage(usage)
    del written["cache_creation"]
    return written


_UNTOLD: dict[str, Any] = {
    "input_tokens": None,
    "cache_creation_input_tokens": None,
    "cache_read_input_tokens": None,
    "output_tokens": 0,
}
