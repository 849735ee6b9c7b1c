"""What a JSON body holds: texts, and files, sent or only named, that are not to be counted as text. Pure."""

import re
from typing import Any, NamedTuple

from halley.kernel.chat import BlobKind
from halley.kernel.loose import as_list, as_object

SMALL_BYTES = 16 * 1024
"""Of a body up to this every byte counts as text, unless it names files; a larger one is read if it may hold some."""
FILE_FROM_CHARACTERS = 2_048
"""In base64; a shorter one counts as text."""
FILE_FIELDS = frozenset(
    (
        *("audio", "b64_json", "data", "file", "file_data", "file_url", "image", "image_url", "images", "input_audio"),
        *("mask", "result", "url", "video", "video_url"),
    )
)
"""Where the formats have files. What lies elsewhere is text to whoever answers, however it looks."""
LINK_FIELDS = frozenset(
    (
        *(
            "audio_url",
            "document_url",
            "file",
            "fileUri",
            "file_uri",
            "file_url",
            "image",
            "image_url",
            "images",
            "mask",
        ),
        *("video", "video_url"),
    )
)
"""Where they have a file's address; there, and in the `url` of an object in such a field or in a `source`."""
ID_FIELDS = frozenset(("file_id", "fileId"))
"""Where they have the id of a file that the vendor has."""
FREE_FIELDS = frozenset(("annotations", "args", "arguments", "citations", "parameters", "response", "results"))
"""What is text whatever its fields are called: objects of the caller's own making, what an answer named as its
sources, and what a search of files found; and any `input` that is an object, and all that says it is of the type
`text`."""
KINDS = {
    **dict.fromkeys(("image", "image_url", "images", "input_image", "mask", "b64_json"), BlobKind.IMAGE),
    **dict.fromkeys(("audio", "audio_url", "input_audio"), BlobKind.AUDIO),
    **dict.fromkeys(("video", "video_url", "input_video"), BlobKind.VIDEO),
    **dict.fromkeys(
        ("application", "document", "document_url", "file", "file_data", "file_url", "input_file", "text"),
        BlobKind.FILE,
    ),
}
"""What a file is, by a field or a `type` around it, or by the first word of its media type."""
MEDIA_TYPES = ("media_type", "mime_type", "mimeType")

_BASE64 = re.compile(r"[A-Za-z0-9+/=_\r\n-]*")
_FILE = re.compile(rb'"(?:data:|[A-Za-z0-9+/=_\\-]{%d})' % FILE_FROM_CHARACTERS)
"""How a string that is a file may begin where it is still JSON, escapes included."""
_NAME = re.compile(rb'"(?<!\\")(?:[hH][tT][tT][pP]|gs:|file_?[iIuU])')
"""The same of one that names a file, or of the field that it lies in; not within another string."""
_LINK = re.compile(r"\s*(?:https?|gs):", re.IGNORECASE)
_DATA_URL = re.compile(r"data:([a-z]+)/")


class File(NamedTuple):
    """A file of a body. `characters` is the length of its base64; None where it is but named by an address or an id."""

    kind: BlobKind
    characters: int | None


class Contents(NamedTuple):
    """What was found, texts in their order."""

    texts: list[str]
    files: list[File]


class _Place(NamedTuple):
    """Where a value lies."""

    field: str = ""
    """Its own; strings of a list lie in the field of the list, objects of one in none."""
    around: str = ""
    """The field of the object that it lies in."""
    kind: BlobKind | None = None
    """What the objects around it say that files are."""
    is_free: bool = False
    """Whether all of it is text."""


def contents(value: Any) -> Contents:
    """Part all strings of a JSON value into texts and files."""
    texts: list[str] = []
    files: list[File] = []
    stack: list[tuple[Any, _Place]] = [(value, _Place())]
    while stack:
        top, place = stack.pop()
        if isinstance(top, str):
            found = None if place.is_free else _file(top, place)
            if found is None:
                texts.append(top)
            else:
                files.append(found)
        elif isinstance(top, dict):
            fields = as_object(top)
            is_free = (
                place.is_free or place.field in FREE_FIELDS or place.field == "input" or fields.get("type") == "text"
            )
            kind = _told(fields, place.field) or KINDS.get(place.field) or place.kind
            stack.extend((inner, _Place(name, place.field, kind, is_free)) for name, inner in reversed(fields.items()))
        elif isinstance(top, list):
            of_strings = place._replace(is_free=place.is_free or place.field in FREE_FIELDS)
            of_objects = _Place(kind=place.kind, is_free=of_strings.is_free)
            stack.extend(
                (inner, of_strings if isinstance(inner, str) else of_objects) for inner in reversed(as_list(top))
            )
    return Contents(texts, files)


def may_hold_files(body: bytes) -> bool:
    """Whether a JSON body is worth decoding to look for files; their bytes are not to be counted as text.

    What names a file is found as all libraries spell it: who escapes its letters has it held for as text.
    """
    return _NAME.search(body) is not None or (len(body) > SMALL_BYTES and _FILE.search(body) is not None)


def is_file(string: str) -> bool:
    """Whether a text looks like a file: a data URL or base64."""
    return len(string) > FILE_FROM_CHARACTERS and (
        string.startswith("data:") or _BASE64.fullmatch(string, 0, FILE_FROM_CHARACTERS) is not None
    )


def _file(string: str, place: _Place) -> File | None:
    field = place.field
    if field in FILE_FIELDS and is_file(string):
        told = _DATA_URL.match(string)
        kind = (KINDS.get(told[1]) if told else None) or KINDS.get(field) or place.kind
        # Of what says nothing, a picture is by far the likeliest.
        return File(kind or BlobKind.IMAGE, len(string))
    is_link = field in LINK_FIELDS or (field == "url" and (place.around in LINK_FIELDS or place.around == "source"))
    if field in ID_FIELDS or (is_link and _LINK.match(string)):
        return File(KINDS.get(field) or place.kind or BlobKind.FILE, None)
    return None


def _told(fields: dict[str, Any], field: str) -> BlobKind | None:
    """What an object says of the files in it."""
    for name in MEDIA_TYPES:
        told = fields.get(name)
        if isinstance(told, str):
            return KINDS.get(told.partition("/")[0])
    said = fields.get("type")
    # A source says how the file is sent.
    return KINDS.get(said) if isinstance(said, str) and field != "source" else None
