"""Which fields a call may have and what they may hold, refused in the vendor's words and codes. Pure."""

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from halley.kernel.loose import as_list
from halley.vendors.openai.simulated_errors import invalid, missing, unsupported

_KINDS: Mapping[str, tuple[str, type | tuple[type, ...]]] = {
    "bool": ("a boolean", bool),
    "str": ("a string", str),
    "object": ("an object", dict),
    "array": ("an array", list),
    "int": ("an integer", int),
    "number": ("a decimal", (int, float)),
    "str|array": ("one of a string or an array of strings", (str, list)),
    "str|object": ("one of a string or an object", (str, dict)),
}


class Rule(msgspec.Struct, frozen=True):
    """What a field may hold; for an array `low` and `high` bound its length."""

    kind: str
    low: float | None = None
    high: float | None = None
    one_of: tuple[str, ...] = ()


def check_fields(
    body: dict[str, Any], rules: Mapping[str, Rule], *, required: tuple[str, ...] = (), is_closed: bool = False
) -> dict[str, Any]:
    """The fields that are set. Raises `Refusal` for the first that is wrong; null is the same as absent."""
    given = {name: value for name, value in body.items() if value is not None}
    unknown = [name for name in given if name not in rules]
    if unknown and is_closed:
        raise invalid(f"Unknown parameter: '{unknown[0][:100]}'.", unknown[0][:100], "unknown_parameter")
    for name in required:
        if name not in given:
            raise missing(name)
    for name, value in given.items():
        if name in rules:
            check(name, value, rules[name])
    return given


def check(name: str, value: Any, rule: Rule) -> None:
    """Raise `Refusal` if the value of the field does not keep the rule."""
    wanted, types = _KINDS[rule.kind]
    if not isinstance(value, types) or (isinstance(value, bool) and rule.kind != "bool"):
        message = f"Invalid type for '{name}': expected {wanted}, but got {_kind(value)} instead."
        raise invalid(message, name, "invalid_type")
    if rule.one_of and value not in rule.one_of:
        raise unsupported(value, name, rule.one_of)
    if isinstance(value, list):
        _check_length(name, as_list(cast("Any", value)), rule)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        _check_range(name, value, rule)


def _check_range(name: str, value: float, rule: Rule) -> None:
    word = "integer" if rule.kind == "int" else "decimal"
    if rule.low is not None and value < rule.low:
        message = f"Invalid '{name}': {word} below minimum value. Expected a value >= {rule.low:g}, but got {value}."
        raise invalid(message, name, f"{word}_below_min_value")
    if rule.high is not None and value > rule.high:
        message = f"Invalid '{name}': {word} above maximum value. Expected a value <= {rule.high:g}, but got {value}."
        raise invalid(message, name, f"{word}_above_max_value")


def _check_length(name: str, items: list[Any], rule: Rule) -> None:
    if rule.low is not None and len(items) < rule.low:
        raise invalid(f"Invalid '{name}': empty array. Expected at least {rule.low:g} item.", name, "empty_array")
    if rule.high is not None and len(items) > rule.high:
        message = f"Invalid '{name}': array too long. Expected at most {rule.high:g} items, but got {len(items)}."
        raise invalid(message, name, "array_above_max_length")


def _kind(value: Any) -> str:
    match value:
        case bool():
            return "a boolean"
        case str():
            return "a string"
        case int():
            return "an integer"
        case float():
            return "a decimal"
        case list():
            return "an array"
        case None:
            return "null"
        case _:
            return "an object"


def check_strict_schema(schema: Any, *, where: str, param: str) -> None:
    """Raise `Refusal` if a strict schema has an object that is open, or a property that may be missing."""
    for part in _objects(schema):
        properties = part.get("properties")
        if part.get("additionalProperties") is not False:
            message = f"Invalid schema for {where}: 'additionalProperties' is required to be supplied and to be false."
            raise invalid(message, param, "invalid_json_schema")
        names = list(cast("dict[str, Any]", properties)) if isinstance(properties, dict) else []
        lacking = [name for name in names if name not in as_list(part.get("required"))]
        if lacking:
            message = (
                f"Invalid schema for {where}: 'required' must include every key in properties. Missing '{lacking[0]}'."
            )
            raise invalid(message, param, "invalid_json_schema")


def _objects(schema: Any) -> list[dict[str, Any]]:
    """Every schema of an object, at whatever depth; JSON that was decoded is not too deep for this."""
    found: list[dict[str, Any]] = []
    if isinstance(schema, dict):
        rules = cast("dict[str, Any]", schema)
        if rules.get("type") == "object" or "object" in as_list(rules.get("type")):
            found.append(rules)
        for word in ("properties", "$defs", "definitions"):
            inner = rules.get(word)
            for each in cast("dict[str, Any]", inner).values() if isinstance(inner, dict) else ():
                found += _objects(each)
        for each in (rules.get("items"), *as_list(rules.get("anyOf")), *as_list(rules.get("allOf"))):
            found += _objects(each)
    return found
