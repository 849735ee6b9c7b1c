"""Images, sounds and files as OpenAI's formats write them: links, `data:` URLs and bare base64."""

import re
from collections.abc import Mapping

from halley.kernel.chat import Blob, BlobKind
from halley.wire.extras import kept_elsewhere, not_conveyed
from halley.wire.shape import Cursor

_DATA_URL = re.compile(r"data:([^,;]*)((?:;[^,;]*)*),")
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://")
_HEAD_CHARACTERS_MAX = 1_000

_SOUNDS: Mapping[str, str] = {"mp3": "audio/mpeg", "wav": "audio/wav"}
_SOUND_FORMATS: Mapping[str, str] = {
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
}


def read_link(at: Cursor, kind: BlobKind, *, detail: str | None = None) -> Blob:
    """Read a URL, of a place or with the data in it."""
    url = at.text()
    if url[:5].lower() == "data:":
        media_type, data = _read_data(at, url)
        return Blob(kind=kind, media_type=media_type, data=data, detail=detail)
    if not _SCHEME.match(url):
        raise at.wrong("an `https://` URL or a `data:` URL in base64")
    return Blob(kind=kind, url=url, detail=detail)


def read_file_data(at: Cursor, name: str | None) -> Blob:
    """Read a file's content, a `data:` URL or bare base64."""
    value = at.text()
    if value[:5].lower() != "data:":
        return Blob(kind=BlobKind.FILE, data=value, name=name)
    media_type, data = _read_data(at, value)
    return Blob(kind=BlobKind.FILE, media_type=media_type, data=data, name=name)


def read_sound(at: Cursor) -> Blob:
    """Read `{data, format}`."""
    word = at.at("format").text()
    return Blob(kind=BlobKind.AUDIO, media_type=_SOUNDS.get(word, f"audio/{word}"), data=at.at("data").text())


def read_detail(at: Cursor) -> str | None:
    """How closely to look at an image; `auto` says nothing."""
    detail = at.text_or_none()
    return None if detail == "auto" else detail


def link_of(blob: Blob, default_type: str) -> str:
    """Write a blob as a URL. Raises `NotConveyed` for a file that another vendor keeps."""
    if blob.url is not None:
        return blob.url
    if blob.data is None:
        raise kept_elsewhere()
    return f"data:{blob.media_type or default_type};base64,{blob.data}"


def file_data_of(blob: Blob) -> str:
    """Write a file's content. Raises `NotConveyed` for what has none."""
    if blob.file_id is not None:
        raise kept_elsewhere()
    if blob.data is None:
        raise not_conveyed("file", "only files whose content is sent along can be")
    return blob.data if blob.media_type is None else f"data:{blob.media_type};base64,{blob.data}"


def sound_of(blob: Blob) -> dict[str, str]:
    """Write a sound. Raises `NotConveyed` for what is only linked."""
    if blob.file_id is not None:
        raise kept_elsewhere()
    if blob.data is None:
        raise not_conveyed("audio", "only sounds whose content is sent along can be")
    media_type = blob.media_type or "audio/wav"
    return {"data": blob.data, "format": _SOUND_FORMATS.get(media_type, media_type.rpartition("/")[2])}


def _read_data(at: Cursor, url: str) -> tuple[str | None, str]:
    found = _DATA_URL.match(url[:_HEAD_CHARACTERS_MAX])
    if not found or "base64" not in found[2].lower().split(";"):
        raise at.wrong("a `data:` URL in base64, such as `data:image/png;base64,…`")
    return found[1] or None, url[found.end() :]
