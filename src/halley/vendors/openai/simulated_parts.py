"""What the parts of a message hold, looked at as a model with eyes and ears would: images, sounds and files."""

import base64
import binascii
import io
import wave
from typing import Any

import msgspec

from halley.kernel.loose import as_list, as_object, as_text
from halley.vendors.openai.simulated_call import Call
from halley.vendors.openai.simulated_errors import invalid, missing
from halley.vendors.simulate import BadImage, ImageInfo, OutsideError, count, read_source

PARTS_MAX = 2_000
TEXT_CHARACTERS_MAX = 10 * 1024 * 1024
NAME_CHARACTERS_MAX = 100
LOW_DETAIL_TOKENS = 85
TILE_TOKENS = 170
TILE_SIDE = 512
SHORT_SIDE_MAX, LONG_SIDE_MAX = 768, 2_048
AUDIO_TOKENS_PER_S = 10
BYTES_PER_FILE_TOKEN = 8
_UNKNOWN_SOUND_BYTES_PER_S = 16_000


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in a message."""

    text: str = ""
    notes: tuple[str, ...] = ()
    """Of its images, sounds and files, each to be said after `I`."""
    image_tokens: int = 0
    audio_tokens: int = 0
    file_tokens: int = 0
    refusal: str = ""

    @property
    def tokens(self) -> int:
        """All tokens of the message's content."""
        return count(self.text) + count(self.refusal) + self.image_tokens + self.audio_tokens + self.file_tokens


async def look_at(call: Call, content: Any, param: str) -> Seen:
    """Look at a message's content: text, or parts in either spelling of the vendor. Raises `Refusal`."""
    if isinstance(content, str):
        return Seen(text=_within(content, param))
    if content is None:
        return Seen()
    if not isinstance(content, list):
        message = f"Invalid type for '{param}': expected one of a string or array of objects."
        raise invalid(message, param, "invalid_type")
    seen = [
        await _part(call, as_object(part), f"{param}[{place}]")
        for place, part in enumerate(as_list(content)[:PARTS_MAX])
    ]
    return together(seen)


def together(seen: list[Seen]) -> Seen:
    """All that was found, as of one message."""
    return Seen(
        text="\n".join(each.text for each in seen if each.text),
        notes=tuple(note for each in seen for note in each.notes),
        image_tokens=sum(each.image_tokens for each in seen),
        audio_tokens=sum(each.audio_tokens for each in seen),
        file_tokens=sum(each.file_tokens for each in seen),
        refusal="".join(each.refusal for each in seen),
    )


async def _part(call: Call, part: dict[str, Any], param: str) -> Seen:
    match part.get("type"):
        case "text" | "input_text" | "output_text":
            if not isinstance(part.get("text"), str):
                raise missing(f"{param}.text")
            return Seen(text=_within(part["text"], f"{param}.text"))
        case "image_url" | "input_image":
            return await _image(call, part, param)
        case "input_audio":
            return _sound(as_object(part.get("input_audio")), f"{param}.input_audio")
        case "file":
            return await _file(call, as_object(part.get("file")), f"{param}.file")
        case "input_file":
            return await _file(call, part, param)
        case "refusal":
            return Seen(refusal=as_text(part.get("refusal")))
        case kind:
            allowed = "'text', 'image_url', 'input_audio', 'refusal', and 'file'"
            message = f"Invalid value: '{str(kind)[:60]}'. Supported values are: {allowed}."
            raise invalid(message, f"{param}.type", "invalid_value")


def _within(text: str, param: str) -> str:
    if len(text) > TEXT_CHARACTERS_MAX:
        message = f"Invalid '{param}': string too long. Expected at most {TEXT_CHARACTERS_MAX} characters."
        raise invalid(message, param, "string_above_max_length")
    return text


async def _image(call: Call, part: dict[str, Any], param: str) -> Seen:
    if part.get("file_id"):
        return Seen(notes=(f"saw the image of file {str(part['file_id'])[:NAME_CHARACTERS_MAX]}",), image_tokens=85)
    given = part.get("image_url")
    url = given if isinstance(given, str) else as_text(as_object(given).get("url"))
    detail = part.get("detail") or as_object(given).get("detail")
    if not url:
        raise missing(f"{param}.image_url")
    try:
        info = await call.host.decode_image(await read_source(url, call.host.fetch))
    except (BadImage, OutsideError) as error:
        raise invalid(f"Invalid image: {error}.", f"{param}.image_url", "invalid_image_url") from error
    return Seen(notes=(f"saw an image of {info.width}x{info.height}",), image_tokens=_image_tokens(info, detail))


def _image_tokens(info: ImageInfo, detail: object) -> int:
    if detail == "low":
        return LOW_DETAIL_TOKENS
    scale = min(1.0, LONG_SIDE_MAX / max(info.width, info.height), SHORT_SIDE_MAX / min(info.width, info.height))
    across, down = (max(1, -(-round(side * scale) // TILE_SIDE)) for side in (info.width, info.height))
    return LOW_DETAIL_TOKENS + TILE_TOKENS * across * down


def _sound(part: dict[str, Any], param: str) -> Seen:
    data, kind = _decoded(as_text(part.get("data")), f"{param}.data"), as_text(part.get("format"))
    if kind not in ("wav", "mp3"):
        raise invalid(
            f"Invalid value: '{kind}'. Supported values are: 'wav' and 'mp3'.", f"{param}.format", "invalid_value"
        )
    seconds = _seconds(data) if kind == "wav" else len(data) / _UNKNOWN_SOUND_BYTES_PER_S
    tokens = max(1, round(seconds * AUDIO_TOKENS_PER_S))
    return Seen(notes=(f"heard {seconds:.1f} s of {kind} audio",), audio_tokens=tokens)


def _seconds(data: bytes) -> float:
    try:
        with wave.open(io.BytesIO(data)) as sound:
            return sound.getnframes() / (sound.getframerate() or 1)
    except (wave.Error, EOFError):
        return len(data) / _UNKNOWN_SOUND_BYTES_PER_S


async def _file(call: Call, part: dict[str, Any], param: str) -> Seen:
    name = as_text(part.get("filename"))[:NAME_CHARACTERS_MAX] or "without a name"
    if part.get("file_id"):
        return Seen(notes=(f"read the file {str(part['file_id'])[:NAME_CHARACTERS_MAX]}",), file_tokens=100)
    if part.get("file_url"):
        try:
            data = await call.host.fetch(as_text(part["file_url"]))
        except OutsideError as error:
            raise invalid(
                f"Error while downloading the file: {error}.", f"{param}.file_url", "invalid_value"
            ) from error
    else:
        given = as_text(part.get("file_data"))
        if not given:
            raise missing(f"{param}.file_data")
        data = _decoded(given.partition(";base64,")[2] if given.startswith("data:") else given, f"{param}.file_data")
    note = f"read the file {name} of {len(data)} bytes"
    return Seen(notes=(note,), file_tokens=max(1, len(data) // BYTES_PER_FILE_TOKEN))


def _decoded(text: str, param: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid(f"Invalid '{param}': expected base64.", param, "invalid_base64") from error
