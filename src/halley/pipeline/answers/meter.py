"""What a call may use at most, and what it used: by meter, in base units. Pure."""

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

from halley.catalogue.conditions import ORDER_FACTS
from halley.catalogue.model import Model
from halley.kernel import codec
from halley.kernel.body import FormBody, JsonBody
from halley.kernel.chat import BlobKind, ChatUsage
from halley.kernel.faults import BadRequest
from halley.kernel.loose import as_list, as_object, as_text
from halley.kernel.operation import Kind, Operation
from halley.pipeline.answers.ask import Ask, InputTokens
from halley.pipeline.answers.contents import File, contents, may_hold_files
from halley.pipeline.answers.sound import ENCODED_BYTES_PER_SECOND, recording
from halley.tokens import estimate_bytes
from halley.wire.hosted import MARK, hosted_in

OUTPUT_TOKENS_UNKNOWN = 16_384
"""Held for an answer whose length neither the call nor the catalogue bounds."""
FILE_TOKENS = 2_000
"""What a file is likely to take, and the least that is held for it, for a picture all: one of 1024x1024 at high detail
takes 765 to 1,600."""
NAMED_TOKENS = 20_000
"""Held for a sound, a film or a document of which but the address or the id is known: eight pages, a minute of film."""
CHARACTERS_PER_TOKEN = {BlobKind.FILE: 20, BlobKind.AUDIO: 500, BlobKind.VIDEO: 500}
"""Of base64, where a file is sent. A page takes up to 2,500 tokens in some 40 KB (Anthropic), a second of sound 10
(OpenAI) to 32 (Gemini) in 16 KB, one of film 300 (Gemini) in 120 KB."""
IMAGE_TOKENS = 6_500
"""The most that one generated picture takes (gpt-image at high quality, 1536x1024)."""
PICTURE_TOKENS = {
    "low": {"1024x1024": 272, "1024x1536": 408, "1536x1024": 400},
    "medium": {"1024x1024": 1_056, "1024x1536": 1_584, "1536x1024": 1_568},
    "high": {"1024x1024": 4_160, "1024x1536": 6_240, "1536x1024": 6_208},
}
"""Of a picture at each quality and size, where the vendor does not tell them (gpt-image); `auto` is as `medium`, and as
the largest."""
PARTIAL_PICTURE_TOKENS = 100
"""Of each that comes before a whole one: https://developers.openai.com/api/docs/guides/image-generation."""
AUDIO_TOKENS_PER_SECOND = 10
TEXT_TOKENS_PER_SECOND = 8
SPEECH_TOKENS_PER_CHARACTER = 2
COUNT_MAX = 128
"""Of `n`: more than any vendor gives."""

TOOL_CALLS = 5
"""Held for the calls of each tool that a vendor runs itself, where the order does not bound them."""
TOLD_FACTS = ("service_tier", "speed", "inference_geo")
"""Told by a reply alone: who asks for a tier or for speed need not get it. One that is silent was served as usual."""

BOUNDS_REMEMBERED_MAX = 4_096
BOUND_BYTES_MAX = 400
"""As a vendor that reads it as a number would take it: Python's floats are spelled with fewer digits."""
TOKENS_MAX = 10**9
"""Of any bound of the output: more than any model gives."""
DIGITS_MAX = 9
_TOKEN_FIELDS = ("input", "prompt")

_OUTPUT_LIMITS: Mapping[Operation, tuple[str, ...]] = {
    Operation.CHAT: ("max_completion_tokens", "max_tokens"),
    Operation.COMPLETION: ("max_tokens",),
    Operation.RESPONSES: ("max_output_tokens",),
    Operation.MESSAGES: ("max_tokens",),
}


def ceiling(ask: Ask, row: Model | None) -> dict[str, int]:
    """Count what a call may use at most."""
    return {"call": 1, **_CEILINGS[ask.kind](ask, row)}


def input_estimate(ask: Ask) -> InputTokens:
    """Estimate the tokens of what is sent, without counting them."""
    if ask.input_tokens is None:
        ask.input_tokens = _input_estimate(ask)
    return ask.input_tokens


def _input_estimate(ask: Ask) -> InputTokens:
    if isinstance(ask.body, FormBody):
        text = sum([estimate_bytes(len(part.data)) for part in ask.body.parts if part.filename is None])
        return InputTokens(text, text)
    if not may_hold_files(ask.body.data):
        text = estimate_bytes(len(ask.body.data))
        return InputTokens(at_most_context(ask, text), text)
    files = contents(ask.body.whole()).files
    # All but the files counts as text, names of fields and numbers included, as in a body without files.
    sent = sum([file.characters for file in files if file.characters is not None])
    text = estimate_bytes(max(0, len(ask.body.data) - sent))
    likely = at_most_context(ask, text + len(files) * FILE_TOKENS)
    return InputTokens(likely, text + sum([_file_tokens_max(file) for file in files]))


def at_most_context(ask: Ask, tokens: int) -> int:
    """Bound what a chat is likely to send by what its model takes: a vendor refuses more. Other calls may send many."""
    context = ask.context_tokens
    return context if ask.kind is Kind.CHAT and context is not None and tokens > context else tokens


def _file_tokens_max(file: File) -> int:
    if file.kind is BlobKind.IMAGE:
        return FILE_TOKENS
    if file.characters is None:
        return NAMED_TOKENS
    return max(FILE_TOKENS, -(-file.characters // CHARACTERS_PER_TOKEN[file.kind]))


def facts(ask: Ask, told: Callable[[str], Any], names: Iterable[str]) -> dict[str, str]:
    """Give those of these facts that are known: as the reply tells them, else as they were ordered."""
    found: dict[str, str] = {}
    for name in names:
        if name in TOLD_FACTS:
            value = told(name)
        elif name in ORDER_FACTS:
            value = told(name) or ask.said[name]
        else:
            continue
        if isinstance(value, str):
            found[name] = value
    return {**found, **ask.hosted.facts} if ask.hosted.facts else found


def asked_facts(ask: Ask, names: Iterable[str]) -> dict[str, str]:
    """Give those of these facts that the order asks for: what a hold has to know of them."""
    said = ask.body.some(frozenset(names))
    return {name: value for name, value in said.items() if isinstance(value, str)}


def of_usage(usage: ChatUsage) -> dict[str, int]:
    """Part a usage into meters that do not overlap. What a vendor tells of details never exceeds its totals here."""
    beside = usage.searches or usage.tools
    if not (usage.cached or usage.cache_write or usage.reasoning or beside or _has_media(usage)):
        return {"input_token": usage.input, "output_token": usage.output}
    rest_in, rest_out = usage.input, usage.output
    quantities: dict[str, int] = {}
    for meter, count in (
        ("cached_input_token", usage.cached),
        ("cache_write_1h_token", usage.cache_write_1h),
        ("cache_write_token", usage.cache_write - usage.cache_write_1h),
        ("audio_input_token", usage.audio_input),
        ("image_input_token", usage.image_input),
    ):
        part = max(0, min(count, rest_in))
        rest_in -= part
        if part:
            quantities[meter] = part
    for meter, count in (
        ("reasoning_token", usage.reasoning),
        ("audio_output_token", usage.audio_output),
        ("image_output_token", usage.image_output),
    ):
        part = max(0, min(count, rest_out))
        rest_out -= part
        if part:
            quantities[meter] = part
    if usage.searches:
        quantities["web_search"] = usage.searches
    if usage.tools:
        quantities |= usage.tools
    return {"input_token": rest_in, **quantities, "output_token": rest_out}


def _has_media(usage: ChatUsage) -> bool:
    return bool(usage.audio_input or usage.audio_output or usage.image_input or usage.image_output)


def token_numbers(body: Mapping[str, Any]) -> int:
    """Count the tokens that came as numbers."""
    return sum(_numbers(body[name]) for name in _TOKEN_FIELDS if name in body)


def choices(ask: Ask) -> int:
    """Count the answers whose ends a stream must show, if it does not say itself that it is done."""
    if ask.operation is Operation.CONTENT or ask.kind is Kind.IMAGE:
        return _count(ask)
    if ask.operation not in (Operation.CHAT, Operation.COMPLETION):
        return 1
    asked = _many(ask.said["n"])
    return asked * _prompts(ask) if ask.operation is Operation.COMPLETION else asked


def _written(ask: Ask, row: Model | None) -> dict[str, int]:
    return {"input_token": input_estimate(ask).most, "output_token": _output_max(ask, row) * _count(ask)}


def pictures(ask: Ask) -> int:
    """Count the pictures that an order is for."""
    return _count(ask)


def picture_tokens(ask: Ask) -> int:
    """Estimate the tokens of each picture that an order is for, by the quality and the size that it asks for."""
    sizes = PICTURE_TOKENS.get(as_text(ask.said["quality"]), PICTURE_TOKENS["medium"])
    return sizes.get(as_text(ask.said["size"]), max(sizes.values()))


def _chat(ask: Ask, row: Model | None) -> dict[str, int]:
    quantities = _written(ask, row)
    # A vendor refuses more; of texts this is seldom in the way, of files that nobody has opened it is.
    if row is not None and row.context_tokens and quantities["input_token"] > row.context_tokens:
        quantities["input_token"] = row.context_tokens
    if ask.searches:
        quantities["web_search"] = ask.searches
    body = ask.body
    assert isinstance(body, JsonBody)
    fields = body.fields
    if "web_search_options" in fields or ("tools" in fields and MARK.search(fields["tools"]) is not None):
        quantities |= _hosted(ask, body)
    return quantities


def _hosted(ask: Ask, body: JsonBody) -> dict[str, int]:
    """Count what may be used of tools that the vendor runs itself, and note which they are."""
    ask.hosted = hosted_in(body.get("tools"))
    calls = min(_positive(body.get("max_tool_calls")) or TOOL_CALLS, COUNT_MAX)
    allowed = {name: min(_positive(asked) or calls, COUNT_MAX) for name, asked in ask.hosted.meters.items()}
    if "web_search_options" in body.fields:
        allowed["web_search"] = 1
    if "code_container" in allowed:
        allowed["code_container"] = 1
    if pictures := allowed.get("image"):
        allowed["drawing_image_input_token"] = pictures * FILE_TOKENS
        allowed["drawing_output_token"] = pictures * IMAGE_TOKENS
    return allowed


def _output_max(ask: Ask, row: Model | None) -> int:
    limit = row.output_tokens_max if row and row.output_tokens_max else OUTPUT_TOKENS_UNKNOWN
    asked = _asked_output(ask)
    return limit if asked is None else min(asked, limit) if row and row.output_tokens_max else asked


def _asked_output(ask: Ask) -> int | None:
    if ask.operation is Operation.CONTENT:
        config = _generation_config(ask)
        return _positive(config.get("maxOutputTokens", config.get("max_output_tokens")))
    fields = ask.json.fields
    most: int | None = None
    for name in _OUTPUT_LIMITS.get(ask.operation, ()):
        if name in fields:
            try:
                asked = _bound(bytes(fields[name]))
            except ValueError as error:
                raise BadRequest(f"`{name}` is not valid JSON: {error}", param=name) from error
            # Of two that contradict each other a vendor may take either.
            most = asked if most is None else max(most, asked or 0)
    return most


@lru_cache(maxsize=BOUNDS_REMEMBERED_MAX)
def _bound(raw: bytes) -> int | None:
    """Read a bound as it is spelled; callers name the same few."""
    return _positive(codec.decode_part(raw)) if len(raw) <= BOUND_BYTES_MAX else None


def _count(ask: Ask) -> int:
    if ask.operation is Operation.CONTENT:
        config = _generation_config(ask)
        return _many(config.get("candidateCount", config.get("candidate_count")))
    said = ask.said["n"]
    asked = 1 if said is None else _many(said)
    if ask.operation is not Operation.COMPLETION:
        return asked
    return max(asked, _many(ask.said["best_of"])) * _prompts(ask)


def _generation_config(ask: Ask) -> dict[str, Any]:
    return as_object(ask.said["generationConfig"] or ask.said["generation_config"])


def _many(value: Any) -> int:
    """Read how many are asked for; in a form that is a text."""
    if isinstance(value, str):
        value = int(value) if value.isascii() and value.isdigit() and len(value) <= DIGITS_MAX else 1
    return min(_positive(value) or 1, COUNT_MAX)


def _prompts(ask: Ask) -> int:
    """Count the prompts of a completion; an array of numbers is one, in tokens."""
    prompts = as_list(ask.said["prompt"])
    return len(prompts) if any(isinstance(each, str | list) for each in prompts) else 1


def _input_only(ask: Ask, row: Model | None) -> dict[str, int]:
    del row
    return {"input_token": input_estimate(ask).most, "rerank_unit": 1}


def _image(ask: Ask, row: Model | None) -> dict[str, int]:
    del row
    count = _count(ask)
    files = len(ask.body.files("image", "image[]", "mask")) if isinstance(ask.body, FormBody) else 0
    return {
        "image": count,
        "input_token": input_estimate(ask).most,
        "image_input_token": files * IMAGE_TOKENS,
        "image_output_token": count * IMAGE_TOKENS,
    }


def _speech(ask: Ask, row: Model | None) -> dict[str, int]:
    del row
    length = speech_characters(ask)
    return {
        "character": length,
        "input_token": input_estimate(ask).most,
        "audio_output_token": length * SPEECH_TOKENS_PER_CHARACTER,
    }


def speech_characters(ask: Ask) -> int:
    """Count the characters that are to be spoken."""
    return len(as_text(ask.said["input"]))


def _transcription(ask: Ask, row: Model | None) -> dict[str, int]:
    del row
    seconds = -(-len(recording(ask.body)) // ENCODED_BYTES_PER_SECOND)
    return {
        "audio_second": seconds,
        "input_token": input_estimate(ask).most,
        "audio_input_token": seconds * AUDIO_TOKENS_PER_SECOND,
        "output_token": seconds * TEXT_TOKENS_PER_SECOND,
    }


def _positive(value: Any) -> int | None:
    if not isinstance(value, int | float) or isinstance(value, bool) or value < 1:
        return None
    return int(min(value, TOKENS_MAX))


def _numbers(value: Any) -> int:
    if isinstance(value, list):
        return sum(_numbers(each) for each in as_list(value))
    return 1 if isinstance(value, int) else 0


_CEILINGS: Mapping[Kind, Callable[[Ask, Model | None], dict[str, int]]] = {
    Kind.CHAT: _chat,
    Kind.COMPLETION: _written,
    Kind.EMBEDDING: _input_only,
    Kind.IMAGE: _image,
    Kind.SPEECH: _speech,
    Kind.TRANSCRIPTION: _transcription,
    Kind.MODERATION: _input_only,
    Kind.RERANK: _input_only,
    Kind.REALTIME: _written,
}
