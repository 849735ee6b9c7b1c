"""The models that this vendor runs for us, as data: what each takes, what it makes, and at which sizes.

One table serves four readers: encoding an order, version lookups, the simulator's validation and its drawing.
"""

import functools
import hashlib
import re
from collections.abc import Mapping
from typing import Literal

import msgspec

from halley.kernel.pointer import get

Size = tuple[int, int]


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """One input field, in the words of the JSON schema that the vendor publishes for a model."""

    type: Literal["string", "integer", "number", "boolean"]
    default: str | int | float | bool | None = None
    minimum: float | None = None
    maximum: float | None = None
    multiple_of: int | None = None
    choices: tuple[str, ...] = ()
    is_file: bool = False


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """One model."""

    id: str
    """Our public id."""
    name: str
    """The vendor's, `owner/name`."""
    inputs: Mapping[str, Input]
    required: tuple[str, ...] = ("prompt",)
    is_array: bool = False
    """Whether its output is an array of URIs rather than one."""
    sizes: Mapping[str, Size]
    """Output size by aspect ratio."""

    @property
    def version(self) -> str:
        """Our version digest: official models have none of their own, and clients want one to look up."""
        return hashlib.sha256(f"halley:{self.name}".encode()).hexdigest()


# https://github.com/replicate/cog-flux/blob/main/predict.py, ASPECT_RATIOS
ONE_MEGAPIXEL: dict[str, Size] = {
    "1:1": (1024, 1024),
    "16:9": (1344, 768),
    "21:9": (1536, 640),
    "3:2": (1216, 832),
    "2:3": (832, 1216),
    "4:5": (896, 1088),
    "5:4": (1088, 896),
    "3:4": (896, 1152),
    "4:3": (1152, 896),
    "9:16": (768, 1344),
    "9:21": (640, 1536),
}
_PRO_RATIOS = ("1:1", "16:9", "3:2", "2:3", "4:5", "5:4", "9:16", "3:4", "4:3")
_PRO: dict[str, Size] = {ratio: ONE_MEGAPIXEL[ratio] for ratio in _PRO_RATIOS}
# Four megapixels, sides upwards to a multiple of 32; 16:9, 21:9 and 4:3 were seen so.
_ULTRA: dict[str, Size] = {
    "1:1": (2048, 2048),
    "16:9": (2752, 1536),
    "21:9": (3136, 1344),
    "3:2": (2528, 1696),
    "2:3": (1696, 2528),
    "4:5": (1856, 2304),
    "5:4": (2304, 1856),
    "3:4": (1792, 2368),
    "4:3": (2368, 1792),
    "9:16": (1536, 2752),
    "9:21": (1344, 3136),
}
# The sizes that Kontext was trained on.
_KONTEXT: dict[str, Size] = {
    "1:1": (1024, 1024),
    "16:9": (1392, 752),
    "9:16": (752, 1392),
    "4:3": (1184, 880),
    "3:4": (880, 1184),
    "3:2": (1248, 832),
    "2:3": (832, 1248),
    "4:5": (944, 1104),
    "5:4": (1104, 944),
    "21:9": (1568, 672),
    "9:21": (672, 1568),
    "2:1": (1456, 720),
    "1:2": (720, 1456),
}
MATCH_INPUT = "match_input_image"
CUSTOM = "custom"

_TEXT = Input(type="string")
_FILE = Input(type="string", is_file=True)
_SEED = Input(type="integer")
_NO = Input(type="boolean", default=False)
_YES = Input(type="boolean", default=True)
_SIDE = Input(type="integer", minimum=256, maximum=1440, multiple_of=32)
_QUALITY = Input(type="integer", default=80, minimum=0, maximum=100)
_TOLERANCE = Input(type="integer", default=2, minimum=1, maximum=6)
_TOLERANCE_FROM_0 = Input(type="integer", default=2, minimum=0, maximum=6)
_WEBP_FIRST = Input(type="string", default="webp", choices=("webp", "jpg", "png"))
_JPG_FIRST = Input(type="string", default="jpg", choices=("jpg", "png"))
_PNG_FIRST = Input(type="string", default="png", choices=("jpg", "png"))


def _choice(default: str, *groups: tuple[str, ...]) -> Input:
    return Input(type="string", default=default, choices=tuple(word for group in groups for word in group))


_OPEN: dict[str, Input] = {
    "prompt": _TEXT,
    "aspect_ratio": _choice("1:1", tuple(ONE_MEGAPIXEL)),
    "num_outputs": Input(type="integer", default=1, minimum=1, maximum=4),
    "seed": _SEED,
    "output_format": _WEBP_FIRST,
    "output_quality": _QUALITY,
    "disable_safety_checker": _NO,
    "go_fast": _YES,
    "megapixels": _choice("1", ("1", "0.25")),
}
_PRO_INPUTS: dict[str, Input] = {
    "prompt": _TEXT,
    "image_prompt": _FILE,
    "aspect_ratio": _choice("1:1", (CUSTOM,), _PRO_RATIOS),
    "width": _SIDE,
    "height": _SIDE,
    "safety_tolerance": _TOLERANCE,
    "seed": _SEED,
    "prompt_upsampling": _NO,
    "output_format": _WEBP_FIRST,
    "output_quality": _QUALITY,
}
_ULTRA_INPUTS: dict[str, Input] = {
    "prompt": _TEXT,
    "raw": _NO,
    "aspect_ratio": _choice("1:1", tuple(_ULTRA)),
    "image_prompt": _FILE,
    "image_prompt_strength": Input(type="number", default=0.1, minimum=0, maximum=1),
    "safety_tolerance": _TOLERANCE,
    "seed": _SEED,
    "output_format": _JPG_FIRST,
}
_KONTEXT_INPUTS: dict[str, Input] = {
    "prompt": _TEXT,
    "input_image": _FILE,
    "aspect_ratio": _choice(MATCH_INPUT, (MATCH_INPUT,), tuple(_KONTEXT)),
    "output_format": _PNG_FIRST,
    "safety_tolerance": _TOLERANCE_FROM_0,
    "seed": _SEED,
    "prompt_upsampling": _NO,
}

OWNER = "black-forest-labs"
MODELS: tuple[Model, ...] = (
    Model(
        id="flux-schnell",
        name=f"{OWNER}/flux-schnell",
        inputs={**_OPEN, "num_inference_steps": Input(type="integer", default=4, minimum=1, maximum=4)},
        is_array=True,
        sizes=ONE_MEGAPIXEL,
    ),
    Model(
        id="flux-dev",
        name=f"{OWNER}/flux-dev",
        inputs={
            **_OPEN,
            "image": _FILE,
            "prompt_strength": Input(type="number", default=0.8, minimum=0, maximum=1),
            "guidance": Input(type="number", default=3, minimum=0, maximum=10),
            "num_inference_steps": Input(type="integer", default=28, minimum=1, maximum=50),
        },
        is_array=True,
        sizes=ONE_MEGAPIXEL,
    ),
    Model(
        id="flux-pro",
        name=f"{OWNER}/flux-pro",
        inputs={
            **_PRO_INPUTS,
            "steps": Input(type="integer", default=25, minimum=1, maximum=50),
            "guidance": Input(type="number", default=3, minimum=2, maximum=5),
            "interval": Input(type="number", default=2, minimum=1, maximum=4),
        },
        sizes=_PRO,
    ),
    Model(id="flux-pro-1.1", name=f"{OWNER}/flux-1.1-pro", inputs=_PRO_INPUTS, sizes=_PRO),
    Model(id="flux-pro-1.1-ultra", name=f"{OWNER}/flux-1.1-pro-ultra", inputs=_ULTRA_INPUTS, sizes=_ULTRA),
    Model(
        id="flux-pro-1.1-ultra-finetuned",
        name=f"{OWNER}/flux-1.1-pro-ultra-finetuned",
        inputs={
            **_ULTRA_INPUTS,
            "finetune_id": _TEXT,
            "finetune_strength": Input(type="number", default=1, minimum=0, maximum=2),
        },
        required=("prompt", "finetune_id"),
        sizes=_ULTRA,
    ),
    Model(id="flux-kontext-pro", name=f"{OWNER}/flux-kontext-pro", inputs=_KONTEXT_INPUTS, sizes=_KONTEXT),
    Model(id="flux-kontext-max", name=f"{OWNER}/flux-kontext-max", inputs=_KONTEXT_INPUTS, sizes=_KONTEXT),
)

BY_NAME: dict[str, Model] = {model.name: model for model in MODELS}
BY_ID: dict[str, Model] = {model.id: model for model in MODELS}
DIGEST = re.compile(r"[0-9a-f]{64}")


@functools.cache
def by_version() -> dict[str, Model]:
    """Models by our version digest."""
    return {model.version: model for model in MODELS}


def output_size(model: Model, given: Mapping[str, object], matched: Size | None = None) -> Size:
    """The size that the model makes for a valid input; `matched` is the size of the input image, if there is one."""
    ratio = given.get("aspect_ratio") or model.inputs["aspect_ratio"].default
    if ratio == CUSTOM:
        width, height = given.get("width") or 1024, given.get("height") or 1024
        assert isinstance(width, int)
        assert isinstance(height, int)
        return width, height
    if ratio == MATCH_INPUT:
        return _nearest(model, matched) if matched else model.sizes["1:1"]
    width, height = model.sizes[str(ratio)]
    return (width // 2, height // 2) if get(given, "/megapixels") == "0.25" else (width, height)


def _nearest(model: Model, size: Size) -> Size:
    ratio = size[0] / size[1]
    return min(model.sizes.values(), key=lambda known: abs(known[0] / known[1] - ratio))
