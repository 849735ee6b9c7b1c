"""`/v1/images/*` of the simulated vendor: real pictures of the asked size, with links or in the reply, or streamed."""

import base64
from collections.abc import Mapping
from typing import Any, Literal, cast

import msgspec

from halley.kernel.codec import encode
from halley.kernel.loose import as_list, as_object, as_text
from halley.kernel.sse import frame
from halley.vendors.openai.simulated_call import BLOCKED, SERVER_ERROR, Call, model_of, served
from halley.vendors.openai.simulated_errors import invalid, missing, problem
from halley.vendors.openai.simulated_fields import Rule, check_fields
from halley.vendors.openai.simulated_image_rules import Family, family_of, input_tokens, output_tokens, size_of
from halley.vendors.openai.simulated_pictures import Pictures, Sketch
from halley.vendors.simulate import (
    TASK_ONLY,
    BadImage,
    Directive,
    Outcome,
    OutsideError,
    Router,
    SimulatorHost,
    count,
    read_source,
    without_marker,
)
from halley.vendors.simulate.forms import Form, read_form

IMAGES_MAX = 16
QUALITY_USUAL = 88
NO_MEANING = (TASK_ONLY - {Outcome.EXPIRED_LINK}) | {
    Outcome.TOOL_CALL,
    Outcome.REFUSAL,
    Outcome.LENGTH,
    Outcome.REASONING,
}
_FIELDS: Mapping[str, Rule] = {
    "model": Rule("str"),
    "prompt": Rule("str"),
    "n": Rule("int", 1, 10),
    "size": Rule("str"),
    "quality": Rule("str"),
    "style": Rule("str", one_of=("vivid", "natural")),
    "response_format": Rule("str", one_of=("url", "b64_json")),
    "background": Rule("str", one_of=("transparent", "opaque", "auto")),
    "output_format": Rule("str", one_of=("png", "jpeg", "webp")),
    "output_compression": Rule("int", 0, 100),
    "moderation": Rule("str", one_of=("low", "auto")),
    "input_fidelity": Rule("str", one_of=("high", "low")),
    "partial_images": Rule("int", 0, 3),
    "stream": Rule("bool"),
    "user": Rule("str"),
}
_BLOCKED_BY_GPT = problem(
    400,
    "Your request was rejected by the safety system.",
    code="moderation_blocked",
    kind="image_generation_user_error",
)
_NUMBERS = ("n", "output_compression", "partial_images")


class _Order(msgspec.Struct, frozen=True, kw_only=True):
    kind: Literal["generation", "edit"]
    given: dict[str, Any]
    family: Family
    sketch: Sketch
    inputs: tuple[bytes, ...]
    input_tokens: dict[str, int]
    directive: Directive


class _Inputs(msgspec.Struct, frozen=True, kw_only=True):
    thumbnails: tuple[bytes, ...] = ()
    sizes: tuple[tuple[int, int], ...] = ()
    mask_at: int | None = None


def add_routes(router: Router, host: SimulatorHost, pictures: Pictures) -> None:
    """Serve `/v1/images/*`."""
    images = _Images(pictures)
    router.add("POST", "/v1/images/generations", served(host, images.generate))
    router.add("POST", "/v1/images/edits", served(host, images.edit))
    router.add("POST", "/v1/images/variations", served(host, images.vary))


class _Images:
    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures

    async def generate(self, call: Call) -> None:
        """Draw from a prompt."""
        body = await call.body()
        await self._make(call, body, _Inputs(), kind="generation", otherwise="dall-e-2")

    async def edit(self, call: Call) -> None:
        """Draw from a prompt and pictures, which can be seen in what is drawn."""
        body, sources, mask = await _edit_body(call)
        if not sources:
            raise missing("image")
        if len(sources) > IMAGES_MAX:
            raise invalid(f"Invalid 'image': at most {IMAGES_MAX} images.", "image", "array_above_max_length")
        await self._make(call, body, await _looked_at(call, sources, mask), kind="edit", otherwise="dall-e-2")

    async def vary(self, call: Call) -> None:
        """Draw once more what was sent."""
        body, sources, _ = await _edit_body(call)
        if len(sources) != 1:
            raise missing("image")
        body = {"prompt": "A variation", **body}
        await self._make(call, body, await _looked_at(call, sources, None), kind="edit", otherwise="dall-e-2")

    async def _make(
        self, call: Call, body: dict[str, Any], inputs: _Inputs, *, kind: Literal["generation", "edit"], otherwise: str
    ) -> None:
        order = _order(call, body, inputs, kind=kind, otherwise=otherwise)
        if order.given.get("stream") is True:
            await self._stream(call, order)
        elif order.family.has_links and order.given.get("response_format", "url") == "url":
            links = self._pictures.keep(call, order.sketch, order.directive, order.inputs)
            await call.answer(_reply(call, order, [{"url": link} for link in links]), order.directive)
        else:
            drawn = [await self._drawn(order, place) for place in range(order.sketch.count)]
            await call.answer(_reply(call, order, [{"b64_json": data} for data in drawn]), order.directive)

    async def _drawn(self, order: _Order, place: int) -> str:
        return base64.b64encode(await self._pictures.draw(order.sketch, order.inputs, place=place)).decode()

    async def _stream(self, call: Call, order: _Order) -> None:
        """The picture as it comes into being, which here is other pictures before it."""
        event = "image_generation" if order.kind == "generation" else "image_edit"
        about = {"created_at": call.created_s, **_about(order)}
        frames: list[bytes] = []
        for index in range(int(order.given.get("partial_images") or 0)):
            name = f"{event}.partial_image"
            data = await self._drawn(order, index + 1)
            frames.append(frame(encode({"type": name, "b64_json": data, "partial_image_index": index, **about}), name))
        name, data = f"{event}.completed", await self._drawn(order, 0)
        frames.append(frame(encode({"type": name, "b64_json": data, **about, "usage": _usage(order)}), name))
        error = frame(encode({"type": "error", "error": SERVER_ERROR}), "error")
        await call.stream(frames, order.directive, error_frame=error)


# reading an order


async def _edit_body(call: Call) -> tuple[dict[str, Any], list[bytes | str], bytes | str | None]:
    """Fields, pictures and mask of a form, or of JSON, which newer models take too."""
    if call.request.headers.get("content-type", "").lower().startswith("multipart/"):
        try:
            form = read_form(call.request.headers["content-type"], await call.request.body())
        except ValueError as error:
            raise invalid(f"Could not parse multipart form: {error}", None) from error
        masks = form.files("mask")
        return _form_fields(form), [part.data for part in form.files("image")], masks[-1].data if masks else None
    body = await call.body()
    sources: list[bytes | str] = [
        as_text(as_object(each).get("image_url")) for each in as_list(body.pop("images", None))
    ]
    mask = as_text(as_object(body.pop("mask", None)).get("image_url"))
    return body, sources, mask or None


def _form_fields(form: Form) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name in _FIELDS:
        text = form.field(name)
        if text is None:
            continue
        if name in _NUMBERS:
            fields[name] = int(text) if text.isdecimal() else text
        else:
            fields[name] = text == "true" if name == "stream" else text
    return fields


async def _looked_at(call: Call, sources: list[bytes | str], mask: bytes | str | None) -> _Inputs:
    given = [*sources, *([] if mask is None else [mask])]
    thumbnails: list[bytes] = []
    sizes: list[tuple[int, int]] = []
    for place, source in enumerate(given):
        param = "mask" if place == len(sources) else "image"
        try:
            data = source if isinstance(source, bytes) else await read_source(source, call.host.fetch)
            info = await call.host.decode_image(data)
            thumbnails.append(await call.host.thumbnail(data))
        except (BadImage, OutsideError) as error:
            raise invalid(f"Invalid image file or mode for '{param}': {error}.", param, "invalid_image_file") from error
        sizes.append((info.width, info.height))
    if mask is not None and sizes[-1] != sizes[0]:
        raise invalid("Invalid mask image: its size must match that of the image.", "mask", "invalid_image_format")
    mask_at = None if mask is None else len(sources)
    return _Inputs(thumbnails=tuple(thumbnails), sizes=tuple(sizes), mask_at=mask_at)


def _order(
    call: Call, body: dict[str, Any], inputs: _Inputs, *, kind: Literal["generation", "edit"], otherwise: str
) -> _Order:
    model = model_of(body, "image", otherwise=otherwise)
    given = check_fields(body, _FIELDS, required=("prompt",))
    family = family_of(model)
    family.check(given)
    width, height = size_of(given.get("size"), family)
    directive = _directive(call, given["prompt"], family)
    prompt = without_marker(given["prompt"])
    kind_of_file = given.get("output_format", "png")
    sketch = Sketch(
        prompt=prompt,
        width=width,
        height=height,
        model=model,
        # Checked above to be one of these.
        format=cast('Literal["png", "jpeg", "webp"]', kind_of_file),
        quality=int(given.get("output_compression") or QUALITY_USUAL),
        is_transparent=given.get("background") == "transparent",
        mask_at=inputs.mask_at,
        count=int(given.get("n") or 1),
    )
    tokens = {"text_tokens": count(prompt), "image_tokens": sum(input_tokens(size) for size in inputs.sizes)}
    return _Order(
        kind=kind,
        given=given,
        family=family,
        sketch=sketch,
        inputs=inputs.thumbnails,
        input_tokens=tokens,
        directive=directive,
    )


def _directive(call: Call, prompt: str, family: Family) -> Directive:
    return call.directive(
        prompt, param="prompt", without=NO_MEANING, moderated=_BLOCKED_BY_GPT if family.is_gpt else BLOCKED
    )


# the reply


def _reply(call: Call, order: _Order, data: list[dict[str, Any]]) -> dict[str, Any]:
    if order.family.revises:
        data = [{**each, "revised_prompt": f"Simulated: {order.sketch.prompt}"} for each in data]
    reply: dict[str, Any] = {"created": call.created_s, "data": data}
    return {**reply, **_about(order), "usage": _usage(order)} if order.family.has_usage else reply


def _about(order: _Order) -> dict[str, Any]:
    quality = order.given.get("quality", "auto")
    return {
        "background": "transparent" if order.sketch.is_transparent else "opaque",
        "output_format": order.sketch.format,
        "quality": "medium" if quality == "auto" else quality,
        "size": f"{order.sketch.width}x{order.sketch.height}",
    }


def _usage(order: _Order) -> dict[str, Any]:
    given = sum(order.input_tokens.values())
    made = order.sketch.count * output_tokens((order.sketch.width, order.sketch.height), order.given.get("quality"))
    if order.given.get("stream") is True:
        made += 100 * int(order.given.get("partial_images") or 0)
    return {
        "input_tokens": given,
        "input_tokens_details": order.input_tokens,
        "output_tokens": made,
        "output_tokens_details": {"image_tokens": made, "text_tokens": 0},
        "total_tokens": given + made,
    }
