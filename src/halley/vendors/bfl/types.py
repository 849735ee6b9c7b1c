"""Bodies and replies of this format, for the API reference and for those who build them; nothing is enforced here."""

from typing import Any

import msgspec


class FluxBody(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an order may say: every field of every model. Which ones a model takes, the vendor decides."""

    prompt: str | None = None
    image_prompt: str | None = None
    image_prompt_strength: float | None = None
    input_image: str | None = None
    input_image_2: str | None = None
    input_image_3: str | None = None
    input_image_4: str | None = None
    input_image_5: str | None = None
    input_image_6: str | None = None
    input_image_7: str | None = None
    input_image_8: str | None = None
    input_image_blob_path: str | None = None
    image: str | None = None
    mask: str | None = None
    control_image: str | None = None
    preprocessed_image: str | None = None
    canny_low_threshold: int | None = None
    canny_high_threshold: int | None = None
    top: int | None = None
    bottom: int | None = None
    left: int | None = None
    right: int | None = None
    width: int | None = None
    height: int | None = None
    aspect_ratio: str | None = None
    seed: int | None = None
    steps: int | None = None
    guidance: float | None = None
    interval: float | None = None
    raw: bool | None = None
    prompt_upsampling: bool | None = None
    safety_tolerance: int | None = None
    output_format: str | None = None
    finetune_id: str | None = None
    finetune_strength: float | None = None
    webhook_url: str | None = None
    webhook_secret: str | None = None


class FluxAccepted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An order was taken. `status` and `webhook_url` are there for an order with a webhook."""

    id: str
    polling_url: str
    status: str | None = None
    webhook_url: str | None = None
    cost: float | None = None
    """Credits of one US cent."""
    input_mp: float | None = None
    output_mp: float | None = None


class FluxResult(msgspec.Struct, frozen=True, kw_only=True):
    """What was made. Times are seconds since 1970."""

    sample: str
    prompt: str | None = None
    seed: int | None = None
    start_time: float | None = None
    end_time: float | None = None
    duration: float | None = None


class FluxTask(msgspec.Struct, frozen=True, kw_only=True):
    """A task's state: `Pending`, `Ready`, `Request Moderated`, `Content Moderated`, `Error` or `Task not found`."""

    id: str
    status: str
    result: FluxResult | None = None
    progress: float | None = None
    details: dict[str, Any] | None = None
    preview: dict[str, Any] | None = None
    cost: float | None = None
