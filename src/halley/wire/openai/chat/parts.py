"""Parts of a message in chat completions, read and written."""

from collections.abc import Callable, Mapping
from typing import Any

from halley.kernel.chat import Blob, BlobKind, Part, Refusal, Text
from halley.wire.extras import not_conveyed
from halley.wire.openai.blobs import file_data_of, link_of, read_detail, read_file_data, read_link, read_sound, sound_of
from halley.wire.openai.hints import PART_HINTS
from halley.wire.shape import Cursor

_PREFIX_OF_ERROR = "Error: "


# --- read ---------------------------------------------------------------------------------------------------


def read_content(at: Cursor) -> tuple[Part, ...]:
    """Read a message's content: a string or an array of parts; parts of unknown types are kept as extras."""
    if isinstance(at.value, str):
        return (Text(text=at.value),)
    if not isinstance(at.value, list):
        raise at.wrong("a string or an array of parts")
    return tuple(part for item in at.items() for part in _read_part(item))


def _read_part(at: Cursor) -> tuple[Part, ...]:
    word = at.at("type").text()
    read = _READERS.get(word)
    if read is None:
        at.keep()
        return ()
    at.keep_others(PART_HINTS | {"type", _FIELDS.get(word, word)})
    return (read(at),)


def _read_text(at: Cursor) -> Part:
    return Text(text=at.at("text").text())


def _read_refusal(at: Cursor) -> Part:
    return Refusal(text=at.at("refusal").text())


def read_image(at: Cursor) -> Blob:
    """Read `{image_url}`: an object with `url` and `detail`, or the URL alone."""
    link = at.at("image_url")
    if isinstance(link.value, str):
        return read_link(link, BlobKind.IMAGE)
    link.keep_others(("url", "detail"))
    return read_link(link.at("url"), BlobKind.IMAGE, detail=read_detail(link.at("detail")))


def _read_video(at: Cursor) -> Part:
    link = at.at("video_url")
    if isinstance(link.value, str):
        return read_link(link, BlobKind.VIDEO)
    link.keep_others(("url",))
    return read_link(link.at("url"), BlobKind.VIDEO)


def _read_sound(at: Cursor) -> Part:
    return read_sound(at.at("input_audio"))


def _read_file(at: Cursor) -> Part:
    file = at.at("file")
    file.keep_others(("filename", "file_data", "file_id"))
    name = file.at("filename").text_or_none()
    if file.has("file_id"):
        return Blob(kind=BlobKind.FILE, file_id=file.at("file_id").text(), name=name)
    return read_file_data(file.at("file_data"), name)


_READERS: Mapping[str, Callable[[Cursor], Part]] = {
    "text": _read_text,
    "refusal": _read_refusal,
    "image_url": read_image,
    "video_url": _read_video,
    "input_audio": _read_sound,
    "file": _read_file,
    # Names of the other format of this house, which callers mix in.
    "input_text": _read_text,
    "output_text": _read_text,
}
_FIELDS: Mapping[str, str] = {"input_text": "text", "output_text": "text"}


# --- write --------------------------------------------------------------------------------------------------


def write_texts(parts: tuple[Part, ...], place: str) -> str | list[dict[str, Any]]:
    """Write parts where only texts may stand: one as a string, more as an array."""
    for part in parts:
        if not isinstance(part, Text):
            raise not_conveyed("messages", f"{place} can only hold text")
    return write_content(parts)


def write_content(parts: tuple[Part, ...]) -> str | list[dict[str, Any]]:
    """Write a message's content. Raises `NotConveyed`."""
    match parts:
        case ():
            return ""
        case (Text(text=text),):
            return text
        case _:
            return [_write_part(part) for part in parts]


def write_failed(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """Say in words that a tool failed: the format has no mark for it."""
    match parts:
        case (Text(text=text), *rest):
            return (Text(text=_PREFIX_OF_ERROR + text), *rest)
        case _:
            return (Text(text=_PREFIX_OF_ERROR.strip()), *parts)


def _write_part(part: Part) -> dict[str, Any]:
    match part:
        case Text():
            return {"type": "text", "text": part.text}
        case Blob(kind=kind):
            return _WRITERS[kind](part)
        case _:
            raise not_conveyed("messages", f"a user's message cannot hold a {type(part).__name__.lower()}")


def write_image(blob: Blob) -> dict[str, Any]:
    """Write an image as a part; also how images stand in answers."""
    link = {"url": link_of(blob, "image/png")}
    return {"type": "image_url", "image_url": link if blob.detail is None else {**link, "detail": blob.detail}}


def _write_video(blob: Blob) -> dict[str, Any]:
    return {"type": "video_url", "video_url": {"url": link_of(blob, "video/mp4")}}


def _write_sound(blob: Blob) -> dict[str, Any]:
    return {"type": "input_audio", "input_audio": sound_of(blob)}


def _write_file(blob: Blob) -> dict[str, Any]:
    content = {"file_data": file_data_of(blob)}
    return {"type": "file", "file": content if blob.name is None else {"filename": blob.name, **content}}


_WRITERS: Mapping[BlobKind, Callable[[Blob], dict[str, Any]]] = {
    BlobKind.IMAGE: write_image,
    BlobKind.VIDEO: _write_video,
    BlobKind.AUDIO: _write_sound,
    BlobKind.FILE: _write_file,
}
