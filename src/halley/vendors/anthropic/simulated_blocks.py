"""The content of messages, checked as the vendor does and looked at: words, pictures, documents, calls, results."""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from halley.kernel.codec import encode
from halley.kernel.loose import as_list, as_object, as_text
from halley.vendors.anthropic.simulated_errors import invalid, missing
from halley.vendors.simulate import BadImage, OutsideError, SimulatorHost, count, read_source

PIXELS_PER_TOKEN = 750
IMAGE_TOKENS_MAX = 1_600
PAGE_TOKENS = 1_500
PAGES_MAX = 600
BLOCKS_MAX = 20_000

_NAME_CHARACTERS_MAX = 80
_CALL_ID = re.compile(r"[a-zA-Z0-9_-]+")
_PAGE = re.compile(rb"/Type\s*/Page\b")
_OPAQUE = frozenset(
    {
        "server_tool_use",
        "web_search_tool_result",
        "web_fetch_tool_result",
        "code_execution_tool_result",
        "bash_code_execution_tool_result",
        "text_editor_code_execution_tool_result",
        "tool_search_tool_result",
        "container_upload",
        "mcp_tool_use",
        "mcp_tool_result",
        "tool_reference",
        "compaction",
        "search_result",
    }
)
"""Blocks that are only counted."""
_IMAGE_TYPES: Mapping[str, str] = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
}


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """One block, looked at."""

    kind: str
    text: str = ""
    note: str = ""
    tokens: int = 0
    id: str = ""
    """Of a call, or of the call that a result answers."""


async def look_at(host: SimulatorHost, given: Any, role: str, where: str) -> Block:
    """One block of a message. Raises `Refusal`."""
    block = as_object(given)
    match block.get("type"):
        case "text":
            return _text(block, where)
        case "image":
            return await _image(host, as_object(block.get("source")), f"{where}.image.source")
        case "document":
            return await _document(host, block, f"{where}.document")
        case "tool_use" if role == "assistant":
            return _call(block, f"{where}.tool_use")
        case "tool_result" if role == "user":
            return await _result(host, block, f"{where}.tool_result")
        case "thinking" if role == "assistant":
            return _thought(block, where)
        case "redacted_thinking" if role == "assistant":
            return Block(kind="redacted_thinking", tokens=count(_string(block, "data", where)))
        case str(kind) if kind in _OPAQUE:
            return Block(kind=kind, tokens=count(encode(block).decode()))
        case kind:
            allowed = "'document', 'image', 'redacted_thinking', 'text', 'thinking', 'tool_result', 'tool_use'"
            raise invalid(
                f"{where}: Input tag '{str(kind)[:60]}' found using 'type' does not match "
                f"any of the expected tags for the role '{role}': {allowed}"
            )


def signature_of(thought: str) -> str:
    """The proof that a thought is our own; a thought that comes back changed is refused."""
    return base64.b64encode(b"halley" + hashlib.sha256(f"simulated thought\n{thought}".encode()).digest()).decode()


def _text(block: dict[str, Any], where: str) -> Block:
    text = _string(block, "text", f"{where}.text")
    if not text:
        raise invalid("messages: text content blocks must be non-empty")
    return Block(kind="text", text=text, tokens=count(text))


async def _image(host: SimulatorHost, source: dict[str, Any], where: str) -> Block:
    if source.get("type") == "file":
        name = _string(source, "file_id", f"{where}.file")[:_NAME_CHARACTERS_MAX]
        return Block(kind="image", note=f"saw the image of file {name}", tokens=IMAGE_TOKENS_MAX)
    data = await _bytes(host, source, where)
    try:
        info = await host.decode_image(data)
    except BadImage as error:
        raise invalid(f"{where}: Could not process image: {error}") from error
    told, found = source.get("media_type"), _IMAGE_TYPES[info.format]
    if source.get("type") == "base64" and told != found:
        raise invalid(
            f"{where}.base64.data: The image was specified using the {told} media type, "
            f"but the image appears to be a {found} image"
        )
    tokens = min(IMAGE_TOKENS_MAX, max(1, info.width * info.height // PIXELS_PER_TOKEN))
    return Block(kind="image", note=f"saw an image of {info.width}x{info.height}", tokens=tokens)


async def _document(host: SimulatorHost, block: dict[str, Any], where: str) -> Block:
    source = as_object(block.get("source"))
    title = as_text(block.get("title"))[:_NAME_CHARACTERS_MAX]
    named = f" “{title}”" if title else ""
    match source.get("type"):
        case "text":
            text = _string(source, "data", f"{where}.source.text")
            note, tokens = f"read a document{named} of {len(text)} characters", count(text)
        case "content":
            inner = source.get("content")
            text = (
                inner
                if isinstance(inner, str)
                else " ".join(as_text(as_object(part).get("text")) for part in as_list(inner))
            )
            note, tokens = f"read a document{named} of {len(text)} characters", count(text)
        case "file":
            name = _string(source, "file_id", f"{where}.source.file")[:_NAME_CHARACTERS_MAX]
            note, tokens = f"read the document of file {name}", PAGE_TOKENS
        case _:
            data = await _bytes(host, source, f"{where}.source")
            if not data.startswith(b"%PDF-"):
                raise invalid(f"{where}.source: The PDF specified was not valid.")
            pages = min(PAGES_MAX, max(1, len(_PAGE.findall(data))))
            note, tokens = f"read a PDF{named} with pages: {pages}", pages * PAGE_TOKENS
    return Block(kind="document", note=note, tokens=tokens)


async def _bytes(host: SimulatorHost, source: dict[str, Any], where: str) -> bytes:
    match source.get("type"):
        case "base64":
            text = _string(source, "data", f"{where}.base64")
            try:
                return base64.b64decode(text, validate=True)
            except (binascii.Error, ValueError):
                raise invalid(f"{where}.base64.data: Invalid base64 data") from None
        case "url":
            url = _string(source, "url", f"{where}.url")
            if not url.startswith(("https://", "http://")):
                raise invalid(f"{where}.url.url: Only HTTPS URLs are supported.")
            try:
                return await read_source(url, host.fetch)
            except (BadImage, OutsideError) as error:
                raise invalid(f"Unable to download the file. Please verify the URL and try again. ({error})") from error
        case kind:
            raise invalid(f"{where}: Input tag '{str(kind)[:60]}' found using 'type' does not match any expected tag")


def _call(block: dict[str, Any], where: str) -> Block:
    call_id, name = _string(block, "id", where), _string(block, "name", where)
    if not _CALL_ID.fullmatch(call_id):
        raise invalid(f"{where}.id: String should match pattern '^{_CALL_ID.pattern}$'")
    if not isinstance(block.get("input"), dict):
        raise invalid(f"{where}.input: Input should be a valid dictionary")
    return Block(kind="tool_use", id=call_id, tokens=count(name) + count(encode(block["input"]).decode()))


async def _result(host: SimulatorHost, block: dict[str, Any], where: str) -> Block:
    call_id, content = _string(block, "tool_use_id", where), block.get("content")
    if content is None or isinstance(content, str):
        return Block(kind="tool_result", id=call_id, text=content or "", tokens=count(content or ""))
    inner = [
        await look_at(host, part, "tool", f"{where}.content.{place}") for place, part in enumerate(as_list(content))
    ]
    return Block(
        kind="tool_result",
        id=call_id,
        text=" ".join(part.text for part in inner if part.text),
        note="; ".join(part.note for part in inner if part.note),
        tokens=sum(part.tokens for part in inner),
    )


def _thought(block: dict[str, Any], where: str) -> Block:
    thought, signature = _string(block, "thinking", where), _string(block, "signature", where)
    # An omitted thought came without its words, so there is nothing to hold its proof against.
    if thought and signature != signature_of(thought):
        raise invalid(f"{where}: Invalid `signature` in `thinking` block")
    return Block(kind="thinking", tokens=count(thought))


def _string(block: dict[str, Any], name: str, where: str) -> str:
    value = block.get(name)
    if value is None:
        raise missing(f"{where}.{name}")
    if not isinstance(value, str):
        raise invalid(f"{where}.{name}: Input should be a valid string")
    return value
