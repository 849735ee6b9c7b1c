"""OpenAI's image endpoints as a format of tasks: a picture of any vendor, ordered and waited for in one call. Pure."""

import re
from typing import Any

from halley.kernel import faults
from halley.kernel.clock import MICROSECONDS
from halley.kernel.faults import BadRequest, Fault
from halley.kernel.loose import as_list, as_object
from halley.kernel.order import FailureCode, ImageInput, ImageOrder, ImageRole
from halley.vendors.contract import Answer, Dialect, Incoming, TaskView, ViewState, WebhookEvent
from halley.wire.openai import errors

NAME = "openai"
WAIT_S = 300.0
"""As long as a caller's SDK waits, about: what is not ready by then goes on as a task."""
COUNT_MAX = 10
_SIZE = re.compile(r"([0-9]{2,5})x([0-9]{2,5})")
_FORMATS = {"png": "png", "jpeg": "jpeg", "webp": "webp"}
_HINTS = frozenset(("user", "model", "response_format", "stream"))
"""Change nothing in the picture, or are about how it is handed over."""
_UNSTREAMED = (None, "", False, "false")
"""A form has only texts."""
_HANDED_OVER = (None, "", "url", "b64_json")
_DEFAULTS = {
    "quality": ("auto", "standard"),
    "style": ("vivid",),
    "background": ("auto",),
    "moderation": ("auto",),
    "input_fidelity": ("low",),
    "partial_images": (0,),
}
"""Values that mean the same as saying nothing."""
_IMAGES = {"image": ImageRole.INPUT, "images": ImageRole.INPUT, "mask": ImageRole.MASK}
_READ = frozenset(("prompt", "n", "size", "seed", "aspect_ratio", "output_format", "output_compression", *_IMAGES))


def read_order(incoming: Incoming) -> ImageOrder:
    """Read an order. Raises `BadRequest` with the field named."""
    body = incoming.body
    prompt = _text(body, "prompt")
    if not prompt:
        raise BadRequest("`prompt` is missing; say what to draw", param="prompt")
    if body.get("stream") not in _UNSTREAMED:
        raise BadRequest("`stream` is not offered for this model; leave it out", param="stream")
    if body.get("response_format") not in _HANDED_OVER:
        raise BadRequest("`response_format` must be `url` or `b64_json`", param="response_format")
    width, height = _size(body)
    output_format = _text(body, "output_format")
    if output_format is not None and output_format not in _FORMATS:
        raise BadRequest("`output_format` must be `png`, `jpeg` or `webp`", param="output_format")
    return ImageOrder(
        dialect=NAME,
        model=_text(body, "model") or "",
        body=body,
        prompt=prompt,
        images=tuple(image for name in _IMAGES for image in _images(name, body.get(name))),
        width=width,
        height=height,
        aspect_ratio=_text(body, "aspect_ratio"),
        count=_number(body, "n", 1, COUNT_MAX) or 1,
        seed=_number(body, "seed", 0, 2**63 - 1),
        output_format=output_format,
        output_quality=_number(body, "output_compression", 0, 100),
        extras={name: value for name, value in body.items() if _is_extra(name, value)},
        wait_s=WAIT_S,
    )


def render_task(view: TaskView) -> Answer:
    """Show the pictures. Raises the fault that says why there are none."""
    if view.state is ViewState.SUCCEEDED and view.assets and not view.outputs_expired:
        created = (view.ended_at or view.created_at) // MICROSECONDS
        return Answer(status=200, body={"created": created, "data": [{"url": asset.url} for asset in view.assets]})
    raise _fault(view)


def render_missing(asked: str, request_id: str) -> Answer:
    """No such task for this caller."""
    return render_fault(faults.NotFound(f"There is no task `{asked[:100]}`", param="id"), request_id)


def render_fault(fault: Fault, request_id: str) -> Answer:
    """Show a fault in OpenAI's shape."""
    status, body = errors.render_fault(fault, request_id)
    return Answer(status=status, body=body)


def render_event(view: TaskView, event: WebhookEvent) -> dict[str, Any]:
    """What a webhook would be told; this format orders none."""
    return {"type": f"image.{event}", "id": view.id, "state": view.state}


def _sign(_secret: str, _id: str, _seconds: int, _body: bytes) -> dict[str, str]:
    return {}


def _fault(view: TaskView) -> Fault:
    if not view.ended:
        message = (
            f"The picture is not ready yet; do not order it again. It goes on as task `{view.id}`:"
            f" `GET /v1/tasks/{view.id}` shows it, and it is charged once it is ready"
        )
        return faults.PictureNotReady(message)
    failure = view.failure
    if failure is None:
        return faults.NotFound("The picture was cancelled, or is no longer kept; order it again")
    if failure.code in (FailureCode.REQUEST_MODERATED, FailureCode.CONTENT_MODERATED):
        return faults.Moderated(failure.message)
    return faults.VendorBroken(failure.message)


def _images(name: str, given: object) -> list[ImageInput]:
    if isinstance(given, list):
        return [_image(name, one, f"/{name}/{place}") for place, one in enumerate(as_list(given))]
    return [] if given is None else [_image(name, given, f"/{name}")]


def _image(name: str, given: object, pointer: str) -> ImageInput:
    """Read one picture: a text, or an object as the JSON form of edits has it."""
    if isinstance(given, dict):
        given, pointer = as_object(given).get("image_url"), f"{pointer}/image_url"
    if not isinstance(given, str) or not given:
        message = f"`{name}` must be a picture: a file in a form; in JSON a URL, base64 or an object with `image_url`"
        raise BadRequest(message, param=name)
    return ImageInput(role=_IMAGES[name], source=given, pointer=pointer)


def _size(body: dict[str, Any]) -> tuple[int | None, int | None]:
    size = _text(body, "size")
    if size in (None, "auto"):
        return None, None
    match = _SIZE.fullmatch(size)
    if match is None:
        raise BadRequest("`size` must be `auto` or width x height in pixels, e.g. `1024x768`", param="size")
    return int(match[1]), int(match[2])


def _is_extra(name: str, value: Any) -> bool:
    return value not in (None, "") and name not in _HINTS | _READ and value not in _DEFAULTS.get(name, ())


def _text(body: dict[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise BadRequest(f"`{name}` must be a string", param=name)
    return value


def _number(body: dict[str, Any], name: str, low: int, high: int) -> int | None:
    value = body.get(name)
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)  # a form has only texts
    if value is None or value == "":
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise BadRequest(f"`{name}` must be a whole number from {low} to {high}", param=name)
    return value


DIALECT = Dialect(
    name=NAME,
    title="OpenAI",
    docs="https://platform.openai.com/docs/api-reference/images",
    # The routes are those of the answers: which model is asked decides who draws.
    routes=(),
    read_order=read_order,
    render_accepted=render_task,
    render_task=render_task,
    render_missing=render_missing,
    render_fault=render_fault,
    render_event=render_event,
    sign_event=_sign,
)
