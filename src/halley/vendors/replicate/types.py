"""The shapes of this format's bodies: for reading requests and for the API reference."""

from typing import Any, Literal

import msgspec

Event = Literal["start", "output", "logs", "completed"]


class ImageModelInput(msgspec.Struct, frozen=True, kw_only=True):
    """What image models of this format take; which of it counts depends on the model. More fields are forwarded."""

    prompt: str | None = None
    aspect_ratio: str | None = None
    width: int | None = None
    height: int | None = None
    megapixels: str | None = None
    num_outputs: int | None = None
    seed: int | None = None
    num_inference_steps: int | None = None
    steps: int | None = None
    guidance: float | None = None
    output_format: str | None = None
    output_quality: int | None = None
    safety_tolerance: int | None = None
    prompt_upsampling: bool | None = None
    raw: bool | None = None
    image: str | None = None
    input_image: str | None = None
    input_images: list[str] | None = None
    image_prompt: str | None = None
    image_prompt_strength: float | None = None
    control_image: str | None = None
    mask: str | None = None
    finetune_id: str | None = None
    finetune_strength: float | None = None
    go_fast: bool | None = None
    disable_safety_checker: bool | None = None
    prompt_strength: float | None = None
    interval: float | None = None


class PredictionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """An order for a model that the path names."""

    input: ImageModelInput
    webhook: str | None = None
    """An http(s) URL that is told how the prediction goes."""
    webhook_events_filter: list[Event] | None = None
    stream: bool | None = None
    """Deprecated, ignored."""


class VersionPredictionRequest(PredictionRequest, frozen=True, kw_only=True):
    """An order for a model that the body names."""

    version: str | None = None
    """`owner/name`, `owner/name:version` or a version's 64 hexadecimal digits."""
    model: str | None = None
    """`owner/name`, instead of `version`."""


class PredictionUrls(msgspec.Struct, frozen=True, kw_only=True):
    """Where to go on with a prediction."""

    get: str
    cancel: str
    web: str


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """A prediction."""

    id: str
    model: str
    version: str
    """`hidden` for official models."""
    input: dict[str, Any]
    output: str | list[str] | None
    logs: str
    error: str | None
    status: Literal["starting", "processing", "succeeded", "failed", "canceled"]
    source: Literal["api"]
    data_removed: bool
    created_at: str
    started_at: str | None = None
    completed_at: str | None = None
    metrics: dict[str, Any] | None = None
    urls: PredictionUrls
    webhook: str | None = None
    webhook_events_filter: list[Event] | None = None


class PredictionPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of predictions, newest first."""

    next: str | None
    previous: str | None
    results: list[Prediction]


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a model."""

    id: str
    created_at: str
    cog_version: str
    openapi_schema: dict[str, Any]


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A model."""

    url: str
    owner: str
    name: str
    description: str
    visibility: Literal["public"]
    is_official: bool
    run_count: int
    github_url: str | None
    paper_url: str | None
    license_url: str | None
    cover_image_url: str | None
    default_example: dict[str, Any] | None
    latest_version: Version | None


class ModelPage(msgspec.Struct, frozen=True, kw_only=True):
    """Models."""

    next: str | None
    previous: str | None
    results: list[Model]


class VersionPage(msgspec.Struct, frozen=True, kw_only=True):
    """Versions of a model."""

    next: str | None
    previous: str | None
    results: list[Version]


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """Who the key belongs to."""

    type: Literal["organization", "user"]
    username: str
    name: str
    github_url: str | None


class FileUrls(msgspec.Struct, frozen=True, kw_only=True):
    """Where a file is."""

    get: str


class File(msgspec.Struct, frozen=True, kw_only=True):
    """An uploaded file."""

    id: str
    name: str
    content_type: str
    size: int
    etag: str
    checksums: dict[str, str]
    metadata: dict[str, Any]
    created_at: str
    expires_at: str
    urls: FileUrls


class FilePage(msgspec.Struct, frozen=True, kw_only=True):
    """Uploaded files."""

    next: str | None
    previous: str | None
    results: list[File]


class WebhookSecret(msgspec.Struct, frozen=True, kw_only=True):
    """The secret that signs this project's webhooks in the key's mode."""

    key: str
