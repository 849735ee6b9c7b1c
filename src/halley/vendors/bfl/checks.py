"""The simulator's checks of a request, with complaints in the shape and words of the vendor's framework. Pure.

Shape: `HTTPValidationError` of the specification; wording: https://docs.pydantic.dev/latest/errors/validation_errors/
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from halley.vendors.bfl.fields import Field, Fields, Kind

_TYPES: dict[Kind, tuple[str, str]] = {
    Kind.TEXT: ("string_type", "Input should be a valid string"),
    Kind.IMAGE: ("string_type", "Input should be a valid string"),
    Kind.INTEGER: ("int_type", "Input should be a valid integer"),
    Kind.NUMBER: ("float_type", "Input should be a valid number"),
    Kind.BOOLEAN: ("bool_type", "Input should be a valid boolean"),
}
_ECHO_CHARACTERS_MAX = 100


def complaint(kind: str, place: tuple[str | int, ...], message: str, value: Any = None, **ctx: Any) -> dict[str, Any]:
    """One entry of a 422's `detail`."""
    echo = value[:_ECHO_CHARACTERS_MAX] if isinstance(value, str) else value
    entry: dict[str, Any] = {"type": kind, "loc": list(place), "msg": message, "input": echo}
    return entry | {"ctx": ctx} if ctx else entry


def complaints(body: dict[str, Any], fields: Fields) -> list[dict[str, Any]]:
    """All that is wrong with a body; fields that are not known are let pass, as the vendor does."""
    return [each for name, field in fields.items() for each in _of_field(name, field, body)]


def with_defaults(body: dict[str, Any], fields: Fields) -> dict[str, Any]:
    """The body with what was left out."""
    return {name: field.default for name, field in fields.items()} | {
        name: value for name, value in body.items() if value is not None or name not in fields
    }


def _of_field(name: str, field: Field, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    place = ("body", name)
    if name not in body:
        if field.required:
            yield complaint("missing", place, "Field required")
        return
    value = body[name]
    if value is None and field.nullable:
        return
    if not _has_type(field.kind, value):
        kind, message = _TYPES[field.kind]
        yield complaint(kind, place, message, value)
    elif isinstance(value, str):
        yield from _of_text(place, field, value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _of_number(place, field, value)


def _has_type(kind: Kind, value: Any) -> bool:
    match kind:
        case Kind.TEXT | Kind.IMAGE:
            return isinstance(value, str)
        case Kind.BOOLEAN:
            return isinstance(value, bool)
        case Kind.INTEGER:
            return not isinstance(value, bool) and (isinstance(value, int) or _is_whole(value))
        case Kind.NUMBER:
            return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, float) and value.is_integer()


def _of_text(place: tuple[str, str], field: Field, value: str) -> Iterator[dict[str, Any]]:
    if field.choices and value not in field.choices:
        quoted = [f"'{choice}'" for choice in field.choices]
        expected = f"{', '.join(quoted[:-1])} or {quoted[-1]}"
        yield complaint("enum", place, f"Input should be {expected}", value, expected=expected)
    if field.length_max is not None:
        yield from _of_url(place, field.length_max, value)


def _of_url(place: tuple[str, str], length_max: int, value: str) -> Iterator[dict[str, Any]]:
    if not value:
        error = "input is empty"
        yield complaint("url_parsing", place, f"Input should be a valid URL, {error}", value, error=error)
    elif len(value) > length_max:
        message = f"URL should have at most {length_max} characters"
        yield complaint("url_too_long", place, message, value, max_length=length_max)
    elif not _is_url(value):
        error = "relative URL without a base"
        yield complaint("url_parsing", place, f"Input should be a valid URL, {error}", value, error=error)


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _of_number(place: tuple[str, str], field: Field, value: float) -> Iterator[dict[str, Any]]:
    if field.minimum is not None and value < field.minimum:
        message = f"Input should be greater than or equal to {field.minimum:g}"
        yield complaint("greater_than_equal", place, message, value, ge=field.minimum)
    elif field.maximum is not None and value > field.maximum:
        message = f"Input should be less than or equal to {field.maximum:g}"
        yield complaint("less_than_equal", place, message, value, le=field.maximum)
    elif field.multiple_of is not None and value % field.multiple_of:
        message = f"Input should be a multiple of {field.multiple_of}"
        yield complaint("multiple_of", place, message, value, multiple_of=field.multiple_of)
