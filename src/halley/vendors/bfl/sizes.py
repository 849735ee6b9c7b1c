"""How large the simulator makes an image: as asked, or as the images that came with the order. Pure."""

import math
import re
from collections.abc import Mapping
from typing import Any

from halley.vendors.bfl.fields import Fields

Size = tuple[int, int]

SIDE_MIN = 64
SIDE_MAX = 4096
MEGAPIXEL = 1024 * 1024
ULTRA_PIXELS = 4 * MEGAPIXEL
FLUX_2_PIXELS_MAX = 4 * MEGAPIXEL
WIDEST = 21 / 9
_ROUND_SCALE = 8
_ROUND_SCALE_ERROR_MAX = 0.03
_DEFAULT = (1024, 1024)
_RATIO = re.compile(r"([1-9][0-9]{0,3}):([1-9][0-9]{0,3})")


class BadSize(ValueError):
    """No image of that size is made; `field` says which part of the order asks for it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def output_size(asked: Mapping[str, Any], fields: Fields, images: Mapping[str, Size]) -> Size:
    """Width and height of the output, from the order with its defaults and its images. Raises `BadSize`."""
    if "top" in fields:
        return _expanded(asked, images["image"])
    if "image" in fields:
        return _drawable(images["image"])
    if "control_image" in fields:
        return _drawable(images.get("control_image") or images.get("preprocessed_image") or _DEFAULT)
    if "aspect_ratio" in fields:
        pixels = MEGAPIXEL if "input_image" in fields else ULTRA_PIXELS
        ratio = asked.get("aspect_ratio")
        return _size_of_ratio(ratio, pixels) if ratio else _scaled(images.get("input_image", _DEFAULT), pixels)
    return _asked_size(asked, images.get("input_image", _DEFAULT))


def _expanded(asked: Mapping[str, Any], image: Size) -> Size:
    width = image[0] + int(asked.get("left") or 0) + int(asked.get("right") or 0)
    height = image[1] + int(asked.get("top") or 0) + int(asked.get("bottom") or 0)
    if max(width, height) > SIDE_MAX:
        raise BadSize("image", f"The expanded image would be {width} x {height}; at most {SIDE_MAX} pixels a side")
    return _drawable((width, height))


def _asked_size(asked: Mapping[str, Any], image: Size) -> Size:
    usual = image if image[0] * image[1] <= FLUX_2_PIXELS_MAX else _scaled(image, FLUX_2_PIXELS_MAX)
    sides = [int(asked.get(name) or side) for name, side in zip(("width", "height"), usual, strict=True)]
    for name, side in zip(("width", "height"), sides, strict=True):
        if asked.get(name) and side > SIDE_MAX:
            raise BadSize(name, f"Input should be less than or equal to {SIDE_MAX}")
    return _drawable((sides[0], sides[1]))


def _size_of_ratio(text: str, pixels: int) -> Size:
    """About so many pixels in exactly this ratio; sides in multiples of eight if that costs little."""
    found = _RATIO.fullmatch(text)
    if found is None:
        raise BadSize("aspect_ratio", f"Invalid aspect ratio '{text[:40]}', expected 'width:height'")
    wide, high = int(found[1]), int(found[2])
    if max(wide, high) > WIDEST * min(wide, high):
        raise BadSize("aspect_ratio", f"Aspect ratio '{text}' must be between 21:9 and 9:21")
    common = math.gcd(wide, high)
    wide, high = wide // common, high // common
    scale = max(1, round(math.sqrt(pixels / (wide * high))))
    rounded = round(scale / _ROUND_SCALE) * _ROUND_SCALE
    if abs(rounded - scale) <= scale * _ROUND_SCALE_ERROR_MAX:
        scale = rounded
    return _drawable((wide * scale, high * scale))


def _scaled(size: Size, pixels: int) -> Size:
    """The same ratio at about so many pixels, sides in multiples of eight."""
    factor = math.sqrt(pixels / (size[0] * size[1]))
    wide, high = (round(side * factor / _ROUND_SCALE) * _ROUND_SCALE for side in size)
    return _drawable((wide, high))


def _drawable(size: Size) -> Size:
    return min(SIDE_MAX, max(SIDE_MIN, size[0])), min(SIDE_MAX, max(SIDE_MIN, size[1]))
