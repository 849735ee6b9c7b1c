"""Reads an order from a request of this format, with complaints in the vendor's own words."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import msgspec

from halley.kernel.faults import BadRequest
from halley.kernel.loose import as_list, as_object
from halley.kernel.order import IMAGES_MAX, ImageInput, ImageOrder, ImageRole, Webhook
from halley.vendors.contract import Incoming, WebhookEvent
from halley.vendors.replicate.models import BY_NAME, CUSTOM, DIGEST, OWNER, by_version
from halley.vendors.replicate.types import ImageModelInput

DIALECT_NAME = "replicate"
BAD_VERSION = "The specified version does not exist (or perhaps you don't have permission to use it?)"
WAIT_S_MAX = 60
URL_CHARACTERS_MAX = 2_083

_FIELDS = ("input", "webhook", "webhook_events_filter", "stream")
_EVENTS = tuple(event.value for event in WebhookEvent)
_WAIT = re.compile(r"wait(?:=([0-9]{1,3}))?")
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,127}/[A-Za-z0-9][\w.-]{0,127}")

_IMAGES = (
    ("image", ImageRole.INPUT),
    ("input_image", ImageRole.INPUT),
    ("image_prompt", ImageRole.REFERENCE),
    ("control_image", ImageRole.CONTROL),
    ("mask", ImageRole.MASK),
)
_FORMATS = {"jpg": "jpeg"}
_COUNTS = ("num_outputs", "number_of_images", "max_images", "num_images", "n")
"""What models call the number of pictures, e.g. https://replicate.com/openai/gpt-image-1 the second."""
# What an `ImageOrder` has words for; every other input field goes to `extras`.
_KNOWN = frozenset(
    (
        *("prompt", "aspect_ratio", "width", "height", "megapixels", "num_outputs", "seed", "num_inference_steps"),
        *("steps", "guidance", "output_format", "output_quality", "safety_tolerance", "prompt_upsampling", "raw"),
        *("image_prompt_strength", "finetune_id", "finetune_strength", "input_images"),
        *(name for name, _ in _IMAGES),
    )
)

_BITS_OF_NUMBER = 31
_BITS_OF_SEED = 63
_TYPE_AT = re.compile(r"Expected `([^`]*)`.* - at `\$\.(\w+)")
_TYPES = {"int": "integer", "float": "number", "str": "string", "bool": "boolean", "array": "array"}


def read_order(incoming: Incoming) -> ImageOrder:
    """Read an order for a model that the path or the body names. Raises `BadRequest`."""
    body = incoming.body
    model = _model_of_path(incoming) or _model_of_body(body)
    given = _input(body, model)
    fields = _typed(given)
    return ImageOrder(
        dialect=DIALECT_NAME,
        model=model,
        body=body,
        prompt=fields.prompt,
        images=tuple(_images(given)),
        width=fields.width,
        height=fields.height,
        aspect_ratio=None if fields.aspect_ratio == CUSTOM else fields.aspect_ratio,
        megapixels=fields.megapixels,
        count=_count(given),
        seed=fields.seed,
        steps=fields.steps if fields.num_inference_steps is None else fields.num_inference_steps,
        guidance=fields.guidance,
        image_strength=fields.image_prompt_strength,
        output_format=_FORMATS.get(fields.output_format or "", fields.output_format),
        output_quality=fields.output_quality,
        safety_tolerance=fields.safety_tolerance,
        prompt_upsampling=fields.prompt_upsampling,
        raw=fields.raw,
        finetune_id=fields.finetune_id,
        finetune_strength=fields.finetune_strength,
        extras={name: value for name, value in given.items() if name not in _KNOWN and value is not None},
        extras_at="/input",
        webhook=_webhook(body),
        wait_s=_wait_s(incoming.headers.get("prefer")),
    )


def _model_of_path(incoming: Incoming) -> str | None:
    owner, name = incoming.path_params.get("owner"), incoming.path_params.get("name")
    if owner is None or name is None:
        return None
    _refuse_unknown(incoming.body, _FIELDS)
    return f"{owner}/{name}"


def _model_of_body(body: dict[str, Any]) -> str:
    _refuse_unknown(body, (*_FIELDS, "version", "model"))
    version, model = body.get("version"), body.get("model")
    if version is None and model is None:
        message = "version is required"
        raise BadRequest(message, param="version")
    if version is not None and model is not None:
        message = "Additional property model is not allowed"
        raise BadRequest(message, param="model")
    if version is not None:
        return _model_of_version(_string(version, "version"))
    name = _string(model, "model")
    if not _NAME.fullmatch(name):
        message = "model must be of the form owner/name"
        raise BadRequest(message, param="model")
    return name


def _model_of_version(version: str) -> str:
    name, _, digest = version.rpartition(":")
    if _NAME.fullmatch(version):
        return version
    known = by_version().get(digest)
    if not DIGEST.fullmatch(digest) or known is None or (name and name != known.name):
        raise BadRequest(BAD_VERSION, param="version")
    return known.name


def _refuse_unknown(body: dict[str, Any], allowed: tuple[str, ...]) -> None:
    for name in body:
        if name not in allowed:
            message = f"Additional property {name[:100]} is not allowed"
            raise BadRequest(message, param=name[:100])


def _input(body: dict[str, Any], model: str) -> dict[str, Any]:
    given = body.get("input")
    if given is None:
        message = "input is required"
        raise BadRequest(message, param="input")
    if not isinstance(given, dict):
        raise BadRequest(_wrong_type("object", given), param="input")
    fields = as_object(given)
    known = BY_NAME.get(model)
    needed = known.required if known else ("prompt",) if model.startswith(f"{OWNER}/") else ()
    for name in needed:
        if fields.get(name) is None:
            message = f"{name} is required"
            raise BadRequest(message, param=f"input.{name}")
    return fields


def _typed(given: dict[str, Any]) -> ImageModelInput:
    for name in ImageModelInput.__struct_fields__:
        _check_bounds(name, given.get(name))
    try:
        return msgspec.convert(given, ImageModelInput)
    except msgspec.ValidationError as error:
        raise _bad_field(given, str(error)) from error


def _check_bounds(name: str, value: object) -> None:
    """No limits of the vendor: what can be reckoned with here, and stays a number in whichever program reads it."""
    if not isinstance(value, int | float):
        return
    power = 2 ** (_BITS_OF_SEED if name == "seed" else _BITS_OF_NUMBER)
    if value < -power:
        message = f"Must be greater than or equal to {-power}"
        raise BadRequest(message, param=f"input.{name}")
    if value >= power:
        message = f"Must be less than or equal to {power - 1}"
        raise BadRequest(message, param=f"input.{name}")


def _bad_field(given: dict[str, Any], text: str) -> BadRequest:
    found = _TYPE_AT.search(text)
    if found is None:
        return BadRequest(f"Invalid input: {text[:300]}", param="input")
    expected, name = found[1].split(" | ")[0], found[2]
    return BadRequest(_wrong_type(_TYPES.get(expected, expected), given.get(name)), param=f"input.{name}")


def _wrong_type(expected: str, value: object) -> str:
    return f"Invalid type. Expected: {expected}, given: {_type_name(value)}"


def _type_name(value: object) -> str:
    names: dict[type, str] = {
        dict: "object",
        list: "array",
        str: "string",
        bool: "boolean",
        int: "integer",
        float: "number",
    }
    return "null" if value is None else names.get(type(value), "unknown")


def _count(given: dict[str, Any]) -> int | None:
    """The most that a field says, or None: how many a model makes by itself is its own affair."""
    said = [(name, int(given[name])) for name in _COUNTS if _is_whole(given.get(name))]
    for name, count in said:
        if count < 1:
            message = "Must be greater than or equal to 1"
            raise BadRequest(message, param=f"input.{name}")
        if count > IMAGES_MAX:
            message = f"Must be less than or equal to {IMAGES_MAX}"
            raise BadRequest(message, param=f"input.{name}")
    return max((count for _, count in said), default=None)


def _is_whole(value: object) -> bool:
    """Whether JSON Schema calls it an integer: also `4.0`."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value % 1 == 0


def _images(given: dict[str, Any]) -> Iterator[ImageInput]:
    for name, role in _IMAGES:
        if given.get(name):
            yield ImageInput(role=role, source=given[name], pointer=f"/input/{name}")
    for index, source in enumerate(given.get("input_images") or ()):
        yield ImageInput(role=ImageRole.INPUT, source=source, pointer=f"/input/input_images/{index}")


def _webhook(body: dict[str, Any]) -> Webhook | None:
    events = _events(body.get("webhook_events_filter"))
    if body.get("webhook") is None:
        return None
    url = _string(body["webhook"], "webhook")
    if not _is_web_url(url):
        message = "webhook must be a valid HTTPS URL"
        raise BadRequest(message, param="webhook")
    return Webhook(url=url, events=events)


def _events(given: Any) -> tuple[str, ...]:
    if given is None:
        return ()
    if not isinstance(given, list):
        raise BadRequest(_wrong_type("array", given), param="webhook_events_filter")
    events = as_list(given)
    for index, event in enumerate(events):
        if event not in _EVENTS:
            allowed = ", ".join(f'"{name}"' for name in _EVENTS)
            message = f"webhook_events_filter.{index} must be one of the following: {allowed}"
            raise BadRequest(message, param=f"webhook_events_filter.{index}")
    return tuple(dict.fromkeys(events))


def _is_web_url(url: str) -> bool:
    if len(url) > URL_CHARACTERS_MAX or any(character.isspace() for character in url):
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _wait_s(prefer: str | None) -> float | None:
    if prefer is None or not prefer.strip():
        return None
    found = _WAIT.fullmatch(prefer.strip())
    seconds = WAIT_S_MAX if found is None or found[1] is None else int(found[1])
    if found is None or not 1 <= seconds <= WAIT_S_MAX:
        message = f"`Prefer: {prefer[:60]}` is not understood; send `wait` or `wait=n` with n from 1 to {WAIT_S_MAX}"
        raise BadRequest(message, param="Prefer")
    return float(seconds)


def _string(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise BadRequest(_wrong_type("string", value), param=name)
    return value
