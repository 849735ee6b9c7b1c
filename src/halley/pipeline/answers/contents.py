"""What a JSON body holds: texts, and files that are not to be counted as text. Pure."""

import re
from typing import Any, NamedTuple

from halley.kernel.loose import as_list, as_object

SMALL_BYTES = 16 * 1024
"""Of a body up to this every byte counts as text; a larger one is read if it may hold files."""
FILE_FROM_CHARACTERS = 2_048
"""In base64; a shorter one counts as text."""
FILE_FIELDS = frozenset(
    (
        *("audio", "b64_json", "data", "file", "file_data", "file_url", "image", "image_url", "images", "input_audio"),
        *("mask", "url", "video", "video_url"),
    )
)
"""Where the formats have files. What lies elsewhere is text to whoever answers, however it looks."""
FREE_FIELDS = frozenset(("args", "arguments", "parameters", "response"))
"""Objects of the caller's own making, which are read as text whatever their fields are called; and any `input` that is
an object, and all that says it is of the type `text`."""

_BASE64 = re.compile(r"[A-Za-z0-9+/=_\r\n-]*")
_FILE = re.compile(rb'"(?:data:|[A-Za-z0-9+/=_\\-]{%d})' % FILE_FROM_CHARACTERS)
"""How a string that is a file may begin where it is still JSON, escapes included."""


class Contents(NamedTuple):
    """What was found, texts in their order."""

    texts: list[str]
    files: int


def contents(value: Any) -> Contents:
    """Part all strings of a JSON value into texts and files."""
    texts: list[str] = []
    files = 0
    # What is to be looked at, the field in which it lies, and whether all below it is text.
    stack: list[tuple[Any, str, bool]] = [(value, "", False)]
    while stack:
        top, field, is_free = stack.pop()
        if isinstance(top, str):
            if not is_free and field in FILE_FIELDS and is_file(top):
                files += 1
            else:
                texts.append(top)
        elif isinstance(top, dict):
            fields = as_object(top)
            is_free = is_free or field in FREE_FIELDS or field == "input" or fields.get("type") == "text"
            stack.extend((inner, name, is_free) for name, inner in reversed(fields.items()))
        elif isinstance(top, list):
            is_free = is_free or field in FREE_FIELDS
            # Strings lie in the field of their list, objects in none.
            stack.extend((inner, field if isinstance(inner, str) else "", is_free) for inner in reversed(as_list(top)))
    return Contents(texts, files)


def may_hold_files(body: bytes) -> bool:
    """Whether a JSON body is worth decoding to look for files; their bytes are not to be counted as text."""
    return len(body) > SMALL_BYTES and _FILE.search(body) is not None


def is_file(string: str) -> bool:
    """Whether a text looks like a file: a data URL or base64."""
    return len(string) > FILE_FROM_CHARACTERS and (
        string.startswith("data:") or _BASE64.fullmatch(string, 0, FILE_FROM_CHARACTERS) is not None
    )
