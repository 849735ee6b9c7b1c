"""This format's older schemas (a part of OpenAPI 3.0) as JSON schema. Pure."""

from collections.abc import Callable, Mapping
from typing import Any

from halley.kernel.loose import as_list, as_object

Json = dict[str, Any]
_COUNTS = frozenset(
    ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"),
)


def json_schema(schema: Json) -> Json:
    """Give the same schema in full JSON schema. Depth is bounded by the JSON it came in."""
    written: Json = {}
    for name, value in schema.items():
        if value is None or name == "nullable":
            continue
        convert = _CONVERTED.get(name)
        written[name] = convert(value) if convert else value
    return _nullable(written) if schema.get("nullable") is True else written


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
