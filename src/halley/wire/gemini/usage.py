"""Usage as this format counts: thoughts stand beside the answer, what came from the cache is part of the prompt."""

from typing import Annotated, Any

import msgspec

from halley.kernel import codec
from halley.kernel.chat import ChatUsage
from halley.kernel.loose import as_object
from halley.wire.usage import counts_of

Count = Annotated[int, msgspec.Meta(ge=0, le=10**12)]
"""Tokens; what is less than none or beyond belief is not taken for a count."""


class _Modality(msgspec.Struct, rename="camel"):
    modality: str = ""
    token_count: Count | None = None


class _Usage(msgspec.Struct, rename="camel"):
    prompt_token_count: Count | None = None
    candidates_token_count: Count | None = None
    thoughts_token_count: Count | None = None
    cached_content_token_count: Count | None = None
    tool_use_prompt_token_count: Count | None = None
    prompt_tokens_details: list[_Modality] | None = None
    candidates_tokens_details: list[_Modality] | None = None
    prompt_token_details: list[_Modality] | None = None
    """So embeddings spell it: https://ai.google.dev/api/embeddings#EmbeddingUsageMetadata."""


class _Carrier(msgspec.Struct, rename="camel"):
    usage_metadata: _Usage | None = None


class _Grounding(msgspec.Struct, rename="camel"):
    web_search_queries: list[str] | None = None


class _Candidate(msgspec.Struct, rename="camel"):
    grounding_metadata: _Grounding | None = None


class _Grounded(msgspec.Struct, rename="camel"):
    candidates: list[_Candidate] | None = None
    model_version: str | None = None


_carrier = msgspec.json.Decoder(_Carrier)
_grounded = msgspec.json.Decoder(_Grounded)
_PER_PROMPT = ("gemini-1", "gemini-2")
"""Models of which a prompt that was searched for is billed once, however many searches it took."""


def read_usage(data: bytes) -> ChatUsage | None:
    """Give the usage of a whole reply or of one frame of a stream: each tells all so far."""
    if b'"usageMetadata"' not in data:
        return None
    try:
        usage = _usage_in(data)
    except (ValueError, RecursionError):
        return None
    if usage is None:
        return None
    searches = _searches(data) if b'"webSearchQueries"' in data else 0
    return msgspec.structs.replace(_counted(usage), searches=searches)


def _usage_in(data: bytes) -> _Usage | None:
    try:
        return _carrier.decode(data).usage_metadata
    except msgspec.ValidationError:
        # Something is of another type than the format says.
        return counts_of(as_object(codec.decode_reply(data)).get("usageMetadata"), _Usage)


def _searches(data: bytes) -> int:
    """Count the searches; none where they are told in another way: they may not cost the rest of the count."""
    try:
        reply = _grounded.decode(data)
    except (msgspec.MsgspecError, RecursionError):
        return 0
    found = [each.grounding_metadata for each in reply.candidates or () if each.grounding_metadata]
    searches = sum(len(each.web_search_queries or ()) for each in found)
    return min(searches, 1) if (reply.model_version or "").startswith(_PER_PROMPT) else searches


def usage_of(value: Any) -> ChatUsage | None:
    """The same of JSON that is read already."""
    if value is None:
        return None
    try:
        usage = msgspec.convert(value, _Usage)
    except msgspec.ValidationError:
        usage = counts_of(value, _Usage)
    return _counted(usage)


def _counted(usage: _Usage) -> ChatUsage:
    thoughts = usage.thoughts_token_count or 0
    sent = usage.prompt_tokens_details or usage.prompt_token_details
    return ChatUsage(
        input=(usage.prompt_token_count or 0) + (usage.tool_use_prompt_token_count or 0),
        output=(usage.candidates_token_count or 0) + thoughts,
        cached=usage.cached_content_token_count or 0,
        reasoning=thoughts,
        audio_input=_of("AUDIO", sent),
        image_input=_of("IMAGE", sent),
        audio_output=_of("AUDIO", usage.candidates_tokens_details),
        image_output=_of("IMAGE", usage.candidates_tokens_details),
    )


def _of(modality: str, details: list[_Modality] | None) -> int:
    return sum(each.token_count or 0 for each in details or () if each.modality == modality)


def write_usage(usage: ChatUsage) -> dict[str, Any]:
    answer = usage.output - usage.reasoning
    written: dict[str, Any] = {
        "promptTokenCount": usage.input,
        "candidatesTokenCount": answer,
        "totalTokenCount": usage.input + usage.output,
    }
    if usage.cached:
        written["cachedContentTokenCount"] = usage.cached
    if usage.reasoning:
        written["thoughtsTokenCount"] = usage.reasoning
    if usage.audio_input or usage.image_input:
        written["promptTokensDetails"] = _details(usage.input, usage.audio_input, usage.image_input)
    if usage.audio_output or usage.image_output:
        written["candidatesTokensDetails"] = _details(answer, usage.audio_output, usage.image_output)
    return written


def _details(total: int, audio: int, image: int) -> list[dict[str, Any]]:
    counts = {"TEXT": max(total - audio - image, 0), "AUDIO": audio, "IMAGE": image}
    return [{"modality": modality, "tokenCount": count} for modality, count in counts.items() if count]
