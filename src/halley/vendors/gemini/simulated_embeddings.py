"""The vendor's embeddings, one text or many: checked, made, counted. Takes processor time; run it beside the loop."""

from typing import Any

from halley.vendors.gemini.simulated_errors import invalid
from halley.vendors.gemini.simulated_names import Fields
from halley.vendors.simulate import count, embed, without_marker

REQUESTS_MAX = 100
DIMENSIONS_USUAL = 3_072
_DIMENSIONS = {"text-embedding-004": 768, "embedding-001": 768}
_KNOWN = frozenset({"model", "content", "taskType", "title", "outputDimensionality", "embedContentConfig"})


def embedded(model: str, body: Any) -> tuple[dict[str, Any], str]:
    """The reply to `embedContent`, and the text, which may order an ending. Raises `Refusal`."""
    vector, text = _embedded(model, Fields(body, "", _KNOWN), "EmbedContentRequest")
    usage = {"promptTokenCount": count(text)}
    return {"embedding": {"values": vector}, "usageMetadata": usage}, text


def embedded_many(model: str, body: Any) -> tuple[dict[str, Any], str]:
    """The reply to `batchEmbedContents`, and the first text. Raises `Refusal`."""
    requests = Fields(body, "", frozenset({"requests", "model"})).each("requests", _KNOWN)
    if not requests:
        raise invalid("* BatchEmbedContentsRequest.requests: requests must not be empty\n")
    if len(requests) > REQUESTS_MAX:
        raise invalid(f"* BatchEmbedContentsRequest.requests: at most {REQUESTS_MAX} requests can be in one batch\n")
    made: list[dict[str, Any]] = []
    texts: list[str] = []
    for request in requests:
        if (request.text("model") or "").removeprefix("models/") != model:
            raise invalid(
                f"* BatchEmbedContentsRequest.{request.where}.model: must be `models/{model}`, as in the path\n"
            )
        vector, text = _embedded(model, request, f"BatchEmbedContentsRequest.{request.where}")
        made.append({"values": vector})
        texts.append(text)
    usage = {"promptTokenCount": sum(map(count, texts))}
    return {"embeddings": made, "usageMetadata": usage}, texts[0]


def _embedded(model: str, request: Fields, where: str) -> tuple[list[float], str]:
    text = "\n".join(part.text("text") or "" for part in request.inner("content").each("parts"))
    if not text.strip():
        raise invalid(f"* {where}.content: contents is not specified\n")
    config = request.inner("embedContentConfig")
    usual = _DIMENSIONS.get(model, DIMENSIONS_USUAL)
    asked = request.whole("outputDimensionality", 1, usual) or config.whole("outputDimensionality", 1, usual)
    return embed(without_marker(text), asked or usual), text
