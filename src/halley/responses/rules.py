"""Items of a conversation: read from what is kept, put before a new turn, listed by pages. Pure."""

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from halley.kernel.loose import as_list, as_object, as_text
from halley.responses.model import Turn

PAGE_MAX = 100
PAGE_USUAL = 20
_PREFIXES: Mapping[str, str] = {
    "message": "msg",
    "function_call": "fc",
    "function_call_output": "fco",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
    "reasoning": "rs",
}
_NAMED_BY_MAKER = frozenset(("message", "function_call", "function_call_output", "reasoning"))
"""Items whose ids mean something to the vendor that gave them and nothing to any other, and may be left out."""


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Some of a list."""

    items: tuple[Any, ...]
    has_more: bool


def input_items(value: Any) -> tuple[Any, ...]:
    """Give `input` as items: a text is what the user says. What is neither text nor array holds none."""
    if isinstance(value, str):
        return ({"type": "message", "role": "user", "content": value},)
    return tuple(as_list(value))


def output_items(response: Any) -> tuple[Any, ...]:
    """Give what a response holds."""
    return tuple(as_list(as_object(response).get("output")))


def history(turns: Iterable[Turn], channel_id: str | None = None) -> Iterator[Any]:
    """Give what was said so far, as another vendor takes it.

    Sealed thoughts are handed back only to the channel that they came from, and others to nobody: no vendor reads them.
    """
    for turn in turns:
        for item in (*turn.input, *turn.output):
            if not is_thought(item) or (turn.channel_id == channel_id and is_sealed(item)):
                yield _said(item)


def is_thought(item: Any) -> bool:
    """Whether an item is what the model thought."""
    return as_object(item).get("type") == "reasoning"


def is_sealed(item: Any) -> bool:
    """Whether an item is a thought that its vendor can read again."""
    return is_thought(item) and bool(as_object(item).get("encrypted_content"))


def listed(turns: Iterable[Turn], last: str) -> Iterator[dict[str, Any]]:
    """Give every item that the response `last` was made from, each with an id: its own, or always the same of ours."""
    seen: set[object] = set()
    for turn in turns:
        items = turn.input if turn.id == last else (*turn.input, *turn.output)
        for place, item in enumerate(items):
            shown = _listed(item, f"{turn.id.rpartition('_')[2]}_{place}", seen)
            seen.add(shown["id"])
            yield shown


def page(items: Iterable[dict[str, Any]], *, after: str | None, limit: int, ascending: bool) -> Page:
    """Give a part of the list. Raises `ValueError` when no item has the id `after`."""
    found = list(items)
    if not ascending:
        found.reverse()
    start = 0
    if after is not None:
        start = next((place for place, item in enumerate(found, 1) if item.get("id") == after), 0)
        if not start:
            raise ValueError("no item has this id")
    return Page(items=tuple(found[start : start + limit]), has_more=start + limit < len(found))


def _said(item: Any) -> Any:
    """Give an item without what only its maker understands."""
    fields = as_object(item)
    kind = fields.get("type", "message")
    if not fields or kind not in _NAMED_BY_MAKER:
        return item
    kept = {name: value for name, value in fields.items() if name not in ("id", "status")}
    if kind == "message" and isinstance(kept.get("content"), list):
        kept["content"] = [_part(part) for part in as_list(kept["content"])]
    return kept


def _part(part: Any) -> Any:
    """Citations and probabilities are made by a vendor, not read by its model."""
    fields = as_object(part)
    if fields.get("type") != "output_text":
        return part
    return {"type": "output_text", "text": fields.get("text", ""), "annotations": []}


def _listed(item: Any, name: str, taken: Container[object]) -> dict[str, Any]:
    """Give an item with an id that no other of the list has, or pages would never end."""
    fields = as_object(item)
    kind = str(fields.get("type") or "message")
    given = as_text(fields.get("id"))
    shown: dict[str, Any] = {**fields, "type": kind}
    shown["id"] = given if given and given not in taken else f"{_PREFIXES.get(kind, 'item')}_{name}"
    if kind == "message" and isinstance(shown.get("content"), str):
        shown["content"] = [_text_part(fields)]
    return shown


def _text_part(message: dict[str, Any]) -> dict[str, Any]:
    if message.get("role") == "assistant":
        return {"type": "output_text", "text": message["content"], "annotations": []}
    return {"type": "input_text", "text": message["content"]}
