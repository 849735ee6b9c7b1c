"""This format's older schemas (a part of OpenAPI 3.0) as JSON schema. Pure."""

from collections.abc import Callable, Mapping
from typing import Any

from halley.kernel.loose import as_list, as_object
from halley.wire.gemini.names import camel

Json = dict[str, Any]
_COUNTS = frozenset(
    ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"),
)

_OWN = frozenset(("nullable", "propertyOrdering"))
"""Words that JSON schema does not have; what they say is said otherwise."""
_COMPOUND = _COUNTS | {"anyOf", "prefixItems", "additionalProperties", "propertyOrdering"}


def json_schema(schema: Json) -> Json:
    """Give the same schema in full JSON schema. Depth is bounded by the JSON it came in."""
    written: Json = {}
    for given, value in schema.items():
        # These schemas are messages of the format itself, so their words may be in either spelling.
        name = camel(given) if camel(given) in _COMPOUND else given
        if value is None or name in _OWN:
            continue
        convert = _CONVERTED.get(name)
        written[name] = convert(value) if convert else value
    order = schema.get("propertyOrdering", schema.get("property_ordering"))
    if order and isinstance(written.get("properties"), dict):
        written["properties"] = _ordered(written["properties"], as_list(order))
    return _nullable(written) if schema.get("nullable") is True else written


def _ordered(properties: Json, order: list[Any]) -> Json:
    """Say in JSON schema's way which property comes first: by where it stands."""
    first = {name: properties[name] for name in order if isinstance(name, str) and name in properties}
    return {**first, **properties}


def _kind(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _count(value: Any) -> Any:
    # Google writes 64-bit numbers as text.
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def _each(value: Any) -> Any:
    return {name: json_schema(as_object(item)) for name, item in as_object(value).items()}


def _all(value: Any) -> Any:
    return [json_schema(as_object(item)) for item in as_list(value)]


def _one(value: Any) -> Any:
    return json_schema(as_object(value)) if isinstance(value, dict) else value


def _nullable(schema: Json) -> Json:
    kind = schema.get("type")
    if isinstance(kind, str):
        return {**schema, "type": [kind, "null"]}
    if "anyOf" in schema:
        return {**schema, "anyOf": [*schema["anyOf"], {"type": "null"}]}
    return schema


_CONVERTED: Mapping[str, Callable[[Any], Any]] = {
    "type": _kind,
    "properties": _each,
    "items": _one,
    "additionalProperties": _one,
    "anyOf": _all,
    "prefixItems": _all,
    **dict.fromkeys(_COUNTS, _count),
}
