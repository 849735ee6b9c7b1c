"""Writes an order that came in another format as this vendor's input, or says which field cannot be conveyed."""

from typing import Any

from halley.kernel.faults import NotConveyed
from halley.kernel.order import ImageInput, ImageOrder, ImageRole, callers_name
from halley.vendors.replicate.models import BY_NAME, CUSTOM, Model

_IMAGE_FIELDS: dict[ImageRole, tuple[str, ...]] = {
    # `image` of flux-dev starts from the picture with a strength of its own, so it takes no plain input image.
    ImageRole.INPUT: ("input_image",),
    ImageRole.REFERENCE: ("image_prompt",),
    ImageRole.CONTROL: (),
    ImageRole.MASK: (),
    ImageRole.PREPROCESSED: (),
}
_PLAIN: dict[str, tuple[str, ...]] = {
    "prompt": ("prompt",),
    "seed": ("seed",),
    "steps": ("num_inference_steps", "steps"),
    "guidance": ("guidance",),
    "image_strength": ("image_prompt_strength",),
    "output_quality": ("output_quality",),
    "safety_tolerance": ("safety_tolerance",),
    "prompt_upsampling": ("prompt_upsampling",),
    "raw": ("raw",),
    "count": ("num_outputs",),
    "megapixels": ("megapixels",),
    "finetune_id": ("finetune_id",),
    "finetune_strength": ("finetune_strength",),
}
"""What an order has, and what the models call it."""
WRITTEN_FROM: dict[str, str] = {
    **{target: word for word, targets in _PLAIN.items() for target in targets},
    **{word: word for word in ("output_format", "aspect_ratio", "width", "height")},
    **{name: role for role, names in _IMAGE_FIELDS.items() for name in names},
}
"""Which part of an order each field was written from."""
_MEDIA_TYPES = (("iVBOR", "image/png"), ("/9j/", "image/jpeg"), ("UklGR", "image/webp"), ("R0lGOD", "image/gif"))
_FORMATS = {"jpeg": "jpg"}


def encode_input(order: ImageOrder, vendor_model: str) -> dict[str, Any]:
    """The model's `input`. Raises `NotConveyed` with the caller's field."""
    model = BY_NAME.get(vendor_model)
    if model is None:
        raise _refused(order, "model", f"the inputs of `{vendor_model[:100]}` are not known")
    for name in order.extras:
        raise _refused(order, name, "it has no counterpart in the format of the vendor")
    return {**_plain(order, model), **_format(order, model), **_size(order, model), **_images(order, model)}


def _plain(order: ImageOrder, model: Model) -> dict[str, Any]:
    """Fields that carry over as they are."""
    fields: dict[str, Any] = {}
    for word, targets in _PLAIN.items():
        value = getattr(order, word)
        target = next((target for target in targets if target in model.inputs), None)
        # What is switched off and does not exist is conveyed by silence; so is a count of one.
        if value is None or (value is False and target is None) or (word == "count" and value == 1):
            continue
        if target is None:
            raise _refused(order, word, f"`{model.id}` has no such field there")
        fields[target] = value
    _check_tolerance(order, model)
    return fields


def _check_tolerance(order: ImageOrder, model: Model) -> None:
    """The scale is the same, but for some models it begins at 1: 0 would be taken for an error."""
    rule = model.inputs.get("safety_tolerance")
    if rule is None or rule.minimum is None or order.safety_tolerance is None:
        return
    if order.safety_tolerance < rule.minimum:
        raise _refused(order, "safety_tolerance", f"the strictest value there is {rule.minimum:g}")


def _format(order: ImageOrder, model: Model) -> dict[str, Any]:
    choices = model.inputs["output_format"].choices
    if order.output_format is None:
        # The vendor would choose WebP for some models; callers of other formats know JPEG and PNG.
        return {"output_format": "jpg"} if model.inputs["output_format"].default == "webp" else {}
    word = _FORMATS.get(order.output_format, order.output_format)
    if word not in choices:
        raise _refused(order, "output_format", f"`{model.id}` makes {', '.join(choices)} there")
    return {"output_format": word}


def _size(order: ImageOrder, model: Model) -> dict[str, Any]:
    if order.width is not None or order.height is not None:
        return _exact_size(order, model)
    if order.aspect_ratio is None:
        return {}
    if order.aspect_ratio not in model.inputs["aspect_ratio"].choices or order.aspect_ratio == CUSTOM:
        raise _refused(order, "aspect_ratio", f"`{model.id}` knows no `{order.aspect_ratio[:20]}` there")
    return {"aspect_ratio": order.aspect_ratio}


def _exact_size(order: ImageOrder, model: Model) -> dict[str, Any]:
    if order.aspect_ratio is not None:
        raise _refused(order, "aspect_ratio", f"it cannot be given beside `{callers_name(order, 'width')}`")
    if order.width is None or order.height is None:
        missing = "width" if order.width is None else "height"
        raise _refused(order, "height" if missing == "width" else "width", f"it needs `{missing}` beside it")
    if CUSTOM in model.inputs["aspect_ratio"].choices:
        return {"aspect_ratio": CUSTOM, "width": order.width, "height": order.height}
    for ratio, size in model.sizes.items():
        if size == (order.width, order.height):
            return {"aspect_ratio": ratio}
    sizes = ", ".join(f"{width}x{height}" for width, height in model.sizes.values())
    raise _refused(order, "width", f"`{model.id}` makes these sizes there: {sizes}")


def _images(order: ImageOrder, model: Model) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for image in order.images:
        name = next((name for name in _IMAGE_FIELDS[image.role] if name in model.inputs and name not in fields), None)
        if name is None:
            field = image.pointer.strip("/").replace("/", ".")
            raise NotConveyed(f"`{field}` cannot be conveyed: `{model.id}` takes no such image there", param=field)
        fields[name] = as_url(image)
    return fields


def as_url(image: ImageInput) -> str:
    """An http(s) or data URL as it is; bare base64 as a data URL of the type that its first characters tell."""
    if image.source[:8].lower().startswith(("http://", "https://", "data:")):
        return image.source
    media = next((media for start, media in _MEDIA_TYPES if image.source.startswith(start)), "application/octet-stream")
    return f"data:{media};base64,{image.source}"


def _refused(order: ImageOrder, word: str, why: str) -> NotConveyed:
    name = callers_name(order, word)
    return NotConveyed(f"`{name}` cannot be conveyed: {why}", param=name)
