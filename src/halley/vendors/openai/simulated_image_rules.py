"""What each family of image models takes: sizes, qualities, and how many tokens a picture is. Pure."""

import re
from typing import Any

import msgspec

from halley.vendors.openai.simulated_errors import invalid, unsupported

SIDE_MIN, SIDE_MAX = 64, 3_840
PIXELS_MAX = 9_000_000
USUAL = (1_024, 1_024)
TILE_SIDE = 512
TILE_TOKENS, BASE_TOKENS = 129, 65
QUALITIES = ("low", "medium", "high", "auto")
_TOKENS = {"low": 272, "medium": 1_056, "high": 4_160}
_SIZE = re.compile(r"([1-9][0-9]{1,4})x([1-9][0-9]{1,4})")


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """A family of models."""

    sizes: tuple[str, ...] = ()
    """Empty: any."""
    qualities: tuple[str, ...] = ()
    has_links: bool = True
    """Whether it answers links unless asked otherwise."""
    has_usage: bool = False
    revises: bool = False
    count_max: int = 10
    is_gpt: bool = False

    def check(self, given: dict[str, Any]) -> None:
        """Raise `Refusal` for what this family does not take."""
        if given.get("n", 1) > self.count_max:
            message = (
                f"Invalid 'n': integer above maximum value. Expected a value <= {self.count_max}, but got {given['n']}."
            )
            raise invalid(message, "n", "integer_above_max_value")
        if self.qualities and given.get("quality", self.qualities[0]) not in self.qualities:
            raise unsupported(given["quality"], "quality", self.qualities)
        strange = [name for name in _NOT_OF_GPT if name in given] if self.is_gpt else []
        strange += [name for name in _GPT_ONLY if name in given] if self.qualities and not self.is_gpt else []
        if strange:
            raise invalid(f"Unknown parameter: '{strange[0]}'.", strange[0], "unknown_parameter")
        if given.get("background") == "transparent" and given.get("output_format") == "jpeg":
            message = "Transparent background is not supported for 'jpeg'; use 'png' or 'webp'."
            raise invalid(message, "background", "invalid_value")
        if given.get("partial_images") and given.get("stream") is not True:
            raise invalid(
                "'partial_images' is only allowed when 'stream' is enabled.", "partial_images", "invalid_value"
            )
        if given.get("stream") is True and self.qualities and not self.is_gpt:
            raise invalid("Streaming is not supported by this model.", "stream", "unsupported_value")


_NOT_OF_GPT = ("response_format", "style")
_GPT_ONLY = ("background", "output_format", "output_compression", "moderation", "partial_images", "input_fidelity")
_SQUARES = ("256x256", "512x512", "1024x1024")
_GPT_SIZES = ("1024x1024", "1024x1536", "1536x1024", "auto")
_DALLE_2 = Family(sizes=_SQUARES, qualities=("standard",))
_DALLE_3 = Family(
    sizes=("1024x1024", "1024x1792", "1792x1024"), qualities=("standard", "hd"), revises=True, count_max=1
)
_GPT = Family(sizes=_GPT_SIZES, qualities=QUALITIES, has_links=False, has_usage=True, is_gpt=True)
_GPT_ANY_SIZE = msgspec.structs.replace(_GPT, sizes=())
_OTHER = Family()


def family_of(model: str) -> Family:
    """The family of a model; a name of none takes everything, as vendors do that conform to this one."""
    name = model.rpartition("/")[2]
    if name.startswith("dall-e-3"):
        return _DALLE_3
    if name.startswith("dall-e"):
        return _DALLE_2
    if name.startswith("gpt-image-2"):
        return _GPT_ANY_SIZE
    return _GPT if name.startswith(("gpt-image", "chatgpt-image")) else _OTHER


def size_of(given: str | None, family: Family) -> tuple[int, int]:
    """Width and height that are asked for. Raises `Refusal`."""
    if given is None or (given == "auto" and (not family.sizes or "auto" in family.sizes)):
        return USUAL
    if family.sizes and given not in family.sizes:
        raise unsupported(given, "size", family.sizes)
    found = _SIZE.fullmatch(given)
    if found is None:
        raise invalid(f"Invalid value: '{given[:40]}'. Expected WIDTHxHEIGHT or 'auto'.", "size", "invalid_value")
    width, height = int(found[1]), int(found[2])
    if not SIDE_MIN <= min(width, height) <= max(width, height) <= SIDE_MAX or width * height > PIXELS_MAX:
        message = f"Invalid size '{given}': sides must be from {SIDE_MIN} to {SIDE_MAX} pixels."
        raise invalid(message, "size", "invalid_value")
    return width, height


def output_tokens(size: tuple[int, int], quality: str | None) -> int:
    """How many tokens a made picture is: of a square megapixel by quality, of others by their pixels."""
    share = size[0] * size[1] / (USUAL[0] * USUAL[1])
    return round(_TOKENS.get(quality or "", _TOKENS["medium"]) * share)


def input_tokens(size: tuple[int, int]) -> int:
    """How many tokens a picture is that was sent, by tiles."""
    scale = min(1.0, USUAL[0] / max(size))
    across, down = (max(1, -(-round(side * scale) // TILE_SIDE)) for side in size)
    return BASE_TOKENS + TILE_TOKENS * across * down
