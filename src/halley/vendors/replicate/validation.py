"""The simulator's check of an order: what the vendor's JSON schemas refuse, in the words of its validator."""

from typing import Any

from halley.kernel.loose import as_list, as_object
from halley.vendors.contract import WebhookEvent
from halley.vendors.replicate.models import Input, Model

Complaint = tuple[str, str]
"""(field, what is wrong with it)."""

ENVELOPE = ("input", "webhook", "webhook_events_filter", "stream")
_JSON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
}
_EVENTS = [event.value for event in WebhookEvent]


def envelope_complaints(body: dict[str, Any], *, with_version: bool) -> list[Complaint]:
    """What is wrong with the order around its input."""
    allowed = (*ENVELOPE, "version") if with_version else ENVELOPE
    required = ("version", "input") if with_version else ("input",)
    found = [("", f"{name} is required") for name in required if name not in body]
    found += [("", f"Additional property {name} is not allowed") for name in body if name not in allowed]
    types = {"input": "object", "webhook": "string", "webhook_events_filter": "array", "stream": "boolean"}
    for name, kind in {**types, "version": "string"}.items():
        if name in body and name in allowed:
            found += _type_complaints(name, body[name], kind)
    for index, event in enumerate(as_list(body.get("webhook_events_filter"))):
        if event not in _EVENTS:
            found.append(_not_one_of(f"webhook_events_filter.{index}", _EVENTS))
    return found


def input_complaints(given: dict[str, Any], model: Model) -> list[Complaint]:
    """What is wrong with the input of this model; fields that it does not have are ignored, as the vendor does."""
    found: list[Complaint] = [("input", f"{name} is required") for name in model.required if given.get(name) is None]
    for name, rule in model.inputs.items():
        value = as_object(given).get(name)
        if value is not None:
            found += _field_complaints(f"input.{name}", value, rule)
    return found


def _field_complaints(field: str, value: Any, rule: Input) -> list[Complaint]:
    wrong = _type_complaints(field, value, rule.type)
    if wrong:
        return wrong
    if isinstance(value, str):
        return _text_complaints(field, value, rule)
    return [] if isinstance(value, bool) else _number_complaints(field, value, rule)


def _text_complaints(field: str, value: str, rule: Input) -> list[Complaint]:
    if rule.choices and value not in rule.choices:
        return [_not_one_of(field, list(rule.choices))]
    if rule.is_file and not value.startswith(("http://", "https://", "data:")):
        return [(field, "Does not match format 'uri'")]
    return []


def _number_complaints(field: str, value: float, rule: Input) -> list[Complaint]:
    if rule.minimum is not None and value < rule.minimum:
        return [(field, f"Must be greater than or equal to {rule.minimum:g}")]
    if rule.maximum is not None and value > rule.maximum:
        return [(field, f"Must be less than or equal to {rule.maximum:g}")]
    if rule.multiple_of is not None and value % rule.multiple_of:
        return [(field, f"Must be a multiple of {rule.multiple_of}")]
    return []


def _type_complaints(field: str, value: Any, kind: str) -> list[Complaint]:
    is_right = isinstance(value, _JSON_TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))
    return [] if is_right else [(field, f"Invalid type. Expected: {kind}, given: {_type_of(value)}")]


def _type_of(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else "boolean"
    return next((name for name, kinds in _JSON_TYPES.items() if isinstance(value, kinds)), "unknown")


def _not_one_of(field: str, allowed: list[str]) -> Complaint:
    listed = ", ".join(f'"{word}"' for word in allowed)
    return field, f"{field.rpartition('.')[2]} must be one of the following: {listed}"
