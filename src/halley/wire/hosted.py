"""Tools that a vendor runs itself and bills beside the tokens: which of them an order names, in any chat format. Pure.

What replies count of them stands with the usage of each format.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from halley.kernel.loose import as_list, as_object, as_text

MARK = re.compile(rb"_search|googleSearch|code_interpreter|image_generation|shell")
"""Without it there is none of them among some tools."""
_SEARCH = re.compile(r"web_search(?!_tool)|browser_search")
_SEARCH_OF_GEMINI = ("googleSearch", "google_search")
_METERS: Mapping[str, str] = {
    "file_search": "file_search",
    "code_interpreter": "code_container",
    "shell": "code_container",
    "image_generation": "image",
}


class Hosted(msgspec.Struct, frozen=True, kw_only=True):
    """What an order allows."""

    meters: Mapping[str, int | None] = {}
    """What each counts as, and how many calls of it the order allows, where it says so."""
    facts: Mapping[str, str] = {}
    """What a price of them may depend on."""


def hosted_in(tools: Any) -> Hosted:
    """Read the tools of an order."""
    meters: dict[str, int | None] = {}
    facts: dict[str, Any] = {}
    for tool in map(as_object, as_list(tools)):
        kind = as_text(tool.get("type"))
        if _SEARCH.match(kind) or any(name in tool for name in _SEARCH_OF_GEMINI):
            meters["web_search"] = tool.get("max_uses")
        elif kind in _METERS:
            meters[_METERS[kind]] = None
            if kind == "image_generation":
                facts["image_model"] = tool.get("model")
            machine = as_object(tool.get("container") or tool.get("environment"))
            facts |= {"memory_limit": limit} if (limit := machine.get("memory_limit")) else {}
    return Hosted(meters=meters, facts={name: value for name, value in facts.items() if isinstance(value, str)})
