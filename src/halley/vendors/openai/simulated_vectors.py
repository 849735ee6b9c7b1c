"""Embeddings, reranking, moderations, the list of models and plain completions of the simulated vendor."""

import asyncio
import base64
import struct
from collections.abc import Mapping
from typing import Any

from halley.kernel.loose import as_list, as_object, as_text
from halley.vendors.openai.simulated_call import BLOCKED, Call, model_of, served
from halley.vendors.openai.simulated_errors import invalid, missing
from halley.vendors.openai.simulated_fields import Rule, check_fields
from halley.vendors.simulate import (
    TASK_ONLY,
    Directive,
    Outcome,
    Router,
    SimulatorHost,
    count,
    directive_for,
    embed,
    without_marker,
)

INPUTS_MAX = 2_048
TOKENS_PER_INPUT_MAX = 8_192
TOKENS_MAX = 300_000
DOCUMENTS_MAX = 1_000
OTHER_DIMENSIONS = 1_024
DIMENSIONS: Mapping[str, int] = {
    "text-embedding-3-large": 3_072,
    "text-embedding-3-small": 1_536,
    "text-embedding-ada-002": 1_536,
}
MODELS = (
    "gpt-5.4",
    "gpt-5.4-mini",
    "gpt-4.1",
    "gpt-4o",
    "gpt-4o-mini",
    "gpt-4o-image",
    "o3",
    "o4-mini",
    "gpt-3.5-turbo-instruct",
    "gpt-image-2",
    "gpt-image-1",
    "dall-e-3",
    "dall-e-2",
    "text-embedding-3-large",
    "text-embedding-3-small",
    "text-embedding-ada-002",
    "omni-moderation-latest",
    "gpt-4o-mini-tts",
    "tts-1",
    "gpt-4o-transcribe",
    "whisper-1",
    "gpt-realtime",
)
"""What is listed; any other name of a family is taken too."""
MODELS_SINCE_S = 1_770_000_000
CATEGORIES = (
    *("harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent", "self-harm"),
    *("self-harm/intent", "self-harm/instructions", "sexual", "sexual/minors", "violence", "violence/graphic"),
)
SEEN_IN_IMAGES = frozenset(
    {"self-harm", "self-harm/intent", "self-harm/instructions", "sexual", "violence", "violence/graphic"}
)
FLAGGING = "flag me"
"""A text that holds this is flagged, as is one whose directive orders moderation."""
NO_MEANING = TASK_ONLY | {Outcome.TOOL_CALL, Outcome.REFUSAL, Outcome.LENGTH, Outcome.REASONING}
"""Endings that no answer without words has."""
_EMBEDDING_FIELDS: Mapping[str, Rule] = {
    "model": Rule("str"),
    "dimensions": Rule("int", 1, 4_096),
    "encoding_format": Rule("str", one_of=("float", "base64")),
    "user": Rule("str"),
}
_RERANK_FIELDS: Mapping[str, Rule] = {
    "model": Rule("str"),
    "query": Rule("str"),
    "documents": Rule("array", low=1, high=DOCUMENTS_MAX),
    "top_n": Rule("int", 1),
    "return_documents": Rule("bool"),
}


def add_routes(router: Router, host: SimulatorHost) -> None:
    """Serve `/v1/embeddings`, `/v1/rerank`, `/v1/moderations` and `/v1/models`."""
    router.add("POST", "/v1/embeddings", served(host, embeddings))
    router.add("POST", "/v1/rerank", served(host, rerank))
    router.add("POST", "/v1/moderations", served(host, moderations))
    router.add("GET", "/v1/models", served(host, models))
    router.add("GET", "/v1/models/{model:path}", served(host, model))


async def embeddings(call: Call) -> None:
    """Embed texts or arrays of tokens."""
    body = await call.body()
    name = model_of(body, "embedding")
    given = check_fields(body, _EMBEDDING_FIELDS, required=("input",))
    texts = _inputs(given["input"])
    directive = call.directive(texts[0][0], param="input", without=NO_MEANING, moderated=BLOCKED)
    usual = DIMENSIONS.get(name, OTHER_DIMENSIONS)
    if "dimensions" in given and name == "text-embedding-ada-002":
        raise invalid("This model does not support specifying dimensions.", "dimensions")
    if given.get("dimensions", usual) > usual and name in DIMENSIONS:
        message = f"Invalid value for 'dimensions' = {given['dimensions']}. Must be less than or equal to {usual}."
        raise invalid(message, "dimensions")
    size = int(given.get("dimensions", usual))
    vectors = await asyncio.to_thread(lambda: [embed(without_marker(text), size) for text, _ in texts])
    packed = given.get("encoding_format") == "base64"
    tokens = sum(number for _, number in texts)
    await call.answer(
        {
            "object": "list",
            "data": [
                {"object": "embedding", "index": place, "embedding": _packed(vector) if packed else vector}
                for place, vector in enumerate(vectors)
            ],
            "model": name,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        },
        directive,
    )


def _packed(vector: list[float]) -> str:
    """Little-endian float32."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _inputs(given: Any) -> list[tuple[str, int]]:
    """Each text with its number of tokens. Raises `Refusal`."""
    items = [given] if isinstance(given, str) or _are_tokens(given) else as_list(given)
    if not items:
        raise invalid("Invalid 'input': input cannot be an empty array.", "input", "empty_array")
    if len(items) > INPUTS_MAX:
        message = f"Invalid 'input': maximum array length is {INPUTS_MAX}, but got {len(items)}."
        raise invalid(message, "input", "array_above_max_length")
    texts = [_input(item) for item in items]
    largest, total = max(number for _, number in texts), sum(number for _, number in texts)
    if largest > TOKENS_PER_INPUT_MAX:
        message = f"Invalid 'input': maximum context length is {TOKENS_PER_INPUT_MAX} tokens, but got {largest}."
        raise invalid(message, "input", "context_length_exceeded")
    if total > TOKENS_MAX:
        message = f"Requested {total} tokens, max {TOKENS_MAX} tokens per request."
        raise invalid(message, "input", "max_tokens_per_request")
    return texts


def _input(item: Any) -> tuple[str, int]:
    if isinstance(item, str):
        if not item:
            raise invalid("Invalid 'input': input cannot be an empty string.", "input", "invalid_value")
        return item, count(item)
    if _are_tokens(item):
        tokens = as_list(item)
        return " ".join(f"t{token}" for token in tokens), len(tokens)
    raise invalid(
        "Invalid type for 'input': expected a string or an array of strings or tokens.", "input", "invalid_type"
    )


def _are_tokens(given: Any) -> bool:
    items = as_list(given)
    return bool(items) and all(isinstance(item, int) and not isinstance(item, bool) for item in items)


# reranking


async def rerank(call: Call) -> None:
    """Order documents by how near they are to a query."""
    body = await call.body()
    name = model_of(body, "rerank")
    given = check_fields(body, _RERANK_FIELDS, required=("query", "documents"))
    directive = call.directive(given["query"], param="query", without=NO_MEANING, moderated=BLOCKED)
    texts = [_document(document, place) for place, document in enumerate(given["documents"])]
    tokens = count(given["query"]) * len(texts) + sum(count(text) for text in texts)
    if tokens > TOKENS_MAX:
        raise invalid(f"Requested {tokens} tokens, max {TOKENS_MAX} tokens per request.", "documents")
    scores = await asyncio.to_thread(_scores, without_marker(given["query"]), texts)
    best = sorted(range(len(texts)), key=lambda place: -scores[place])[: int(given.get("top_n") or len(texts))]
    shows = given.get("return_documents", True)
    results = [
        {"index": place, "relevance_score": scores[place], **({"document": {"text": texts[place]}} if shows else {})}
        for place in best
    ]
    usage = {"total_tokens": tokens, "prompt_tokens": tokens}
    await call.answer({"model": name, "object": "list", "usage": usage, "results": results}, directive)


def _document(document: Any, place: int) -> str:
    text = document if isinstance(document, str) else as_object(document).get("text")
    if not isinstance(text, str):
        raise missing(f"documents[{place}].text")
    return text


def _scores(query: str, texts: list[str]) -> list[float]:
    wanted = embed(query, OTHER_DIMENSIONS)
    found = [embed(text, OTHER_DIMENSIONS) for text in texts]
    nearness = [sum(one * other for one, other in zip(wanted, vector, strict=True)) for vector in found]
    return [round(max(0.0, min(1.0, near)), 6) for near in nearness]


# moderations


async def moderations(call: Call) -> None:
    """Judge texts and images. What orders a moderated ending is flagged, not refused."""
    body = await call.body()
    name = model_of(body, "moderation", otherwise="omni-moderation-latest")
    given = body.get("input")
    if given is None:
        raise missing("input")
    is_mixed = any(isinstance(item, dict) for item in as_list(given))
    inputs = [given] if isinstance(given, str) or is_mixed else as_list(given)
    texts = [_moderated_text(item) for item in inputs]
    is_ordered = _orders_flag(call, texts[0] if texts else "")
    directive = (
        Directive() if is_ordered else call.directive(texts[0] if texts else None, param="input", without=NO_MEANING)
    )
    results = [_judged(text, is_flagged=is_ordered, has_image=is_mixed) for text in texts]
    await call.answer({"id": f"modr-{call.host.base32_id()}", "model": name, "results": results}, directive)


def _orders_flag(call: Call, text: str) -> bool:
    try:
        ordered = directive_for(call.request.raw_headers, text)
    except ValueError as error:
        raise invalid(str(error), None, "invalid_value") from error
    return ordered.outcome in (Outcome.REQUEST_MODERATED, Outcome.CONTENT_MODERATED)


def _moderated_text(item: Any) -> str:
    parts = as_list(item) if isinstance(item, list) else [item]
    return " ".join(part if isinstance(part, str) else as_text(as_object(part).get("text")) for part in parts)


def _judged(text: str, *, is_flagged: bool, has_image: bool) -> dict[str, Any]:
    is_flagged = is_flagged or FLAGGING in text.lower()
    flagged = {"violence"} if is_flagged else set[str]()
    kinds = {name: ["text", "image"] if has_image and name in SEEN_IN_IMAGES else ["text"] for name in CATEGORIES}
    return {
        "flagged": is_flagged,
        "categories": {name: name in flagged for name in CATEGORIES},
        "category_scores": {
            name: 0.97 if name in flagged else (count(text) * 7 + at) % 90 / 1e5 for at, name in enumerate(CATEGORIES)
        },
        "category_applied_input_types": kinds,
    }


# models


async def models(call: Call) -> None:
    """List models."""
    await call.answer({"object": "list", "data": [_model(name) for name in MODELS]})


async def model(call: Call) -> None:
    """Show one; every name but those that say they do not exist is one."""
    name = call.request.params["model"]
    model_of({"model": name if "does-not-exist" in name else "any"})
    await call.answer(_model(name))


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": MODELS_SINCE_S, "owned_by": "simulated"}
