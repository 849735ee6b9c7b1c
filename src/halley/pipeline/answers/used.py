"""used: what a call used, by meter: as the vendor tells it, or counted from what went both ways."""

import asyncio
import base64
import math
import re
from collections.abc import Iterable
from typing import Any

import msgspec

from halley.kernel.body import FormBody
from halley.kernel.chat import ChatUsage
from halley.kernel.faults import BadRequest
from halley.kernel.loose import as_list, as_object, as_text
from halley.kernel.operation import Kind
from halley.pipeline.answers import meter
from halley.pipeline.answers.ask import Ask
from halley.pipeline.answers.contents import File, contents
from halley.pipeline.answers.sound import recording, seconds_of
from halley.tokens import audio_tokens, count_text
from halley.wire import embedding
from halley.wire.openai.usage import NO_OUTLINE, Outline, counts_in, outline_of, searches_in
from halley.wire.watch import PARTIAL_PICTURE

QUANTITY_MAX = 10**12
"""Of any meter in one call: what a vendor tells beyond it is no count."""
_SOUND = re.compile(rb'"audio"\s*:\s*"([A-Za-z0-9+/=]*)"')
"""A piece of speech in an event of a stream."""
LAG_MAX = 2
"""A vendor's own count of a part is believed unless more than twice as much has come: some tell it at the end alone."""
WRITTEN = frozenset((Kind.CHAT, Kind.COMPLETION))
"""Kinds whose answers are texts that are billed."""
TOLD = WRITTEN | {Kind.EMBEDDING, Kind.MODERATION, Kind.RERANK}
"""Kinds whose replies tell all that is billed. The others may have to be measured, which is done in a thread."""


async def used(
    ask: Ask, usage: ChatUsage | None, generated: Iterable[str], raw: bytes = b"", outline: Outline = NO_OUTLINE
) -> dict[str, int]:
    """Count what a call used, either side by the vendor's word where there is one, else from what went that way.

    `raw` is the vendor's reply and `outline` what was read of it, where it is JSON.
    """
    quantities = told(ask, usage, outline)
    if quantities is not None:
        return quantities
    if usage is not None and usage.input and usage.output:
        counted = meter.of_usage(usage)
    else:
        counted = await asyncio.to_thread(_counted, ask, usage, "".join(generated), raw, outline)
    return _bounded(await asyncio.to_thread(_beside, ask, outline) | counted)


def told(ask: Ask, usage: ChatUsage | None, outline: Outline) -> dict[str, int] | None:
    """The same where the vendor told all that is billed, so that there is nothing to wait for; else None."""
    kind = ask.kind
    if usage is None or kind not in TOLD or not usage.input or (kind in WRITTEN and not usage.output):
        return None
    return _bounded(_beside(ask, outline) | meter.of_usage(usage))


def _bounded(quantities: dict[str, int]) -> dict[str, int]:
    counts = quantities.values()
    if min(counts) >= 0 and max(counts) <= QUANTITY_MAX:
        return quantities
    return {name: min(max(count, 0), QUANTITY_MAX) for name, count in quantities.items()}


async def used_so_far(ask: Ask, usage: ChatUsage | None, generated: Iterable[str], raw: bytes = b"") -> dict[str, int]:
    """Count what an answer that broke off had used: what the vendor told may be from before most of it came."""
    came = tuple(generated)
    if usage is not None and came and ask.kind in WRITTEN:
        output = await asyncio.to_thread(count_text, ask.model, "".join(came))
        if output > LAG_MAX * usage.output:
            usage = msgspec.structs.replace(usage, output=output)
    counted = await used(ask, usage, came, raw)
    if ask.kind is not Kind.IMAGE:
        return counted
    if usage is None or not usage.output:
        partial = raw.count(PARTIAL_PICTURE) * meter.PARTIAL_PICTURE_TOKENS
        counted["image_output_token"] = min(partial, counted["image_output_token"])
    # Of those that were on their way none is known to have come whole.
    return {**counted, "image": 0}


def _counted(ask: Ask, usage: ChatUsage | None, generated: str, raw: bytes, outline: Outline) -> dict[str, int]:
    """Count the tokens of each side that nobody told ourselves."""
    counted = meter.of_usage(usage) if usage else {}
    if usage is None or not usage.input:
        counted |= _input(ask)
    if usage is None or not usage.output:
        counted |= _output(ask, generated, raw, outline)
    return counted


def _input(ask: Ask) -> dict[str, int]:
    match ask.kind:
        case Kind.SPEECH:
            return {"input_token": count_text(ask.model, as_text(ask.said["input"]))}
        case Kind.TRANSCRIPTION:
            return {"audio_input_token": audio_tokens(seconds_of(recording(ask.body)), model=ask.model)}
        case Kind.IMAGE:
            return {"input_token": count_text(ask.model, as_text(ask.said["prompt"]))}
        case _:
            text, files, numbers = _sent(ask)
            sent = count_text(ask.model, text) + len(files) * meter.FILE_TOKENS + numbers
            return {"input_token": meter.at_most_context(ask, sent)}


def _output(ask: Ask, generated: str, raw: bytes, outline: Outline) -> dict[str, int]:
    match ask.kind:
        case Kind.SPEECH:
            return {"audio_output_token": audio_tokens(_spoken_s(ask, raw), model=ask.model, output=True)}
        case Kind.TRANSCRIPTION:
            return {"output_token": count_text(ask.model, generated or _transcript(raw))}
        case Kind.IMAGE:
            return {"image_output_token": _pictures(ask, outline) * meter.picture_tokens(ask)}
        case _:
            return {"output_token": count_text(ask.model, generated) if generated else 0}


def _spoken_s(ask: Ask, sound: bytes) -> float:
    if ask.said["stream_format"] == "sse":
        sound = b"".join([_decoded(piece) for piece in _SOUND.findall(sound)])
    return seconds_of(sound, pcm=ask.said["response_format"] == "pcm", as_came=True)


def _decoded(piece: bytes) -> bytes:
    try:
        return base64.b64decode(piece)
    except ValueError:
        return b""


def _sent(ask: Ask) -> tuple[str, list[File], int]:
    """Give the texts and files of what was sent, and how many tokens came as numbers."""
    if isinstance(ask.body, FormBody):
        return "", [], 0
    try:
        body = ask.json.whole()
    except BadRequest:
        # It looked like JSON from outside, and a vendor answered it.
        return ask.json.data.decode("utf-8", "replace"), [], 0
    texts, files = contents(_read_by_a_model(ask, body))
    return "\n".join(texts), files, meter.token_numbers(body)


def _read_by_a_model(ask: Ask, body: dict[str, Any]) -> Any:
    if ask.kind is Kind.EMBEDDING:
        return embedding.inputs(ask.operation, body)
    return {name: value for name, value in body.items() if name != "model"}


def _beside(ask: Ask, outline: Outline) -> dict[str, int]:
    """Count the call itself, and what is billed beside tokens: pictures, characters, seconds, searches."""
    match ask.kind:
        case Kind.IMAGE:
            return {"call": 1, "image": _pictures(ask, outline)}
        case Kind.SPEECH:
            return {"call": 1, "character": meter.speech_characters(ask)}
        case Kind.TRANSCRIPTION:
            return {"call": 1, "audio_second": _seconds(ask, outline)}
        case Kind.RERANK:
            return {"call": 1, "rerank_unit": _searches(outline) or 1}
        case _:
            return {"call": 1, "web_search": count} if (count := _searches(outline) or ask.searches) else {"call": 1}


def _pictures(ask: Ask, outline: Outline) -> int:
    # A stream has no outline: once it is complete all that was asked for has come.
    return meter.pictures(ask) if outline is NO_OUTLINE else len(as_list(outline.value("data")))


def _seconds(ask: Ask, outline: Outline) -> int:
    """Give the length of a recording, started seconds counted whole: as told, else as estimated from its size."""
    counts = counts_in(outline)
    if counts is not None and counts.sound_ms:
        return -(-counts.sound_ms // 1000)
    for told in (as_object(outline.value("usage")).get("seconds"), outline.value("duration")):
        if isinstance(told, int | float) and 0 < told < meter.COUNT_MAX * 3600:
            return -int(-told // 1)
    return math.ceil(seconds_of(recording(ask.body)))


def _transcript(raw: bytes) -> str:
    """Give what was heard: a field of JSON, or the text itself."""
    text = outline_of(raw).value("text")
    return text if isinstance(text, str) else raw.decode("utf-8", "replace")


def _searches(outline: Outline) -> int:
    return searches_in(outline) or 0
