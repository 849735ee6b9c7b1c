"""Reads an order from a request of this format. Pure; which values a model takes is for the vendor to say."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from halley.kernel.faults import BadRequest
from halley.kernel.order import ImageInput, ImageOrder, ImageRole, Webhook
from halley.vendors.bfl.fields import KINDS, MODELS, WEBHOOK_FIELDS, WEBHOOK_URL_CHARACTERS_MAX, Kind
from halley.vendors.contract import Incoming

DIALECT_NAME = "flux"

ROLES: dict[str, ImageRole] = {
    "image": ImageRole.INPUT,
    "input_image": ImageRole.INPUT,
    **{f"input_image_{number}": ImageRole.INPUT for number in range(2, 9)},
    "image_prompt": ImageRole.REFERENCE,
    "mask": ImageRole.MASK,
    "control_image": ImageRole.CONTROL,
    "preprocessed_image": ImageRole.PREPROCESSED,
}
"""What each image of a request is for, in the order in which they are read and written."""

WORDS: dict[str, str] = {
    "width": "width",
    "height": "height",
    "aspect_ratio": "aspect_ratio",
    "seed": "seed",
    "steps": "steps",
    "guidance": "guidance",
    "image_prompt_strength": "image_strength",
    "output_format": "output_format",
    "safety_tolerance": "safety_tolerance",
    "prompt_upsampling": "prompt_upsampling",
    "raw": "raw",
    "finetune_id": "finetune_id",
    "finetune_strength": "finetune_strength",
}
"""Fields of a request and the names of the same in `ImageOrder`, where that is all there is to it."""

_ZERO_IS_UNSET = ("width", "height")
_INTEGERS_AS_FLOAT_MAX = 2.0**53
# No limits of the vendor: what can be reckoned with here, and stays a number in whichever program reads it next.
_BITS_OF_NUMBER = 31
_BITS_OF_SEED = 63
_QUICK_NUMBER_MAX = 2**_BITS_OF_NUMBER

_QUICK: dict[str, tuple[str, type]] = {
    "prompt": ("prompt", str),
    **{
        name: (word, {Kind.INTEGER: int, Kind.NUMBER: float, Kind.BOOLEAN: bool}.get(KINDS[name], str))
        for name, word in WORDS.items()
    },
}
"""What nearly all orders are made of: what each field is called in `ImageOrder`, and its type in Python."""
_NEEDY = frozenset(
    model
    for model, fields in MODELS.items()
    if any(field.required for name, field in fields.items() if name != "prompt")
)
"""Models that cannot do without more than a prompt."""


def read_order(incoming: Incoming) -> ImageOrder:
    """Read an order for the model that the path names. Raises `BadRequest` with the field named."""
    model, body = incoming.path_params["model"], incoming.body
    order = read_plain(model, body)
    return read_any(model, body) if order is None else order


def read_plain(model: str, body: dict[str, Any]) -> ImageOrder | None:
    """Read an order of a prompt and plain words at a third of the price; None is for `read_any`."""
    words: dict[str, Any] = {}
    for name, value in body.items():
        place = _QUICK.get(name)
        if place is None or type(value) is not place[1]:
            return None
        if place[1] is str:
            if not value and name != "prompt":
                return None
        elif place[1] is not bool and not 0 < value < _QUICK_NUMBER_MAX:
            # Nobody needs to ask here what 0 says, nor whether what is greater is a number still.
            return None
        words[place[0]] = value
    if "prompt" not in words or model in _NEEDY:
        return None
    return ImageOrder(dialect=DIALECT_NAME, model=model, body=body, **words)


def read_any(model: str, body: dict[str, Any]) -> ImageOrder:
    """Read an order whatever is in it. Raises `BadRequest`."""
    _check_types(body)
    given = {name: value for name, value in body.items() if is_set(name, value)}
    _check_required(model, given)
    return ImageOrder(
        dialect=DIALECT_NAME,
        model=model,
        body=body,
        prompt=given.get("prompt"),
        images=tuple(_images(given)),
        extras={name: value for name, value in given.items() if not _has_words(name)},
        webhook=_webhook(given),
        **_plain(given),
    )


def is_set(name: str, value: object) -> bool:
    """Whether a field says anything. Clients of this format send `""` for what they leave out, and 0 for no size."""
    if value is None or (value == "" and name != "prompt"):
        return False
    return not (name in _ZERO_IS_UNSET and value == 0)


def _has_words(name: str) -> bool:
    return name == "prompt" or name in ROLES or name in WORDS or name in WEBHOOK_FIELDS


def _plain(given: dict[str, Any]) -> dict[str, Any]:
    return {word: _as(KINDS[name], given[name]) for name, word in WORDS.items() if name in given}


def _as(kind: Kind, value: Any) -> Any:
    match kind:
        case Kind.INTEGER:
            return int(value)
        case Kind.NUMBER:
            return float(value)
        case _:
            return value


def _images(given: dict[str, Any]) -> Iterator[ImageInput]:
    for name, role in ROLES.items():
        if name in given:
            yield ImageInput(role=role, source=given[name], pointer=f"/{name}")


def _check_types(body: dict[str, Any]) -> None:
    for name, kind in KINDS.items():
        value = body.get(name)
        if value is not None and not _is(kind, value):
            message = f"`{name}` must be {kind}, not {_kind_of(value)}"
            raise BadRequest(message, param=name)
        if kind in (Kind.INTEGER, Kind.NUMBER) and value is not None:
            _check_bounds(name, value)


def _check_bounds(name: str, value: float) -> None:
    power = 2 ** (_BITS_OF_SEED if name == "seed" else _BITS_OF_NUMBER)
    if not -power <= value < power:
        message = f"`{name}` must be between {-power} and {power - 1}"
        raise BadRequest(message, param=name)


def _is(kind: Kind, value: object) -> bool:
    match kind:
        case Kind.TEXT | Kind.IMAGE:
            return isinstance(value, str)
        case Kind.BOOLEAN:
            return isinstance(value, bool)
        case Kind.NUMBER:
            return isinstance(value, int | float) and not isinstance(value, bool)
        case Kind.INTEGER:
            return _is_integer(value)


def _is_integer(value: object) -> bool:
    if isinstance(value, float):
        # 1024.0 is an integer in JSON; beyond 2^53 a float no longer says which one.
        return value.is_integer() and abs(value) <= _INTEGERS_AS_FLOAT_MAX
    return isinstance(value, int) and not isinstance(value, bool)


def _kind_of(value: object) -> str:
    match value:
        case bool():
            return "a boolean"
        case str():
            return "a string"
        case int() | float():
            return f"`{value}`"
        case list():
            return "an array"
        case _:
            return "an object"


def _check_required(model: str, given: dict[str, Any]) -> None:
    for name, field in MODELS.get(model, {}).items():
        if field.required and name not in given:
            raise _missing(name, f"the model `{model}` cannot do without")
    # The older models take an order that says nothing and draw something for the money; the published contract
    # of this format calls the prompt required, and with an image to start from it is not.
    if "prompt" not in given and not any(name in given for name in ROLES):
        raise _missing("prompt", "say what the image shall show")


def _missing(name: str, remedy: str) -> BadRequest:
    return BadRequest(f"`{name}` is required: {remedy}", param=name)


def _webhook(given: dict[str, Any]) -> Webhook | None:
    if "webhook_url" not in given:
        return None
    url = given["webhook_url"]
    if not _is_web_url(url):
        message = f"`webhook_url` must be an http(s) URL of at most {WEBHOOK_URL_CHARACTERS_MAX} characters"
        raise BadRequest(message, param="webhook_url")
    return Webhook(url=url, secret=given.get("webhook_secret"))


def _is_web_url(url: str) -> bool:
    if len(url) > WEBHOOK_URL_CHARACTERS_MAX or any(character.isspace() for character in url):
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
