"""What a reply counts, in OpenAI's words and those of its relatives. Read by shape: no vendor is asked for.

- `prompt_tokens` and `completion_tokens` are totals; so are `input_tokens` and `output_tokens`.
- Tokens that were read from a cache: `prompt_tokens_details.cached_tokens`, `cached_tokens`, `prompt_cache_hit_tokens`,
  `cache_read_input_tokens`.
- A total that is larger than both together counts thoughts that `completion_tokens` leaves out.
- All zeros are no count: the vendor did not count.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from halley.kernel.chat import ChatUsage
from halley.kernel.loose import as_object

COUNT_MAX = 10**12
MILLISECONDS_MAX = 10**9

_HAS_USAGE = re.compile(rb'"(?:usage|meta)"\s*:\s*\{')
_CACHED = ("prompt_cache_hit_tokens", "cache_read_input_tokens", "cached_tokens", "num_cached_tokens")
_WRITTEN = ("cache_write_tokens", "cache_creation_input_tokens", "cache_creation_tokens")
_HOUR = ("claude_cache_creation_1_h_tokens", "ephemeral_1h_input_tokens")


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What any reply in OpenAI's formats may count: tokens, or the length of a sound, or searches."""

    usage: ChatUsage | None = None
    sound_ms: int | None = None
    searches: int | None = None


class _Outer(msgspec.Struct):
    """Where usage stands; all else is skipped, not built."""

    usage: Any = None
    x_groq: Any = None
    response: Any = None
    meta: Any = None


_outer = msgspec.json.Decoder(_Outer)


def read_usage(data: bytes) -> ChatUsage | None:
    """The tokens that a whole reply or one frame of a stream counts; None if it counts none."""
    counts = read_counts(data)
    return None if counts is None else counts.usage


def read_counts(data: bytes) -> Counts | None:
    """All that a whole reply or one frame of a stream counts; None if it counts nothing."""
    if not _HAS_USAGE.search(data):
        return None
    try:
        outer = _outer.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return None
    places = (outer.usage, as_object(outer.response).get("usage"), as_object(outer.x_groq).get("usage"))
    return counts_of(_first_object(*places), as_object(outer.meta))


def counts_of(usage: dict[str, Any], meta: dict[str, Any] | None = None) -> Counts | None:
    """The same for a `usage` object and the `meta` of rerankers."""
    found = Counts(
        usage=usage_of(usage) or usage_of(as_object((meta or {}).get("tokens"))),
        sound_ms=_milliseconds(usage.get("seconds")) if usage.get("type") == "duration" else None,
        searches=_count(as_object((meta or {}).get("billed_units")).get("search_units")) or None,
    )
    return None if found == Counts() else found


def usage_of(value: dict[str, Any]) -> ChatUsage | None:
    """The tokens in a `usage` object; None if it counts none."""
    prompt, answer = _first(value, "prompt_tokens", "input_tokens"), _first(value, "completion_tokens", "output_tokens")
    total = _count(value.get("total_tokens"))
    if not prompt and not answer:
        # Rerankers and some embedders tell the total alone.
        return ChatUsage(input=total, output=0) if total else None
    details = _details(
        value, "prompt_tokens_details", "prompt_token_details", "input_tokens_details", "input_token_details"
    )
    answered = _details(
        value, "completion_tokens_details", "output_tokens_details", "output_token_details", "completion_token_details"
    )
    cached = _first(details, *_CACHED) or _first(value, *_CACHED)
    creation = as_object(value.get("cache_creation") or details.get("cache_creation"))
    hour = _first(value, *_HOUR) or _first(creation, *_HOUR)
    written = max(_first(details, *_WRITTEN) or _first(value, *_WRITTEN), hour)
    reasoning = _first(answered, "reasoning_tokens") or _first(value, "reasoning_tokens")
    inputs, outputs = _totals(prompt, answer, total, cached + written, reasoning)
    return ChatUsage(
        input=inputs + _count(value.get("citation_tokens")),
        output=outputs,
        cached=cached,
        cache_write=written,
        cache_write_1h=hour,
        reasoning=min(reasoning, outputs),
        audio_input=min(_first(details, "audio_tokens"), inputs),
        audio_output=min(_first(answered, "audio_tokens"), outputs),
        image_input=min(_first(details, "image_tokens"), inputs),
        image_output=min(_first(answered, "image_tokens"), outputs),
    )


def write_chat_usage(usage: ChatUsage) -> dict[str, Any]:
    """Write usage as chat completions do."""
    inputs = {"cached_tokens": usage.cached, "audio_tokens": usage.audio_input}
    outputs = {
        "reasoning_tokens": usage.reasoning,
        "audio_tokens": usage.audio_output,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    }
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {
            **inputs,
            **_set({"cache_write_tokens": usage.cache_write, "image_tokens": usage.image_input}),
        },
        "completion_tokens_details": {**outputs, **_set({"image_tokens": usage.image_output})},
    }


def write_responses_usage(usage: ChatUsage) -> dict[str, Any]:
    """Write usage as responses do, which know no sounds and no images."""
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": usage.cache_write},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.input + usage.output,
    }


def _totals(prompt: int, answer: int, total: int, cache: int, reasoning: int) -> tuple[int, int]:
    """Give all tokens in and out, where a vendor leaves some out of its figures."""
    missing = max(0, total - prompt - answer)
    if cache > prompt or (missing and missing == cache and missing != reasoning):
        # What the cache served is told apart.
        return prompt + cache, answer
    if not missing and reasoning > answer:
        return prompt, answer + reasoning
    return prompt, answer + missing


def _details(value: dict[str, Any], *names: str) -> dict[str, Any]:
    return _first_object(*(value.get(name) for name in names))


def _first_object(*values: Any) -> dict[str, Any]:
    """The first of these that is an object and not empty, or else an empty one."""
    for value in values:
        if found := as_object(value):
            return found
    return {}


def _first(value: Mapping[str, Any], *names: str) -> int:
    """The first of these counts that is not zero."""
    return next((count for name in names if (count := _count(value.get(name)))), 0)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= COUNT_MAX:
        return 0
    return int(value)


def _milliseconds(seconds: Any) -> int | None:
    """Give a length in milliseconds, rounded up."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    if not 0 < seconds <= MILLISECONDS_MAX // 1000:
        return None
    return -int(-seconds * 1000 // 1)


def _set(counts: dict[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}
