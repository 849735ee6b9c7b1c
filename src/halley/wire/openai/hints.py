"""Fields of OpenAI's formats that change nothing in the answer, and values that are the same as not sending them.

The compatibility page is made from these tables.
"""

from collections.abc import Mapping
from typing import Any

import msgspec


class Hint(msgspec.Struct, frozen=True, kw_only=True):
    """A field that may be left out when an order is translated."""

    name: str
    why: str
    values: tuple[Any, ...] | None = None
    """The values for which this holds; None for all."""


HINTS = (
    Hint(name="user", why="It names the caller's user to the vendor; the vendor's customer here is the operator"),
    Hint(name="safety_identifier", why="It names the caller's user to the vendor, as `user` does"),
    Hint(name="metadata", why="Notes for the vendor's own lists of past calls"),
    Hint(name="store", why="Whether the vendor lists the call; the answer is the same"),
    Hint(name="prompt_cache_key", why="It makes cache hits likelier; the answer is the same"),
    Hint(name="prompt_cache_retention", why="How long the vendor may keep its cache; the answer is the same"),
    Hint(name="prompt_cache_options", why="How the vendor shall cache; the answer is the same"),
    Hint(name="prediction", why="It makes a foreseeable answer faster; the answer is the same"),
    Hint(name="stream_options", why="The gateway itself adds usage to a stream or leaves it out"),
    Hint(name="include_obfuscation", why="Padding against guesses by length"),
    Hint(name="service_tier", why="The vendor's usual way of serving", values=("auto", "default")),
    Hint(name="truncation", why="It forbids what no other vendor does", values=("disabled",)),
    Hint(name="background", why="The call is answered at once", values=(False,)),
    Hint(name="logprobs", why="It asks for nothing", values=(False,)),
    Hint(name="top_logprobs", why="It asks for nothing", values=(0,)),
    Hint(name="logit_bias", why="It asks for nothing", values=({},)),
    Hint(
        name="include",
        why="Thoughts that must be handed back are always part of the answer",
        values=([], ["reasoning.encrypted_content"]),
    ),
    Hint(name="n", why="One answer is what a call gives anyway", values=(1,)),
    Hint(name="modalities", why="Text is what a chat answers with anyway", values=(["text"],)),
    Hint(name="presence_penalty", why="No penalty is what a call has anyway", values=(0,)),
    Hint(name="frequency_penalty", why="No penalty is what a call has anyway", values=(0,)),
    Hint(name="verbosity", why="The usual length", values=("medium",)),
    Hint(name="tools", why="No tools", values=([],)),
    Hint(name="functions", why="No tools", values=([],)),
    Hint(name="stop", why="No stop sequence", values=([],)),
    Hint(name="top_k", why="No limit", values=(-1, 0)),
)

LEFT_OUT: Mapping[str, str] = {
    "cache_control": "A mark of what to cache, beside a part; the answer is the same",
    "prompt_cache_breakpoint": "A mark of what to cache, beside a part; the answer is the same",
    "image_url.detail `auto`": "It leaves the choice to the vendor, as does saying nothing",
    "reasoning_content of earlier answers": "OpenAI's chat takes no thoughts back; vendors discard them anyway",
    "signatures of thoughts": "To OpenAI's Responses only those are handed back that it made itself",
    "annotations of earlier answers": "Citations are made by the vendor, not read by its model",
    "reasoning.summary `concise`, `detailed`": "Other formats show thoughts or do not: all words for it mean showing",
    "whether thoughts are shown": "OpenAI's chat has no word for it: its vendors show their thoughts or never do",
    "is_error of a tool's result": "OpenAI has no word for it: the result's text then begins with `Error: `",
}
"""What else is not conveyed and not refused, and why."""

PART_HINTS = frozenset(("cache_control", "prompt_cache_breakpoint"))

_HINTS: Mapping[str, Hint] = {hint.name: hint for hint in HINTS}


def sent(body: dict[str, Any]) -> dict[str, Any]:
    """The fields of a body that ask for something."""
    return {name: value for name, value in body.items() if value is not None and not _is_hint(name, value)}


def _is_hint(name: str, value: Any) -> bool:
    hint = _HINTS.get(name)
    if hint is None:
        return False
    # `0 == False` holds in Python, not on the wire: a wrong type is left for its reader to name.
    return hint.values is None or any(
        value == usual and isinstance(value, bool) is isinstance(usual, bool) for usual in hint.values
    )
