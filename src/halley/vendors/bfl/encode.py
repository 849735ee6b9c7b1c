"""Writes an order as a request to the vendor: untouched where it came in this format, else in the words a model has.

Pure. What the model has no word for is refused with `NotConveyed`, so that another channel may be asked.
"""

import math
import re
from decimal import Decimal
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from halley.kernel.faults import NotConveyed
from halley.kernel.order import ImageInput, ImageOrder, ImageRole, callers_name
from halley.vendors.bfl.fields import KINDS, MODELS, WEBHOOK_FIELDS, Fields, Kind
from halley.vendors.bfl.wire import DIALECT_NAME, ROLES, WORDS
from halley.vendors.contract import VendorCall

SIDE_STEP = 32
SIDE_MIN = 256
SIDE_MAX = 1440
FREE_SIDE_MAX = 4096
"""For models that name no greatest side."""
PIXELS_OF_MEGAPIXEL = 1024 * 1024
AREA_LEAST, AREA_MOST = 0.8, 1.2
"""How far from the asked number of pixels a size may be, for the sake of its ratio."""
RATIO_ERROR_MAX = 0.05

_PATHS_REMEMBERED_MAX = 1_024
MATCH_INPUT = "match_input_image"
_DATA_URL = re.compile(r"data:[^,;]{0,128}(?:;[^,;]{1,128})*;base64,", re.IGNORECASE)
_IMAGES = frozenset(name for name, kind in KINDS.items() if kind is Kind.IMAGE)
_RATIO = re.compile(r"([1-9][0-9]{0,3}):([1-9][0-9]{0,3})")
_MEGAPIXELS = re.compile(r"[0-9]{1,2}(?:\.[0-9]{1,4})?")


def write_order(order: ImageOrder, vendor_model: str) -> VendorCall:
    """Write the call that places an order. Raises `NotConveyed`."""
    body = _passed_through(order) if order.dialect == DIALECT_NAME else _encoded(order, vendor_model)
    return VendorCall(method="POST", url=_path(vendor_model), json=body)


@lru_cache(_PATHS_REMEMBERED_MAX)
def _path(vendor_model: str) -> str:
    return f"/v1/{quote(vendor_model, safe='')}"


def _passed_through(order: ImageOrder) -> dict[str, Any]:
    """The caller's own body; this gateway tells the caller's webhook itself, and `""` would be refused as too short."""
    return {
        name: bare_base64(value) if name in _IMAGES and isinstance(value, str) else value
        for name, value in order.body.items()
        if name not in WEBHOOK_FIELDS and (value != "" or name == "prompt")
    }


def bare_base64(source: str) -> str:
    """Cut the head off a data URL: the vendor takes base64 alone. A URL or bare base64 stays as it is."""
    head = _DATA_URL.match(source)
    return source[head.end() :] if head else source


def _encoded(order: ImageOrder, vendor_model: str) -> dict[str, Any]:
    fields = MODELS.get(vendor_model)
    if fields is None:
        message = f"The fields of `{order.model}` are not known here; order it in the `{DIALECT_NAME}` format"
        raise NotConveyed(message, param="model")
    for name in order.extras:
        raise _not_conveyed(order, name)
    if order.count not in (None, 1):
        raise _not_conveyed(order, "count")
    if order.output_quality is not None:
        raise _not_conveyed(order, "output_quality")
    body: dict[str, Any] = {} if order.prompt is None else {"prompt": order.prompt}
    body |= _encoded_images(order, fields)
    body |= _encoded_words(order, fields)
    body |= _encoded_size(order, fields)
    return body


def _encoded_words(order: ImageOrder, fields: Fields) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for name, word in WORDS.items():
        value = getattr(order, word)
        if value is None or word in ("width", "height", "aspect_ratio"):
            continue
        if name not in fields or (fields[name].choices and value not in fields[name].choices):
            raise _not_conveyed(order, word)
        body[name] = value
    return body


def _encoded_images(order: ImageOrder, fields: Fields) -> dict[str, str]:
    body: dict[str, str] = {}
    for image in order.images:
        places = [name for name in _places(image.role) if name in fields and name not in body]
        if not places:
            raise _image_not_conveyed(image)
        body[places[0]] = bare_base64(image.source)
    return body


def _places(role: ImageRole) -> list[str]:
    return [name for name, each in ROLES.items() if each is role]


def _encoded_size(order: ImageOrder, fields: Fields) -> dict[str, Any]:
    sides = {name: side for name, side in (("width", order.width), ("height", order.height)) if side is not None}
    ratio = order.aspect_ratio
    if ratio == MATCH_INPUT:
        ratio = _matched_by_silence(order, fields)
    for name in sides:
        if name not in fields or ratio is not None or order.megapixels is not None:
            raise _not_conveyed(order, name)
    if "aspect_ratio" in fields:
        if order.megapixels is not None:
            raise _not_conveyed(order, "megapixels")
        return {} if ratio is None else {"aspect_ratio": ratio}
    if ratio is None and order.megapixels is None:
        return sides
    if "width" not in fields:
        raise _not_conveyed(order, "aspect_ratio" if ratio else "megapixels")
    return _size_for(order, ratio or "1:1", fields)


def _matched_by_silence(order: ImageOrder, fields: Fields) -> None:
    """Where a model edits an image, the output has that one's ratio or size unless another is asked for."""
    if "input_image" not in fields and ("width" in fields or "aspect_ratio" in fields):
        raise _not_conveyed(order, "aspect_ratio")


def _size_for(order: ImageOrder, ratio: str, fields: Fields) -> dict[str, Any]:
    found = _RATIO.fullmatch(ratio)
    if found is None:
        raise _not_conveyed(order, "aspect_ratio")
    size = size_of(
        int(found[1]) / int(found[2]), _pixels(order), side_max=int(fields["width"].maximum or FREE_SIDE_MAX)
    )
    if size is None:
        raise _not_conveyed(order, "aspect_ratio")
    return {"width": size[0], "height": size[1]}


def _pixels(order: ImageOrder) -> float:
    text = "1" if order.megapixels is None else order.megapixels
    if not _MEGAPIXELS.fullmatch(text) or not Decimal(text):
        raise _not_conveyed(order, "megapixels")
    return float(text) * PIXELS_OF_MEGAPIXEL


def size_of(ratio: float, pixels: float, *, side_max: int = SIDE_MAX) -> tuple[int, int] | None:
    """Width and height in steps of 32, about so many pixels, that come nearest to a ratio; None if none comes near."""
    sides = range(SIDE_MIN, side_max + 1, SIDE_STEP)
    candidates = [
        (width, height)
        for width in sides
        for height in _heights_near(width / ratio)
        if SIDE_MIN <= height <= side_max and AREA_LEAST <= width * height / pixels <= AREA_MOST
    ]
    if not candidates:
        return None
    best = min(candidates, key=lambda size: (_error(size, ratio), abs(size[0] * size[1] - pixels)))
    return best if _error(best, ratio) <= RATIO_ERROR_MAX else None


def _heights_near(height: float) -> tuple[int, int]:
    below = int(height // SIDE_STEP) * SIDE_STEP
    return below, below + SIDE_STEP


def _error(size: tuple[int, int], ratio: float) -> float:
    return round(abs(math.log(size[0] / size[1] / ratio)), 9)


def _not_conveyed(order: ImageOrder, word: str) -> NotConveyed:
    name = callers_name(order, word)
    return NotConveyed(f"`{name}` cannot be conveyed to this model; leave it out", param=name)


def _image_not_conveyed(image: ImageInput) -> NotConveyed:
    name = image.pointer.strip("/").replace("/", ".")
    return NotConveyed(f"`{name}`: this model takes no such image, or not as many; leave it out", param=name)
