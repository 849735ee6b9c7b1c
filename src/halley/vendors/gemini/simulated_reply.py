"""Spells planned answers as the vendor's response, whole or as the chunks of its stream. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from halley.kernel.chat import StopReason
from halley.kernel.codec import decode, encode
from halley.kernel.loose import as_object
from halley.vendors.gemini.simulated_errors import error_object
from halley.vendors.gemini.simulated_parts import signature_of
from halley.vendors.simulate import Plan, pieces

PIECES_PER_CHUNK = 8
ERROR = error_object(503, "The model is overloaded. Please try again later.")
_STOPS: Mapping[StopReason, str] = {
    StopReason.END: "STOP",
    StopReason.LENGTH: "MAX_TOKENS",
    StopReason.TOOLS: "STOP",
    StopReason.STOP_SEQUENCE: "STOP",
    StopReason.FILTERED: "SAFETY",
    StopReason.REFUSED: "PROHIBITED_CONTENT",
    StopReason.PAUSED: "OTHER",
}
_HARMS = ("HATE_SPEECH", "DANGEROUS_CONTENT", "HARASSMENT", "SEXUALLY_EXPLICIT")


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One candidate."""

    plan: Plan
    media: tuple[dict[str, Any], ...] = ()
    """Parts that are a picture or sound."""
    media_tokens: int = 0
    modality: str = "TEXT"
    call_ids: tuple[str | None, ...] = ()
    stop: str | None = None
    """A finish reason of its own."""


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """What a response is made of."""

    id: str
    model: str
    answers: tuple[Answer, ...]
    shows_thoughts: bool
    tokens: dict[str, int]
    cached: int


def whole(shape: Shape) -> dict[str, Any]:
    """The response."""
    candidates = [
        _candidate(index, _joined(list(_parts(answer, shape))), answer) for index, answer in enumerate(shape.answers)
    ]
    return _envelope(shape, candidates, usage(shape))


def chunks(shape: Shape) -> list[dict[str, Any]]:
    """The stream's responses; the last of each candidate tells why it ends, the very last the usage of all."""
    made: list[dict[str, Any]] = []
    for index, answer in enumerate(shape.answers):
        groups = list(_grouped(list(_parts(answer, shape)))) or [[]]
        for place, group in enumerate(groups):
            is_last = place == len(groups) - 1
            candidate = _candidate(index, group, answer) if is_last else _begun(index, group)
            made.append(_envelope(shape, [candidate], usage(shape, is_last=is_last)))
    return made


def as_events(made: Sequence[dict[str, Any]]) -> list[bytes]:
    """The chunks as server-sent events."""
    return [b"data: " + encode(each) + b"\r\n\r\n" for each in made]


def as_array(made: Sequence[dict[str, Any]]) -> list[bytes]:
    """The chunks as pieces of one JSON array."""
    parts = [(b"[" if place == 0 else b",\r\n") + encode(each) for place, each in enumerate(made)]
    return [*parts, b"]"]


def blocked(shape: Shape, reason: str) -> dict[str, Any]:
    """The response to a prompt that was blocked."""
    feedback = {"blockReason": reason, "safetyRatings": _ratings(is_blocked=True)}
    read = usage(shape)
    told = {name: read[name] for name in ("promptTokenCount", "promptTokensDetails")}
    envelope = _envelope(shape, [], told | {"totalTokenCount": read["promptTokenCount"]})
    del envelope["candidates"]
    return {"promptFeedback": feedback} | envelope


def usage(shape: Shape, *, is_last: bool = True) -> dict[str, Any]:
    """What was read and written."""
    read = sum(shape.tokens.values())
    thought = sum(answer.plan.usage.reasoning for answer in shape.answers)
    said = sum(answer.plan.usage.output - answer.plan.usage.reasoning + answer.media_tokens for answer in shape.answers)
    told: dict[str, Any] = {
        "promptTokenCount": read,
        "totalTokenCount": read + thought + said if is_last else read,
        "promptTokensDetails": _details(shape.tokens),
    }
    if is_last:
        told["candidatesTokenCount"] = said
    media = {answer.modality: answer.media_tokens for answer in shape.answers if answer.media_tokens}
    if is_last and media:
        told["candidatesTokensDetails"] = _details({**media, "TEXT": said - sum(media.values())})
    if thought:
        told["thoughtsTokenCount"] = thought
    if shape.cached:
        told["cachedContentTokenCount"] = shape.cached
        told["cacheTokensDetails"] = _details({"TEXT": shape.cached})
    return told


def _details(tokens: Mapping[str, int]) -> list[dict[str, Any]]:
    return [{"modality": modality, "tokenCount": number} for modality, number in tokens.items() if number]


def _envelope(shape: Shape, candidates: list[dict[str, Any]], told: dict[str, Any]) -> dict[str, Any]:
    return {
        "candidates": candidates,
        "usageMetadata": told,
        "modelVersion": shape.model,
        "responseId": shape.id,
    }


def _candidate(index: int, parts: list[dict[str, Any]], answer: Answer) -> dict[str, Any]:
    stop = answer.stop or _STOPS[answer.plan.stop]
    candidate = _begun(index, parts) | {"finishReason": stop}
    if stop != "STOP":
        candidate["finishMessage"] = f"Simulated: the answer ended with {stop}."
    if stop in ("SAFETY", "PROHIBITED_CONTENT", "IMAGE_SAFETY"):
        candidate["safetyRatings"] = _ratings(is_blocked=True)
    return candidate


def _begun(index: int, parts: list[dict[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {"parts": parts, "role": "model"} if parts else {"role": "model"}
    return {"content": content, "index": index}


def _ratings(*, is_blocked: bool) -> list[dict[str, Any]]:
    return [
        {
            "category": f"HARM_CATEGORY_{harm}",
            "probability": "HIGH" if is_blocked and place == 1 else "NEGLIGIBLE",
            **({"blocked": True} if is_blocked and place == 1 else {}),
        }
        for place, harm in enumerate(_HARMS)
    ]


def _parts(answer: Answer, shape: Shape) -> Iterator[dict[str, Any]]:
    """The parts, words and thoughts piece by piece."""
    plan = answer.plan
    if shape.shows_thoughts:
        for piece in pieces(plan.reasoning):
            yield {"text": piece, "thought": True}
    for piece in pieces(plan.text or plan.refusal):
        yield {"text": piece}
    for place, (call, call_id) in enumerate(zip(plan.calls, answer.call_ids, strict=True)):
        arguments = _arguments(call.arguments)
        named = {"id": call_id} if call_id is not None else {}
        part: dict[str, Any] = {"functionCall": {**named, "name": call.name, "args": arguments}}
        # Of calls made at once only the first carries the proof.
        yield part | ({"thoughtSignature": signature_of(call.name, arguments)} if place == 0 else {})
    yield from answer.media


def _arguments(text: str) -> dict[str, Any]:
    """The arguments; those of a call that was cut short are lost."""
    try:
        return as_object(decode(text))
    except ValueError:
        return {}


def _joined(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Words that follow each other as one part, thoughts apart."""
    joined: list[dict[str, Any]] = []
    for part in parts:
        last = joined[-1] if joined else {}
        if "text" in part and "text" in last and part.get("thought") == last.get("thought"):
            joined[-1] = last | {"text": last["text"] + part["text"]}
        else:
            joined.append(part)
    return joined


def _grouped(parts: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Some words to a chunk, thoughts and all else in chunks of their own."""
    group: list[dict[str, Any]] = []
    for part in parts:
        is_alike = group and "text" in part and "text" in group[0] and part.get("thought") == group[0].get("thought")
        if group and (not is_alike or len(group) >= PIECES_PER_CHUNK):
            yield _joined(group)
            group = []
        group.append(part)
    if group:
        yield _joined(group)
