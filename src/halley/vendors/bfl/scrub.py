"""Takes a vendor's addresses, task ids and bills out of what it said, before a caller sees it. Pure."""

import re
from typing import Any

from halley.kernel.loose import as_list, as_object

REMOVED = "(removed)"
TEXT_CHARACTERS_MAX = 500

_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]{0,20}://[^\s\"'<>]+")
_HOST = re.compile(r"\b(?:[\w-]+\.)+(?:bfl\.(?:ai|ml)|windows\.net)\b|\bbfl\.(?:ai|ml)\b", re.IGNORECASE)
_ID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE)
_OURS = frozenset(("id", "task_id", "polling_url", "webhook_url", "webhook_secret", "cost"))


def scrubbed_text(text: str) -> str:
    """The same words without URLs, the vendor's hosts and ids."""
    return _ID.sub(REMOVED, _HOST.sub(REMOVED, _URL.sub(REMOVED, text)))


def message_of(text: str) -> str:
    """Words of the vendor as part of a message: scrubbed and of bounded length."""
    clean = " ".join(scrubbed_text(text[: 4 * TEXT_CHARACTERS_MAX]).split())
    return clean if len(clean) <= TEXT_CHARACTERS_MAX else clean[: TEXT_CHARACTERS_MAX - 1] + "…"


def scrubbed(value: Any) -> Any:
    """A copy of a JSON value without ids, links and costs, at any depth."""
    match value:
        case str():
            return scrubbed_text(value)
        case list():
            return [scrubbed(item) for item in as_list(value)]
        case dict():
            return scrubbed_object(as_object(value))
        case _:
            return value


def scrubbed_object(value: dict[str, Any]) -> dict[str, Any]:
    """The same for an object."""
    return {name: scrubbed(item) for name, item in value.items() if name not in _OURS}
