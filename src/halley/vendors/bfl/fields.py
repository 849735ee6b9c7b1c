"""The request fields of every model, as data: the 2026-05 specification, and the 2025-10 pages for older models.

One table serves three readers: what an order must name, what an order can be conveyed in, and the simulator's checks.
Specification: https://api.bfl.ai/openapi.json
"""

from collections.abc import Mapping
from enum import StrEnum

import msgspec


class Kind(StrEnum):
    """What JSON type a field has; its value says it in words."""

    TEXT = "a string"
    IMAGE = "a string (an http(s) URL or base64)"
    INTEGER = "an integer"
    NUMBER = "a number"
    BOOLEAN = "a boolean"


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One field of a request."""

    kind: Kind
    required: bool = False
    nullable: bool = False
    default: str | int | float | bool | None = None
    minimum: float | None = None
    maximum: float | None = None
    multiple_of: int | None = None
    length_max: int | None = None
    choices: tuple[str, ...] = ()


Fields = Mapping[str, Field]

WEBHOOK_URL_CHARACTERS_MAX = 2_083
WEBHOOK_FIELDS = ("webhook_url", "webhook_secret")

_REQUIRED_TEXT = Field(kind=Kind.TEXT, required=True)
_TEXT = Field(kind=Kind.TEXT)
_TEXT_OR_NULL = Field(kind=Kind.TEXT, nullable=True)
_REQUIRED_IMAGE = Field(kind=Kind.IMAGE, required=True)
_IMAGE = Field(kind=Kind.IMAGE, nullable=True)
_OFF = Field(kind=Kind.BOOLEAN, default=False)
_OFF_OR_NULL = Field(kind=Kind.BOOLEAN, default=False, nullable=True)
_MARGIN = Field(kind=Kind.INTEGER, nullable=True, default=0, minimum=0, maximum=2048)
_TOLERANCE = Field(kind=Kind.INTEGER, default=2, minimum=0, maximum=6)
_STRICTER_TOLERANCE = Field(kind=Kind.INTEGER, default=2, minimum=0, maximum=5)
_FREE_SIDE = Field(kind=Kind.INTEGER, nullable=True, default=0, minimum=64)
_WIDE_RATIO = Field(kind=Kind.TEXT, default="16:9")
_STRENGTH = Field(kind=Kind.NUMBER, default=0.1, minimum=0, maximum=1)


def _format(default: str, *choices: str) -> Field:
    return Field(kind=Kind.TEXT, nullable=True, default=default, choices=choices)


def _steps(default: int, least: int, *, nullable: bool = True) -> Field:
    return Field(kind=Kind.INTEGER, nullable=nullable, default=default, minimum=least, maximum=50)


def _guidance(default: float, least: float, most: float, *, nullable: bool = True) -> Field:
    return Field(kind=Kind.NUMBER, nullable=nullable, default=default, minimum=least, maximum=most)


def _input_images(count: int) -> dict[str, Field]:
    return {"input_image" if number == 1 else f"input_image_{number}": _IMAGE for number in range(1, count + 1)}


def _finetune(strength: float) -> dict[str, Field]:
    return {
        "finetune_id": _REQUIRED_TEXT,
        "finetune_strength": Field(kind=Kind.NUMBER, default=strength, minimum=0, maximum=2),
    }


_COMMON: dict[str, Field] = {
    "seed": Field(kind=Kind.INTEGER, nullable=True),
    "webhook_url": Field(kind=Kind.TEXT, nullable=True, length_max=WEBHOOK_URL_CHARACTERS_MAX),
    "webhook_secret": _TEXT_OR_NULL,
}
_ANY_FORMAT = _format("jpeg", "jpeg", "png", "webp")
_OLD_FORMAT = _format("jpeg", "jpeg", "png")
_SIZE = {
    "width": Field(kind=Kind.INTEGER, default=1024, minimum=256, maximum=1440, multiple_of=32),
    "height": Field(kind=Kind.INTEGER, default=768, minimum=256, maximum=1440, multiple_of=32),
}
_FREE_SIZE = {"width": _FREE_SIDE, "height": _FREE_SIDE}

_PRO_11: Fields = {
    "prompt": _TEXT_OR_NULL,
    "image_prompt": _IMAGE,
    **_SIZE,
    "prompt_upsampling": _OFF,
    "safety_tolerance": _TOLERANCE,
    "output_format": _ANY_FORMAT,
    **_COMMON,
}
_DEV: Fields = {**_PRO_11, "prompt": _TEXT, "steps": _steps(28, 1), "guidance": _guidance(3.0, 1.5, 5)}
_PRO: Fields = {
    **_PRO_11,
    "steps": _steps(40, 1),
    "guidance": _guidance(2.5, 1.5, 5),
    "interval": Field(kind=Kind.NUMBER, nullable=True, default=2, minimum=1, maximum=4),
    "output_format": _OLD_FORMAT,
}
_PRO_FINETUNED: Fields = {
    **_PRO_11,
    **_finetune(1.1),
    "prompt": _TEXT,
    "steps": _steps(40, 1, nullable=False),
    "guidance": _guidance(2.5, 1.5, 5, nullable=False),
    "output_format": Field(kind=Kind.TEXT, default="jpeg", choices=("jpeg", "png")),
    "seed": Field(kind=Kind.INTEGER),
}
_ULTRA_FINETUNED: Fields = {
    **_finetune(1.2),
    "prompt": _TEXT_OR_NULL,
    "prompt_upsampling": _OFF,
    "aspect_ratio": _WIDE_RATIO,
    "safety_tolerance": _TOLERANCE,
    "output_format": _ANY_FORMAT,
    "image_prompt": _IMAGE,
    "image_prompt_strength": _STRENGTH,
    **_COMMON,
}
_ULTRA: Fields = {
    **{name: field for name, field in _ULTRA_FINETUNED.items() if not name.startswith("finetune")},
    "raw": _OFF,
}
_FILL: Fields = {
    "image": _REQUIRED_IMAGE,
    "mask": _IMAGE,
    "prompt": _TEXT_OR_NULL,
    "steps": _steps(50, 15),
    "prompt_upsampling": _OFF_OR_NULL,
    "guidance": _guidance(60, 1.5, 100),
    "output_format": _ANY_FORMAT,
    "safety_tolerance": _TOLERANCE,
    **_COMMON,
}
_FILL_FINETUNED: Fields = {
    **_FILL,
    **_finetune(1.1),
    "prompt": _TEXT,
    "steps": _steps(50, 15, nullable=False),
    "prompt_upsampling": _OFF,
    "guidance": _guidance(60, 1.5, 100, nullable=False),
}
_EXPAND: Fields = {
    **{name: field for name, field in _FILL.items() if name != "mask"},
    **dict.fromkeys(("top", "bottom", "left", "right"), _MARGIN),
}
_DEPTH: Fields = {
    "prompt": _REQUIRED_TEXT,
    "control_image": _IMAGE,
    "preprocessed_image": _IMAGE,
    "prompt_upsampling": _OFF_OR_NULL,
    "steps": _steps(50, 15),
    "output_format": _OLD_FORMAT,
    "guidance": _guidance(15, 1, 100),
    "safety_tolerance": _TOLERANCE,
    **_COMMON,
}
_THRESHOLDS = {
    "canny_low_threshold": Field(kind=Kind.INTEGER, nullable=True, default=50, minimum=0, maximum=500),
    "canny_high_threshold": Field(kind=Kind.INTEGER, nullable=True, default=200, minimum=0, maximum=500),
}
_CANNY: Fields = {**_DEPTH, **_THRESHOLDS, "guidance": _guidance(30, 1, 100)}
_DEPTH_FINETUNED: Fields = {
    **{name: field for name, field in _DEPTH.items() if name != "preprocessed_image"},
    **_finetune(1.1),
    "control_image": _REQUIRED_IMAGE,
    "prompt_upsampling": _OFF,
    "steps": _steps(50, 15, nullable=False),
    "guidance": _guidance(15, 1, 100, nullable=False),
}
_CANNY_FINETUNED: Fields = {**_DEPTH_FINETUNED, **_THRESHOLDS, "guidance": _guidance(30, 1, 100, nullable=False)}
_KONTEXT: Fields = {
    "prompt": _REQUIRED_TEXT,
    **_input_images(4),
    "aspect_ratio": _TEXT_OR_NULL,
    "output_format": _format("png", "jpeg", "png", "webp"),
    "prompt_upsampling": _OFF,
    "safety_tolerance": _TOLERANCE,
    **_COMMON,
}
_FLUX_2: Fields = {
    "prompt": _REQUIRED_TEXT,
    **_input_images(8),
    **_FREE_SIZE,
    "safety_tolerance": _STRICTER_TOLERANCE,
    "output_format": _ANY_FORMAT,
    **_COMMON,
}
_KLEIN: Fields = {
    "prompt": _REQUIRED_TEXT,
    **_input_images(4),
    **_FREE_SIZE,
    "safety_tolerance": _STRICTER_TOLERANCE,
    "output_format": _ANY_FORMAT,
    **_COMMON,
}
_FLEX: Fields = {
    **_FLUX_2,
    "prompt_upsampling": Field(kind=Kind.BOOLEAN, nullable=True, default=True),
    "input_image_blob_path": _TEXT_OR_NULL,
    "guidance": _guidance(5.0, 1.5, 10),
    "steps": _steps(50, 1),
}

MODELS: Mapping[str, Fields] = {
    "flux-dev": _DEV,
    "flux-pro-1.1": _PRO_11,
    "flux-pro-1.1-ultra": _ULTRA,
    "flux-pro-1.0-fill": _FILL,
    "flux-pro-1.0-expand": _EXPAND,
    "flux-kontext-pro": _KONTEXT,
    "flux-kontext-max": _KONTEXT,
    "flux-2-max": _FLUX_2,
    "flux-2-pro": _FLUX_2,
    "flux-2-pro-preview": _FLUX_2,
    "flux-2-flex": _FLEX,
    "flux-2-klein-4b": _KLEIN,
    "flux-2-klein-9b": _KLEIN,
    "flux-2-klein-9b-preview": _KLEIN,
    "flux-pro-1.0-fill-finetuned": _FILL_FINETUNED,
    "flux-pro-1.1-ultra-finetuned": _ULTRA_FINETUNED,
    # Only in the 2025-10 pages:
    "flux-pro": _PRO,
    "flux-pro-finetuned": _PRO_FINETUNED,
    "flux-pro-1.0-canny": _CANNY,
    "flux-pro-1.0-canny-finetuned": _CANNY_FINETUNED,
    "flux-pro-1.0-depth": _DEPTH,
    "flux-pro-1.0-depth-finetuned": _DEPTH_FINETUNED,
}

KINDS: Mapping[str, Kind] = {name: field.kind for fields in MODELS.values() for name, field in fields.items()}
"""The type of each field, whichever model takes it."""
