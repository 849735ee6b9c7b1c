"""The parts of contents, looked at and listened to: words, pictures, sounds, films, documents, calls and results."""

import base64
import binascii
import hashlib
import json
import re
from typing import Any

import msgspec

from halley.kernel.codec import encode
from halley.kernel.loose import as_object, as_text
from halley.vendors.gemini.simulated_errors import invalid
from halley.vendors.gemini.simulated_names import Fields
from halley.vendors.simulate import BadImage, OutsideError, SimulatorHost, count, read_source
from halley.vendors.simulate.audio_files import read_audio
from halley.vendors.simulate.audio_probe import BadAudio

IMAGE_TOKENS = 258
PAGE_TOKENS = 258
AUDIO_TOKENS_PER_S = 32
VIDEO_TOKENS = 2_630
"""Ten seconds: how long a film really is, nobody looks."""
PAGES_MAX = 1_000
NO_PROOF = frozenset({"skip_thought_signature_validator", "context_engineering_is_the_way_to_go"})
"""What may stand for a signature that another model's call never had."""

_NAME_CHARACTERS_MAX = 80
_PAGE = re.compile(rb"/Type\s*/Page\b")
_BODIES = frozenset(
    {
        "text",
        "inlineData",
        "fileData",
        "functionCall",
        "functionResponse",
        "executableCode",
        "codeExecutionResult",
        "toolCall",
        "toolResponse",
        "audioTranscription",
    }
)
_BESIDE = frozenset({"thought", "thoughtSignature", "videoMetadata", "mediaResolution", "partMetadata"})


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One part, looked at."""

    kind: str
    text: str = ""
    note: str = ""
    tokens: int = 0
    modality: str = "TEXT"
    name: str = ""
    """Of a called function."""
    has_signature: bool = False
    thumbnail: bytes | None = None


async def look_at(host: SimulatorHost, given: Any, where: str) -> Part:
    """One part. Raises `Refusal`."""
    fields = Fields(given, where, _BODIES | _BESIDE)
    bodies = [name for name in fields.names if name in _BODIES]
    if len(bodies) > 1:
        raise invalid(f'Invalid value at "{where}": oneof field "data" is already set.')
    if not bodies:
        if fields.value("thoughtSignature"):
            return Part(kind="text")
        raise invalid(f"* {where}.data: required oneof field 'data' must have one initialized field\n")
    kind = bodies[0]
    match kind:
        case "text":
            text = fields.text("text") or ""
            return Part(kind="thought" if fields.flag("thought") else "text", text=text, tokens=count(text))
        case "inlineData":
            return await _inline(host, fields.inner("inlineData"))
        case "fileData":
            return await _file(host, fields.inner("fileData"))
        case "functionCall":
            return _call(fields)
        case "functionResponse":
            return _result(fields.inner("functionResponse"))
        case _:
            return Part(kind=kind, tokens=count(encode(fields.value(kind)).decode()))


def signature_of(name: str, arguments: Any) -> str:
    """The proof that a call is our own; a call that comes back changed is refused."""
    said = json.dumps([name, arguments], sort_keys=True, ensure_ascii=False)
    return base64.b64encode(b"halley" + hashlib.sha256(said.encode("utf-8", "replace")).digest()).decode()


async def _inline(host: SimulatorHost, blob: Fields) -> Part:
    media, data = (blob.text("mimeType") or "").lower(), blob.text("data") or ""
    if not media:
        raise invalid(f"* {blob.where}.mime_type: must not be empty.\n")
    try:
        content = base64.b64decode(_standard(data), validate=True)
    except (binascii.Error, ValueError):
        raise invalid(f'Invalid value at "{blob.where}.data" (TYPE_BYTES), Base64 decoding failed') from None
    return await _looked(host, media, content)


async def _file(host: SimulatorHost, file: Fields) -> Part:
    uri, media = file.text("fileUri") or "", (file.text("mimeType") or "").lower()
    if not uri:
        raise invalid(f"* {file.where}.file_uri: must not be empty.\n")
    if "generativelanguage.googleapis.com" in uri or not uri.startswith(("http://", "https://")):
        name = uri.rpartition("/")[2][:_NAME_CHARACTERS_MAX]
        return Part(kind="file", note=f"saw the file {name}", tokens=IMAGE_TOKENS, modality=_modality(media))
    if "youtube.com/" in uri or "youtu.be/" in uri:
        return Part(kind="video", note="saw a film", tokens=VIDEO_TOKENS, modality="VIDEO")
    try:
        content = await read_source(uri, host.fetch)
    except (BadImage, OutsideError) as error:
        raise invalid(f"Cannot fetch content from the provided URL. ({error})") from error
    return await _looked(host, media or "image/*", content)


async def _looked(host: SimulatorHost, media: str, content: bytes) -> Part:
    match media.partition("/")[0]:
        case "image":
            return await _image(host, content)
        case "audio":
            return _sound(content)
        case "video":
            return Part(kind="video", note="saw a film", tokens=VIDEO_TOKENS, modality="VIDEO")
        case "text":
            text = content.decode("utf-8", "replace")
            note = f"read a document of {len(text)} characters"
            return Part(kind="document", note=note, tokens=count(text), modality="DOCUMENT")
        case _ if media == "application/pdf":
            pages = min(PAGES_MAX, max(1, len(_PAGE.findall(content))))
            note = f"read a PDF with pages: {pages}"
            return Part(kind="document", note=note, tokens=pages * PAGE_TOKENS, modality="DOCUMENT")
        case _:
            raise invalid(f"Unsupported MIME type: {media[:80]}")


async def _image(host: SimulatorHost, content: bytes) -> Part:
    try:
        info = await host.decode_image(content)
        small = await host.thumbnail(content)
    except BadImage as error:
        raise invalid(f"Unable to process input image. Please retry or report. ({error})") from error
    note = f"saw an image of {info.width}x{info.height}"
    return Part(kind="image", note=note, tokens=IMAGE_TOKENS, modality="IMAGE", thumbnail=small)


def _sound(content: bytes) -> Part:
    try:
        heard = read_audio(content)
    except BadAudio as error:
        raise invalid(f"Unable to process input audio. ({error})") from error
    note = f"heard {heard.duration_s:.1f} s of audio" + (f" saying “{heard.text[:200]}”" if heard.text else "")
    tokens = max(1, round(heard.duration_s * AUDIO_TOKENS_PER_S))
    return Part(kind="audio", note=note, tokens=tokens, modality="AUDIO")


def _call(fields: Fields) -> Part:
    call = fields.inner("functionCall")
    name, arguments = call.text("name") or "", as_object(call.value("args"))
    if not name:
        raise invalid(f"* {call.where}.name: Name cannot be empty.\n")
    signature = as_text(fields.value("thoughtSignature"))
    if signature and signature not in NO_PROOF and _standard(signature) != signature_of(name, arguments):
        raise invalid(f"Corrupted thought signature at {fields.where}.")
    tokens = count(name) + count(encode(arguments).decode())
    return Part(kind="call", name=name, tokens=tokens, has_signature=bool(signature))


def _standard(text: str) -> str:
    """Bytes in the standard alphabet; the vendor takes the URL-safe one too, and no padding."""
    return text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4)


def _result(result: Fields) -> Part:
    name, response = result.text("name") or "", result.value("response")
    if not name:
        raise invalid(f"* {result.where}.name: Name cannot be empty.\n")
    if not isinstance(response, dict):
        raise invalid(f'Invalid value at "{result.where}.response" (type.googleapis.com/google.protobuf.Struct)')
    given = as_object(result.value("response"))
    inner = given.get("result", given.get("output")) if len(given) == 1 else None
    text = inner if isinstance(inner, str) else encode(given).decode()
    return Part(kind="result", name=name, text=text, tokens=count(text))


def _modality(media: str) -> str:
    return {"image": "IMAGE", "audio": "AUDIO", "video": "VIDEO"}.get(media.partition("/")[0], "DOCUMENT")
