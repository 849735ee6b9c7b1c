"""How much to think, in the many spellings that vendors of chat completions have."""

from collections.abc import Callable, Mapping
from typing import Any

from halley.kernel.chat import Reasoning
from halley.wire.openai.settings import NO_EFFORT
from halley.wire.shape import Cursor


def read_reasoning(at: Cursor) -> Reasoning | None:
    """Read the first spelling that is used and says nothing else; all others stay extras of the body."""
    found: Reasoning | None = None
    for name, read in SPELLINGS.items():
        field = at.at(name)
        if field.value is None:
            continue
        reasoning = read(field) if found is None else None
        if reasoning is None:
            field.keep()
        found = found or reasoning
    return found


def _read_effort(at: Cursor) -> Reasoning:
    effort = at.text()
    return Reasoning(enabled=False) if effort == NO_EFFORT else Reasoning(effort=effort)


def _read_object(at: Cursor) -> Reasoning | None:
    """Read `{effort | max_tokens, exclude, enabled}`."""
    value = at.object()
    if value.keys() - {"effort", "max_tokens", "exclude", "enabled"} or {"effort", "max_tokens"} <= value.keys():
        return None
    exclude, effort = at.at("exclude").flag_or_none(), at.at("effort").text_or_none()
    return Reasoning(
        enabled=effort != NO_EFFORT and at.at("enabled").flag_or_none() is not False,
        effort=None if effort == NO_EFFORT else effort,
        budget_tokens=at.at("max_tokens").whole_or_none(),
        show=None if exclude is None else not exclude,
    )


def _read_switch(at: Cursor) -> Reasoning | None:
    """Read `{type: enabled | disabled, budget_tokens}`."""
    value: dict[str, Any] = at.object()
    if value.keys() - {"type", "budget_tokens"}:
        return None
    match value.get("type"):
        case "enabled":
            return Reasoning(budget_tokens=at.at("budget_tokens").whole_or_none())
        case "disabled":
            return Reasoning(enabled=False)
        case _:
            return None


def _read_flag(at: Cursor) -> Reasoning:
    return Reasoning(enabled=at.flag())


def _read_budget(at: Cursor) -> Reasoning:
    return Reasoning(budget_tokens=at.whole())


SPELLINGS: Mapping[str, Callable[[Cursor], Reasoning | None]] = {
    "reasoning_effort": _read_effort,
    "reasoning": _read_object,
    "thinking": _read_switch,
    "thinking_budget": _read_budget,
    "enable_thinking": _read_flag,
}
