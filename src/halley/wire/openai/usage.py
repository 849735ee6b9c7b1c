"""What a reply counts, in OpenAI's words and those of its relatives. Read by shape: no vendor is asked for.

- `prompt_tokens` and `completion_tokens` are totals; so are `input_tokens` and `output_tokens`.
- Tokens that were read from a cache: `prompt_tokens_details.cached_tokens`, `cached_tokens`, `prompt_cache_hit_tokens`,
  `cache_read_input_tokens`.
- A total that is larger than both together counts thoughts that `completion_tokens` leaves out.
- Zero is no count: the vendor did not count that side. What a total has beyond the one side is the other.
- A total alone says nothing of the sides; it is the input of what writes nothing.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from halley.kernel import codec
from halley.kernel.chat import ChatUsage
from halley.kernel.loose import as_list, as_object

COUNT_MAX = 10**12
MILLISECONDS_MAX = 10**9

_NULL = msgspec.Raw(b"null")
_HAS_USAGE = re.compile(rb'"(?:usage|meta)"\s*:\s*\{')
_CACHED = ("prompt_cache_hit_tokens", "cache_read_input_tokens", "cached_tokens", "num_cached_tokens")
_WRITTEN = ("cache_write_tokens", "cache_creation_input_tokens", "cache_creation_tokens")
_SEARCHES = frozenset(("server_tool_use", "num_search_queries"))
"""Where Anthropic and Perplexity count the searches of a chat."""
_SEARCHED = "web_search_call"
_HOSTED = re.compile(rb'"(?:web_search|file_search|code_interpreter|shell|image_generation)_call')
_IN_USAGE = frozenset(("speed", "inference_geo"))
"""Facts that Anthropic tells beside its counts."""
_HOUR = ("claude_cache_creation_1_h_tokens", "ephemeral_1h_input_tokens")


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What any reply in OpenAI's formats may count: tokens, or the length of a sound, or searches."""

    usage: ChatUsage | None = None
    total: int | None = None
    """Where neither side is told: rerankers and some embedders tell this alone."""
    sound_ms: int | None = None
    searches: int | None = None


class Outline(msgspec.Struct, frozen=True):
    """A whole reply in any format: the fields that count, decide over a price or tell an answer from none, undecoded.

    All else is skipped, not built; but it is read, so what has an outline is JSON from its first byte to its last.
    """

    usage: msgspec.Raw = _NULL
    x_groq: msgspec.Raw = _NULL
    response: msgspec.Raw = _NULL
    meta: msgspec.Raw = _NULL
    output: msgspec.Raw = _NULL
    tool_usage: msgspec.Raw = _NULL
    data: msgspec.Raw = _NULL
    embedding: msgspec.Raw = _NULL
    embeddings: msgspec.Raw = _NULL
    text: msgspec.Raw = _NULL
    duration: msgspec.Raw = _NULL
    quality: msgspec.Raw = _NULL
    size: msgspec.Raw = _NULL
    service_tier: msgspec.Raw = _NULL
    usage_metadata: msgspec.Raw = msgspec.field(default=_NULL, name="usageMetadata")
    error: msgspec.Raw = _NULL

    def value(self, name: str) -> Any:
        """Decode one field; None where it is missing, or so deep that it is none of what is looked for."""
        raw: msgspec.Raw = getattr(self, name)
        if raw is _NULL:
            return None
        try:
            return codec.decode_reply(bytes(raw))
        except (ValueError, RecursionError):
            return None

    def fact(self, name: str) -> Any:
        """Give what the reply tells of what a price may depend on: itself, or beside its counts."""
        if name in _IN_USAGE:
            return as_object(self.value("usage")).get(name)
        if name == "service_tier" and self.usage_metadata is not _NULL:
            return as_object(self.value("usage_metadata")).get("serviceTier")
        return None if getattr(self, name) is _NULL else self.value(name)


NO_OUTLINE = Outline()
"""Of what is no JSON: sound, pictures, text."""


class _PlainInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    cached_tokens: int = 0
    audio_tokens: int = 0


class _PlainOutput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    reasoning_tokens: int = 0
    audio_tokens: int = 0
    accepted_prediction_tokens: int = 0
    rejected_prediction_tokens: int = 0


class _Plain(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A `usage` as OpenAI itself writes it for chat completions, with nothing else in it."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: _PlainInput = _PlainInput()
    completion_tokens_details: _PlainOutput = _PlainOutput()


_outline = msgspec.json.Decoder(Outline)
_plain = msgspec.json.Decoder(_Plain)


def read_outline(data: bytes) -> Outline:
    """Read a whole reply or a frame once, for all that is asked of it.

    Raises `ValueError` for what is no JSON object, or too deep to be read.
    """
    try:
        return _outline.decode(data)
    except RecursionError as error:
        raise ValueError("the reply is nested too deeply") from error


def outline_of(data: bytes) -> Outline:
    """The same; an empty one of what is no JSON object."""
    try:
        return read_outline(data)
    except ValueError:
        return NO_OUTLINE


def read_usage(data: bytes) -> ChatUsage | None:
    """The tokens that a whole reply or one frame of a stream counts; None if it counts none."""
    counts = read_counts(data)
    return None if counts is None else counts.usage


def read_counts(data: bytes) -> Counts | None:
    """All that a whole reply or one frame of a stream counts; None if it counts nothing."""
    if not _HAS_USAGE.search(data):
        return None
    try:
        return counts_in(read_outline(data))
    except ValueError:
        return None


def counts_in(outline: Outline) -> Counts | None:
    """The same of a reply that was read."""
    plain = _read_plain(outline.usage) if outline.meta is _NULL else None
    if plain is not None:
        return Counts(usage=plain)
    response = as_object(outline.value("response"))
    inner = [response.get("usage"), as_object(outline.value("x_groq")).get("usage")]
    counts = counts_of(_first_object(outline.value("usage"), *inner), as_object(outline.value("meta")))
    if counts is None or counts.usage is None or not (response or outline.output is not _NULL):
        return counts
    items = [as_object(item) for item in as_list(response.get("output") or _items(outline))]
    told = as_object(response.get("tool_usage") or outline.value("tool_usage"))
    searches = as_object(told.get("web_search")).get("num_requests")
    if not isinstance(searches, int):
        searches = _calls_of_search(items) or counts.usage.searches
    tools = _tools(items, as_object(told.get("image_gen")))
    if not searches and not tools:
        return counts
    usage = msgspec.structs.replace(counts.usage, searches=_count(searches), tools=tools or None)
    return msgspec.structs.replace(counts, usage=usage)


def _items(outline: Outline) -> Any:
    """Give the items of a whole response, if any of them may be counted."""
    return outline.value("output") if _HOSTED.search(bytes(outline.output)) else None


def _calls_of_search(items: list[dict[str, Any]]) -> int:
    """Count the searches among the items of a response; pages that were opened are none."""
    calls = [as_object(item.get("action")) for item in items if item.get("type") == _SEARCHED]
    return sum(action.get("type", "search") == "search" for action in calls)


def _tools(items: list[dict[str, Any]], drawing: dict[str, Any]) -> dict[str, int]:
    """Count by meter what else a response had done by tools that its vendor runs itself."""
    machines = [item.get("container_id") or as_object(item.get("environment")).get("container_id") for item in items]
    counts = {
        "file_search": sum(item.get("type") == "file_search_call" for item in items),
        "code_container": len({machine for machine in machines if isinstance(machine, str)}),
        "image": sum(item.get("type") == "image_generation_call" and bool(item.get("result")) for item in items),
        **_drawing(drawing),
    }
    return _set(counts)


def _drawing(usage: dict[str, Any]) -> dict[str, int]:
    """Part the tokens of the pictures that a response had drawn into meters that do not overlap."""
    every = _count(usage.get("input_tokens"))
    images = min(_first(as_object(usage.get("input_tokens_details")), "image_tokens"), every)
    cached = as_object(usage.get("cached_tokens_details"))
    cached_images = min(_first(cached, "cached_image_tokens"), images)
    cached_text = min(_first(cached, "cached_text_tokens"), every - images)
    return {
        "drawing_input_token": every - images - cached_text,
        "cached_drawing_input_token": cached_text,
        "drawing_image_input_token": images - cached_images,
        "cached_drawing_image_input_token": cached_images,
        "drawing_output_token": _count(usage.get("output_tokens")),
    }


def searches_in(outline: Outline) -> int | None:
    """How many searches a reply counts."""
    return None if outline.meta is _NULL else _searches(as_object(outline.value("meta")))


def _searches(meta: dict[str, Any]) -> int | None:
    return _count(as_object(meta.get("billed_units")).get("search_units")) or None


def _read_plain(raw: msgspec.Raw) -> ChatUsage | None:
    """Read the commonest shape at a tenth of the price; None for whatever is not just like it."""
    try:
        usage = _plain.decode(raw)
    except msgspec.DecodeError:
        return None
    prompt, answer, read, written = (
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.prompt_tokens_details,
        usage.completion_tokens_details,
    )
    adds_up = prompt > 0 and answer > 0 and prompt + answer == usage.total_tokens <= COUNT_MAX
    if not (
        adds_up
        and 0 <= read.cached_tokens <= prompt
        and 0 <= read.audio_tokens <= prompt
        and 0 <= written.reasoning_tokens <= answer
        and 0 <= written.audio_tokens <= answer
    ):
        return None
    return ChatUsage(
        input=prompt,
        output=answer,
        cached=read.cached_tokens,
        reasoning=written.reasoning_tokens,
        audio_input=read.audio_tokens,
        audio_output=written.audio_tokens,
    )


def counts_of(usage: dict[str, Any], meta: dict[str, Any] | None = None) -> Counts | None:
    """The same for a `usage` object and the `meta` of rerankers."""
    tokens = as_object(meta.get("tokens")) if meta else {}
    told = usage_of(usage) or usage_of(tokens)
    found = Counts(
        usage=told,
        total=None if told else _count(usage.get("total_tokens")) or _count(tokens.get("total_tokens")) or None,
        sound_ms=_milliseconds(usage.get("seconds")) if usage.get("type") == "duration" else None,
        searches=_searches(meta or {}),
    )
    return None if found == Counts() else found


def usage_of(value: dict[str, Any]) -> ChatUsage | None:
    """The tokens in a `usage` object; None if it counts neither side."""
    prompt, answer = _first(value, "prompt_tokens", "input_tokens"), _first(value, "completion_tokens", "output_tokens")
    total = _count(value.get("total_tokens"))
    if not prompt and not answer:
        return None
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
        searches=_searches_of(value) if _SEARCHES & value.keys() else 0,
    )


def _searches_of(value: dict[str, Any]) -> int:
    return _first(as_object(value.get("server_tool_use")), "web_search_requests") or _first(value, "num_search_queries")


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
    prompt = prompt or max(0, total - answer)
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
    for name in names:
        count = _count(value.get(name))
        if count:
            return count
    return 0


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= COUNT_MAX or value % 1:
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
