"""What a realtime turn may use, what it used by the vendor's word, and else by what was seen of it. Pure."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from halley.catalogue.model import Model
from halley.kernel import codec
from halley.kernel.loose import as_list, as_object, as_text
from halley.pipeline.answers.realtime_events import Event
from halley.tokens import audio_tokens, count_text
from halley.wire.openai.usage import COUNT_MAX

CONTEXT_TOKENS_UNKNOWN = 32_000
TURN_INPUT_TOKENS = 8_192
"""Held for what a turn adds to the conversation: a quarter of an hour of speech, or twenty pages."""
SHORT_TURN_TOKENS = 512
"""The same where the account cannot pay that: less than a minute of speech. What is used beyond is posted as well."""
TURN_OUTPUT_TOKENS = 4_096
"""Held for an answer: three minutes of speech. What is used beyond that is posted in full."""
TURN_SECONDS = 60
"""Held where the price is per second."""
KEPT_CHARACTERS_MAX = 64 * 1024
"""Of what is said in one turn: kept to count its tokens, should the vendor not tell them."""
HEARD_MAX = 256
"""Pieces of sound that wait to be written down; of further ones the oldest are forgotten."""

_PCM_BYTES_PER_S = 48_000
_G711_BYTES_PER_S = 8_000
_SPOKEN = frozenset(("text", "output", "instructions", "arguments", "transcript"))
_APPEND = "input_audio_buffer.append"
_AUDIO_DELTAS = frozenset(("response.output_audio.delta", "response.audio.delta"))


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """The tokens of the conversation so far, all of which the next turn reads again."""

    text: int = 0
    audio: int = 0

    @property
    def total(self) -> int:
        return self.text + self.audio


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes in a second of sound, each way."""

    heard: int = _PCM_BYTES_PER_S
    spoken: int = _PCM_BYTES_PER_S


class Said(msgspec.Struct, kw_only=True):
    """What was received of one answer so far."""

    began_at: int
    first_at: int | None = None
    texts: list[str] = []
    characters: int = 0
    sound_characters: int = 0
    """Of base64."""

    def hear(self, event: Event, now: int) -> None:
        """Take a piece in."""
        piece = as_text(event.delta)
        if not piece:
            return
        self.first_at = self.first_at or now
        if event.type in _AUDIO_DELTAS:
            self.sound_characters += len(piece)
        elif self.characters < KEPT_CHARACTERS_MAX:
            self.texts.append(piece)
            self.characters += len(piece)


class Told(msgspec.Struct, kw_only=True):
    """What the caller sent since the last answer."""

    frames: list[str] = []
    characters: int = 0
    sound_characters: int = 0

    def take(self, kind: str, frame: str) -> None:
        """Take an event in."""
        if kind == _APPEND:
            self.sound_characters += len(frame)
        elif self.characters < KEPT_CHARACTERS_MAX:
            self.frames.append(frame[:KEPT_CHARACTERS_MAX])
            self.characters += len(frame)


class Heard(msgspec.Struct, kw_only=True):
    """The sound that the caller sent, in characters of base64, by the item that the vendor made of it."""

    characters: int = 0
    """Since the last item."""
    items: dict[str, int] = {}

    def take(self, kind: str, frame: str) -> None:
        """Take an event in."""
        if kind == _APPEND:
            self.characters += len(frame)

    def commit(self, item_id: str) -> None:
        """All since the last item is one."""
        if len(self.items) >= HEARD_MAX:
            del self.items[next(iter(self.items))]
        self.items[item_id], self.characters = self.characters, 0

    def clear(self) -> None:
        """All since the last item is none."""
        self.characters = 0

    def written_down(self, item_id: str) -> int:
        """Give what an item has, once; of one that the vendor told nothing of, all since the last."""
        if item_id in self.items:
            return self.items.pop(item_id)
        characters, self.characters = self.characters, 0
        return characters


def turn_ceiling(row: Model | None, context: Context, *, short: bool = False) -> dict[str, int]:
    """Count what the next turn may use at most, all of it at the price of sound, which is the dearest."""
    added = SHORT_TURN_TOKENS if short else TURN_INPUT_TOKENS
    limit = row.context_tokens if row and row.context_tokens else CONTEXT_TOKENS_UNKNOWN
    return {
        "call": 1,
        "audio_second": TURN_SECONDS,
        "audio_input_token": min(limit, context.total + added),
        "audio_output_token": TURN_OUTPUT_TOKENS,
    }


def of_response(usage: Any) -> dict[str, int] | None:
    """Part the usage of an answer into meters that do not overlap; None where it counts nothing.

    Details never exceed the totals here; what no detail claims is text.
    """
    value = as_object(usage)
    total_in, total_out = _count(value.get("input_tokens")), _count(value.get("output_tokens"))
    if not total_in and not total_out:
        return None
    read, said = as_object(value.get("input_token_details")), as_object(value.get("output_token_details"))
    quantities: dict[str, int] = {"call": 1}
    rest = total_in
    cached = _cached(read)
    for kind in ("audio", "image"):
        whole = min(_count(read.get(f"{kind}_tokens")), rest)
        rest -= whole
        again = min(cached[kind], whole)
        _add(quantities, f"{kind}_input_token", whole - again)
        _add(quantities, f"cached_{kind}_input_token", again)
    again = min(cached["text"], rest)
    _add(quantities, "input_token", rest - again)
    _add(quantities, "cached_input_token", again)
    spoken = min(_count(said.get("audio_tokens")), total_out)
    _add(quantities, "audio_output_token", spoken)
    _add(quantities, "output_token", total_out - spoken)
    return quantities


def of_transcription(model: str, usage: Any, heard_s: float, transcript: str) -> dict[str, int]:
    """Count what a transcription used, in tokens and in seconds, since either may have a price.

    As its vendor tells it, which is one of both; else by so much sound and what was written. It takes a while: call it
    in a thread.
    """
    value = as_object(usage)
    seconds = value.get("seconds")
    if not isinstance(seconds, int | float) or not 0 < seconds < COUNT_MAX:
        seconds = heard_s
    quantities = of_response(value)
    if quantities is None:
        quantities = {"call": 1}
        _add(quantities, "audio_input_token", audio_tokens(seconds, model=model))
        _add(quantities, "output_token", count_text(model, transcript))
    _add(quantities, "audio_second", math.ceil(seconds))
    return quantities


def context_after(quantities: Mapping[str, int]) -> Context:
    """Give the conversation as it is after an answer."""
    audio = sum(count for meter, count in quantities.items() if "audio" in meter and meter.endswith("_token"))
    tokens = sum(count for meter, count in quantities.items() if meter.endswith("_token"))
    return Context(text=tokens - audio, audio=audio)


def rates_of(session: Any) -> Rates:
    """Read from a session's settings how much sound a second has, in the current shape and in the beta's."""
    value = as_object(session)
    audio = as_object(value.get("audio"))
    return Rates(
        heard=_rate(as_object(audio.get("input")).get("format"), value.get("input_audio_format")),
        spoken=_rate(as_object(audio.get("output")).get("format"), value.get("output_audio_format")),
    )


def transcriber_of(session: Any) -> str | None:
    """Read which model writes down what a caller says; None for none."""
    value = as_object(session)
    current = as_object(as_object(as_object(value.get("audio")).get("input")).get("transcription"))
    return as_text(as_object(current or value.get("input_audio_transcription")).get("model")) or None


def seconds_of(base64_characters: int, bytes_per_s: int) -> float:
    """Give the length of sound."""
    return base64_characters * 3 / 4 / bytes_per_s


def counted(model: str, context: Context, told: Told, said: Said, rates: Rates) -> dict[str, int]:
    """Count ourselves what was used by an answer that broke off. It takes a while: call it in a thread."""
    written = "\n".join(string for frame in told.frames for string in _strings(frame))
    heard_s = seconds_of(told.sound_characters, rates.heard)
    spoken_s = seconds_of(said.sound_characters, rates.spoken)
    quantities: dict[str, int] = {"call": 1}
    _add(quantities, "cached_input_token", context.text)
    _add(quantities, "cached_audio_input_token", context.audio)
    _add(quantities, "input_token", count_text(model, written) if written else 0)
    _add(quantities, "audio_input_token", audio_tokens(heard_s, model=model))
    _add(quantities, "output_token", count_text(model, "".join(said.texts)))
    _add(quantities, "audio_output_token", audio_tokens(spoken_s, model=model, output=True))
    return quantities


def _add(quantities: dict[str, int], meter: str, count: int) -> None:
    if count > 0:
        quantities[meter] = count


def _cached(read: dict[str, Any]) -> dict[str, int]:
    details = as_object(read.get("cached_tokens_details"))
    audio, image = _count(details.get("audio_tokens")), _count(details.get("image_tokens"))
    text = _count(details.get("text_tokens")) if details else _count(read.get("cached_tokens"))
    return {"text": text, "audio": audio, "image": image}


def _rate(current: Any, beta: Any) -> int:
    told = as_text(as_object(current).get("type")) or as_text(current) or as_text(beta)
    return _G711_BYTES_PER_S if any(name in told for name in ("pcmu", "pcma", "g711")) else _PCM_BYTES_PER_S


def _strings(frame: str) -> Iterator[str]:
    """Give what a model reads of an event."""
    try:
        stack: list[Any] = [codec.decode(frame)]
    except ValueError:
        return
    while stack:
        top = stack.pop()
        stack.extend(as_list(top))
        for name, value in as_object(top).items():
            if isinstance(value, str):
                if name in _SPOKEN:
                    yield value
            else:
                stack.append(value)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= COUNT_MAX:
        return 0
    return int(value)
