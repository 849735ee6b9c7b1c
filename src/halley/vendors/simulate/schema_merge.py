"""Two JSON schemas as one that demands what both demand, as far as one object can say it. Pure."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from halley.kernel.loose import as_list, as_object
from halley.vendors.simulate.schema_check import is_multiple, is_number, resolved, same, types_of

_GREATEST = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_LEAST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
BRANCHES_MAX = 64


def merged(first: dict[str, Any], second: dict[str, Any], root: Any) -> dict[str, Any]:
    """What both demand. References beside other words must have been followed."""
    if not first or not second:
        return first or second
    if any("$ref" in schema for schema in (first, second)):
        return merged(resolved(first, root), resolved(second, root), root)
    together = {**first, **second}
    for word in set(first) & set(second):
        together[word] = _both(word, first[word], second[word])
    if types_of(first) and types_of(second):
        together["type"] = _common_types(types_of(first), types_of(second))
        together.pop("nullable", None)
    if "additionalProperties" in together:
        _close(together, first, second)
    return together


def _both(word: str, first: Any, second: Any) -> Any:
    """What a word says that both use; the second wins where both cannot be had."""
    if word in _GREATEST and is_number(first) and is_number(second):
        return max(first, second)
    if word in _LEAST and is_number(first) and is_number(second):
        return min(first, second)
    join = _JOINED.get(word)
    return second if join is None else join(first, second)


def _pair(first: Any, second: Any) -> Any:
    if first is False or second is False:
        return False
    if first is True or first == second:
        return second
    return first if second is True else {"allOf": [first, second]}


def _crossed(first: Any, second: Any) -> list[Any]:
    return [_pair(one, other) for one in as_list(first) for other in as_list(second)][:BRANCHES_MAX]


def _members(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _pair(first[name], second[name])
        if name in first and name in second
        else first.get(name, second.get(name))
        for name in (*first, *(name for name in second if name not in first))
    }


def _close(together: dict[str, Any], first: dict[str, Any], second: dict[str, Any]) -> None:
    """A property that one of the two does not know must pass that one's rule for further properties."""
    properties = dict(as_object(together.get("properties")))
    for schema in (first, second):
        rule = schema.get("additionalProperties", True)
        for name, known in tuple(properties.items()):
            if name not in as_object(schema.get("properties")) and not schema.get("patternProperties"):
                properties[name] = _pair(known, rule)
    if properties:
        together["properties"] = properties


def _common_types(first: list[str], second: list[str]) -> list[str]:
    common = [name for name in first if name in second]
    if "integer" not in common and "integer" in (*first, *second) and "number" in (*first, *second):
        common.append("integer")
    # No type is left: one that no value has, as an empty list would allow all.
    return common or ["nothing"]


def _common_multiple(first: Any, second: Any) -> Any:
    if isinstance(first, int) and isinstance(second, int) and first and second:
        return math.lcm(first, second)
    if is_number(first) and is_number(second) and first and second:
        return first if is_multiple(first, second) else second
    return second


_JOINED: Mapping[str, Callable[[Any, Any], Any]] = {
    "required": lambda first, second: list(dict.fromkeys([*as_list(first), *as_list(second)])),
    "enum": lambda first, second: [one for one in as_list(first) if any(same(one, other) for other in as_list(second))],
    "properties": lambda first, second: _members(as_object(first), as_object(second)),
    "patternProperties": lambda first, second: _members(as_object(first), as_object(second)),
    "items": _pair,
    "additionalProperties": _pair,
    "contains": _pair,
    "propertyNames": _pair,
    "not": lambda first, second: {"anyOf": [first, second]},
    "allOf": lambda first, second: [*as_list(first), *as_list(second)],
    "anyOf": _crossed,
    "oneOf": _crossed,
    "multipleOf": _common_multiple,
    "uniqueItems": lambda first, second: first is True or second is True,
}
