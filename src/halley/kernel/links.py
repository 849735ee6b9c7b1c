"""Signed links to what we keep: stable within a UTC day, renewed at each fetch, never outliving the thing itself.

Pure: who may make a link is decided elsewhere, and a valid one opens exactly one path without a key.
"""

import re
from enum import StrEnum
from urllib.parse import parse_qsl

import msgspec

from halley.kernel.clock import MICROSECONDS
from halley.kernel.ids import TaskId, parse_task_id
from halley.kernel.vault import Vault

LINK_DAYS = 7
"""A link holds until the end of its day and this many days more."""
ASSETS = "/assets/"
"""What the path of an output begins with, after that of our public URL."""
OUTPUTS_MAX = 999
"""The highest number of an output in a path."""

_DAY = 24 * 60 * 60 * MICROSECONDS
_PURPOSE = "link"
_QUERY_FIELDS_MAX = 16
_EXPIRES = re.compile(r"[0-9]{1,12}", re.ASCII)
_ASSET_PATH = re.compile(r"/assets/(?P<task>[0-9a-z]{26})/(?P<n>0|[1-9][0-9]{0,2})(?:\.[a-z0-9]{1,8})?", re.ASCII)
_FILE_PATH = re.compile(r"/files/(?P<id>[A-Za-z0-9_-]{1,64})", re.ASCII)


class LinkState(StrEnum):
    """What a link is worth."""

    VALID = "valid"
    EXPIRED = "expired"
    """It was ours; fetching the task or file again gives a new one."""
    INVALID = "invalid"


class AssetPlace(msgspec.Struct, frozen=True, kw_only=True):
    """An output of a task, as a path names it."""

    task_id: TaskId
    n: int


class FilePlace(msgspec.Struct, frozen=True, kw_only=True):
    """An uploaded file, as a path names it."""

    file_id: str


def asset_path(task_id: str, n: int, extension: str) -> str:
    """Give the path of an output; the extension (`.png`) is for people and for clients that look at it."""
    assert 0 <= n <= OUTPUTS_MAX
    return f"{ASSETS}{task_id}/{n}{extension}"


def place_of(path: str) -> AssetPlace | FilePlace | None:
    """Read a path of ours; None when it is none."""
    if match := _ASSET_PATH.fullmatch(path):
        task_id = parse_task_id(match["task"])
        return AssetPlace(task_id=task_id, n=int(match["n"])) if task_id else None
    if match := _FILE_PATH.fullmatch(path):
        return FilePlace(file_id=match["id"])
    return None


def link_expiry(now: int, kept_until: int) -> int:
    """Until when a link made now holds: the same all day long, so that a link can be cached and compared."""
    day_ends = (now // _DAY + 1) * _DAY
    return min(day_ends + LINK_DAYS * _DAY, kept_until)


def sign(vault: Vault, base_url: str, path: str, expires_at: int) -> str:
    """Make a link. `expires_at` in microseconds is cut to whole seconds, so it never holds longer than asked."""
    expires = str(expires_at // MICROSECONDS)
    return (
        f"{base_url.rstrip('/')}{path}?expires={expires}&signature={vault.mac(_PURPOSE, _signed_text(path, expires))}"
    )


def verify(vault: Vault, path: str, query: str, now: int) -> LinkState:
    """Tell what a link is worth. Fields that we did not make are ignored; ours given twice make it invalid."""
    fields = _fields(query)
    expires, signature = fields.get("expires", []), fields.get("signature", [])
    if len(expires) != 1 or len(signature) != 1 or not _EXPIRES.fullmatch(expires[0]):
        return LinkState.INVALID
    if not vault.verify_mac(_PURPOSE, _signed_text(path, expires[0]), signature[0]):
        return LinkState.INVALID
    return LinkState.VALID if now < int(expires[0]) * MICROSECONDS else LinkState.EXPIRED


def own_part(base_url: str, url: str) -> tuple[str, str] | None:
    """Split a URL that points to us into path and query; None when it points elsewhere."""
    base = base_url.rstrip("/")
    if not url.startswith(base + "/"):
        return None
    path, _, query = url[len(base) :].partition("#")[0].partition("?")
    return path, query


def _signed_text(path: str, expires: str) -> str:
    return f"{path}?expires={expires}"


def _fields(query: str) -> dict[str, list[str]]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_QUERY_FIELDS_MAX)
    except ValueError:
        return {}
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return fields
