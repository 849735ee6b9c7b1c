"""Pictures that the simulated vendor gives links to: journalled when ordered, drawn whenever they are fetched."""

import io
from typing import TYPE_CHECKING, Literal

import msgspec

from halley.kernel.clock import MICROSECONDS
from halley.vendors.openai.simulated_call import Call
from halley.vendors.simulate import (
    Directive,
    ImageSpec,
    Job,
    LinkState,
    Outcome,
    Reply,
    Request,
    Router,
    SimulatorHost,
)

if TYPE_CHECKING:
    from PIL.Image import Image

LINK_US = 3_600 * MICROSECONDS
CORNER_SHARE = 8

_GONE = Reply(
    status=403,
    body=b'<?xml version="1.0" encoding="utf-8"?><Error><Code>AuthenticationFailed</Code></Error>',
    type="application/xml",
)


class Sketch(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be drawn, as journalled."""

    prompt: str
    width: int
    height: int
    model: str
    format: Literal["png", "jpeg", "webp"] = "png"
    quality: int = 88
    is_transparent: bool = False
    mask_at: int | None = None
    """Which of the inputs is the mask."""
    count: int = 1


_sketches = msgspec.json.Decoder(Sketch)


def add_routes(router: Router, pictures: "Pictures") -> None:
    """Serve the links."""
    router.add("GET", "/pictures/{id}/{name}", pictures.fetch)


class Pictures:
    """Draws, and keeps what links point to."""

    def __init__(self, host: SimulatorHost) -> None:
        self._host = host

    def keep(self, call: Call, sketch: Sketch, directive: Directive, inputs: tuple[bytes, ...] = ()) -> list[str]:
        """Journal a sketch, its inputs as thumbnails; the links to its pictures."""
        now_us = self._host.clock.now()
        job = Job(
            id=self._host.base32_id(),
            created_us=now_us,
            ready_us=now_us,
            model=sketch.model,
            directive=directive,
            request=msgspec.Raw(b"{}"),
            account=call.account,
            details=msgspec.Raw(msgspec.json.encode(sketch)),
        )
        self._host.accept(job, inputs=inputs)
        ends_us = now_us - MICROSECONDS if directive.outcome is Outcome.EXPIRED_LINK else now_us + LINK_US
        paths = [f"/pictures/{job.id}/{place}.{sketch.format}" for place in range(sketch.count)]
        return [self._host.link(path, expires_us=ends_us) for path in paths]

    async def fetch(self, request: Request) -> Reply:
        """Draw what a link points to."""
        job = self._host.journal.get(request.params["id"])
        place = request.params["name"].partition(".")[0]
        if job is None or not place.isdecimal() or self._host.link_state(request) is not LinkState.VALID:
            return _GONE
        sketch = _sketches.decode(job.details)
        data = await self.draw(sketch, self._host.journal.inputs(job), place=int(place))
        return Reply(body=data, type=f"image/{sketch.format}")

    async def draw(self, sketch: Sketch, inputs: tuple[bytes, ...], *, place: int) -> bytes:
        """One of the sketch's pictures."""
        spec = ImageSpec(
            prompt=sketch.prompt,
            width=sketch.width,
            height=sketch.height,
            seed=self._host.seed_for(f"{sketch.prompt}\n{place}"),
            format="png" if sketch.is_transparent else sketch.format,
            inputs=tuple(data for at, data in enumerate(inputs) if at != sketch.mask_at),
            mask=None if sketch.mask_at is None else inputs[sketch.mask_at],
            model=sketch.model,
            quality=sketch.quality,
        )
        data = await self._host.draw(spec)
        return await self._host.beside(lambda: see_through(data, sketch)) if sketch.is_transparent else data


def see_through(data: bytes, sketch: Sketch) -> bytes:
    """The picture with its rounded corners cut away."""
    from PIL import Image

    with Image.open(io.BytesIO(data)) as opaque:
        picture = opaque.convert("RGBA")
        notes = {name: text for name, text in opaque.info.items() if isinstance(name, str) and isinstance(text, str)}
    picture.putalpha(_rounded(picture.size))
    out = io.BytesIO()
    if sketch.format == "webp":
        picture.save(out, "WEBP", quality=sketch.quality)
    else:
        picture.save(out, "PNG", compress_level=1, pnginfo=_png_notes(notes))
    return out.getvalue()


def _rounded(size: tuple[int, int]) -> "Image":
    from PIL import Image, ImageDraw

    shape = Image.new("L", size)
    corner = (0, 0, size[0] - 1, size[1] - 1)
    ImageDraw.Draw(shape).rounded_rectangle(corner, min(size) // CORNER_SHARE, fill=255)
    return shape


def _png_notes(notes: dict[str, str]) -> object:
    from PIL.PngImagePlugin import PngInfo

    kept = PngInfo()
    for name, text in notes.items():
        kept.add_text(name, text)
    return kept
