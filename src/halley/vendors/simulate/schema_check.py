"""Whether a value conforms to a JSON schema: as much of the standard as is needed to choose between made values. Pure.

References are followed within the document only; a keyword that is not known allows everything.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, cast

from halley.kernel.loose import as_list, as_object, as_text
from halley.vendors.simulate.pattern import found_in

DEPTH_MAX = 40


def fits(value: object, schema: Any, root: Any, *, depth: int = 0) -> bool:
    """Whether the value conforms; `root` is the document that references point into."""
    if isinstance(schema, bool):
        return schema
    if depth > DEPTH_MAX:
        return False
    rules = resolved(as_object(schema), root)
    return all(
        check(value, rules, root, depth + 1) for check in (_type, _fixed, _number, _text, _array, _object, _combined)
    )


def resolved(schema: dict[str, Any], root: Any) -> dict[str, Any]:
    """The schema with its own reference followed; what stands beside the reference counts too."""
    for _ in range(DEPTH_MAX):
        pointer = schema.get("$ref")
        if not isinstance(pointer, str):
            return schema
        target = _pointed(pointer, root)
        beside = {name: rule for name, rule in schema.items() if name != "$ref"}
        is_clear = not set(beside) & set(target)
        schema = {**target, **beside} if is_clear else {"allOf": [target, beside]}
    return {}


def types_of(schema: Mapping[str, Any]) -> list[str]:
    """The types that are allowed, in small letters; an empty list for any."""
    given = schema.get("type")
    names = [given] if isinstance(given, str) else [name for name in as_list(given) if isinstance(name, str)]
    types = [name.lower() for name in names]
    return [*types, "null"] if types and schema.get("nullable") is True and "null" not in types else types


def same(first: object, second: object) -> bool:
    """Whether two JSON values are equal: 1 is 1.0, but not true."""
    return key_of(first) == key_of(second)


def key_of(value: object) -> object:
    """What can be hashed and is equal for equal JSON values."""
    match value:
        case bool():
            return ("boolean", value)
        case list():
            return ("array", tuple(key_of(item) for item in cast("list[object]", value)))
        case dict():
            members = cast("dict[str, object]", value)
            return ("object", frozenset((name, key_of(item)) for name, item in members.items()))
        case _:
            return value


def is_a(value: object, name: str) -> bool:
    """Whether the value is of that type; a type that is not known holds everything."""
    match name:
        case "null":
            return value is None
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return is_number(value) and float(cast("float", value)).is_integer()
        case "number":
            return is_number(value)
        case "string":
            return isinstance(value, str)
        case "array":
            return isinstance(value, list)
        case "object":
            return isinstance(value, dict)
        case _:
            return True


def is_number(value: object) -> bool:
    """Whether it is a number; a boolean is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_multiple(value: float, step: float) -> bool:
    """Whether it is a whole number of steps."""
    if isinstance(value, int) and isinstance(step, int):
        return value % step == 0
    quotient = value / step
    return math.isfinite(quotient) and quotient == int(quotient)


def _pointed(pointer: str, root: Any) -> dict[str, Any]:
    if not pointer.startswith("#"):
        return {}
    at: Any = root
    for part in pointer.removeprefix("#").split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(at, list):
            items = cast("list[Any]", at)
            at = items[int(name)] if name.isdecimal() and int(name) < len(items) else None
        else:
            at = as_object(at).get(name)
    return {"not": {}} if at is False else as_object(at)


def _type(value: object, rules: dict[str, Any], _root: Any, _depth: int) -> bool:
    types = types_of(rules)
    return not types or any(is_a(value, name) for name in types)


def _fixed(value: object, rules: dict[str, Any], _root: Any, _depth: int) -> bool:
    if "const" in rules and not same(value, rules["const"]):
        return False
    allowed = rules.get("enum")
    return not isinstance(allowed, list) or any(same(value, each) for each in as_list(rules["enum"]))


def _number(value: object, rules: dict[str, Any], _root: Any, _depth: int) -> bool:
    if not is_number(value):
        return True
    number = cast("float", value)  # just looked at
    checks: dict[str, Callable[[float], bool]] = {
        "minimum": lambda limit: number >= limit,
        "maximum": lambda limit: number <= limit,
        "exclusiveMinimum": lambda limit: number > limit,
        "exclusiveMaximum": lambda limit: number < limit,
        "multipleOf": lambda step: not step or is_multiple(number, step),
    }
    return all(check(rules[name]) for name, check in checks.items() if is_number(rules.get(name)))


def _text(value: object, rules: dict[str, Any], _root: Any, _depth: int) -> bool:
    if not isinstance(value, str):
        return True
    if not _within(len(value), rules, "minLength", "maxLength"):
        return False
    pattern = as_text(rules.get("pattern"))
    return not pattern or found_in(pattern, value)


def _array(value: object, rules: dict[str, Any], root: Any, depth: int) -> bool:
    if not isinstance(value, list):
        return True
    items = cast("list[object]", value)
    if not _within(len(items), rules, "minItems", "maxItems"):
        return False
    if rules.get("uniqueItems") is True and len({key_of(item) for item in items}) < len(items):
        return False
    head = as_list(rules.get("prefixItems"))
    if not all(fits(item, rule, root, depth=depth) for item, rule in zip(items, head, strict=False)):
        return False
    if "items" in rules and not all(fits(item, rules["items"], root, depth=depth) for item in items[len(head) :]):
        return False
    return "contains" not in rules or any(fits(item, rules["contains"], root, depth=depth) for item in items)


def _object(value: object, rules: dict[str, Any], root: Any, depth: int) -> bool:
    if not isinstance(value, dict):
        return True
    members = cast("dict[str, object]", value)  # JSON's names are strings
    if not _within(len(members), rules, "minProperties", "maxProperties"):
        return False
    if not all(name in members for name in as_list(rules.get("required"))):
        return False
    for name, needed in as_object(rules.get("dependentRequired")).items():
        if name in members and not all(other in members for other in as_list(needed)):
            return False
    names = rules.get("propertyNames", True)
    return all(
        fits(name, names, root, depth=depth)
        and all(fits(item, rule, root, depth=depth) for rule in rules_of_member(name, rules))
        for name, item in members.items()
    )


def rules_of_member(name: str, rules: Mapping[str, Any]) -> list[Any]:
    """Every schema that a member of that name must conform to."""
    properties = as_object(rules.get("properties"))
    found = [properties[name]] if name in properties else []
    patterns = as_object(rules.get("patternProperties"))
    found += [rule for pattern, rule in patterns.items() if found_in(pattern, name)]
    if not found and "additionalProperties" in rules:
        found = [rules["additionalProperties"]]
    return found


def _combined(value: object, rules: dict[str, Any], root: Any, depth: int) -> bool:
    def fit(schema: Any) -> bool:
        return fits(value, schema, root, depth=depth)

    if not all(fit(each) for each in as_list(rules.get("allOf"))):
        return False
    if rules.get("anyOf") and not any(fit(each) for each in as_list(rules["anyOf"])):
        return False
    if rules.get("oneOf") and sum(fit(each) for each in as_list(rules["oneOf"])) != 1:
        return False
    if "not" in rules and fit(rules["not"]):
        return False
    return "if" not in rules or fit(rules.get("then" if fit(rules["if"]) else "else", True))


def _within(size: int, rules: Mapping[str, Any], least: str, most: str) -> bool:
    low, high = rules.get(least), rules.get(most)
    return (not is_number(low) or size >= cast("int", low)) and (not is_number(high) or size <= cast("int", high))
