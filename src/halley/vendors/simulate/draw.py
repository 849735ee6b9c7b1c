"""Draws the images of simulated vendors: real files of exactly the asked size, the same bytes for the same order.

Pure. A landscape chosen by seed and prompt, the prompt on a card, input images as thumbnails, and a ribbon that
says that no model was at work; the file's metadata says it too.
"""

import colorsys
import hashlib
import io
import math
import random
from typing import TYPE_CHECKING, Literal

import msgspec

from halley.vendors.simulate.images import opened
from halley.vendors.simulate.lettering import SIZE_MIN, fit, font

if TYPE_CHECKING:
    from PIL.Image import Image

SOFTWARE = "Halley sandbox"
SIDE_MIN = 64
SIDE_MAX = 4_096
PIXELS_MAX = 20_000_000
THUMBNAILS_MAX = 6
MEGAPIXEL = 1_024 * 1_024

# The scene is drawn at about this size and scaled: soft edges, and a large image costs little more than a small one.
_SCENE_SIDE = 1_280
_HILLS = 4
_RATIO_CHARACTERS_MAX = 11
_SKY_HUES = (0.02, 0.47, 0.54, 0.6, 0.68, 0.76, 0.86, 0.94)
_SUN_HUE = 0.11
_NIGHT_SHARE = 0.3
_WHITE = (255, 255, 255)
_INK = (12, 14, 24)

ImageFormat = Literal["png", "jpeg", "webp"]
Colour = tuple[int, int, int]


class ImageSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What to draw."""

    prompt: str
    width: int
    height: int
    seed: int
    format: ImageFormat = "jpeg"
    inputs: tuple[bytes, ...] = ()
    """Input images that passed `decode_image`; the first six are shown as thumbnails."""
    mask: bytes | None = None
    """Shown as one more thumbnail."""
    model: str = ""
    label: str = "SIMULATED"
    quality: int = 88


def draw(spec: ImageSpec) -> bytes:
    """The image as a file. Raises `ValueError` for a size out of bounds and `BadImage` for an input that is none."""
    _check_size(spec.width, spec.height)
    canvas = _scene(spec)
    thumbnails_end = _paste_thumbnails(canvas, spec)
    ribbon_start = _draw_ribbon(canvas, spec)
    _draw_prompt(canvas, spec.prompt, top=thumbnails_end, bottom=ribbon_start)
    return _encode(canvas, spec)


def aspect_to_size(ratio: str, *, megapixels: float = 1.0, multiple: int = 16) -> tuple[int, int]:
    """Width and height for a ratio like `16:9` and about so many megapixels (of 1024 x 1024), in whole multiples.

    Raises `ValueError` if it is no ratio, or flatter than 1:64.
    """
    wide, colon, high = ratio.partition(":")
    if not colon or not (wide.isdecimal() and high.isdecimal()) or len(ratio) > _RATIO_CHARACTERS_MAX:
        raise ValueError(f"`{ratio[:40]}` is not a ratio like `16:9`")
    w, h = int(wide), int(high)
    if not w or not h or max(w, h) > 64 * min(w, h):
        raise ValueError(f"the ratio `{ratio}` is out of bounds")
    short = max(multiple, _rounded(math.sqrt(megapixels * MEGAPIXEL * min(w, h) / max(w, h)), multiple))
    long = max(multiple, _rounded(short * max(w, h) / min(w, h), multiple))
    return (long, short) if w >= h else (short, long)


def _rounded(value: float, multiple: int) -> int:
    return round(value / multiple) * multiple


def _check_size(width: int, height: int) -> None:
    if not (SIDE_MIN <= width <= SIDE_MAX and SIDE_MIN <= height <= SIDE_MAX) or width * height > PIXELS_MAX:
        raise ValueError(f"an image of {width} x {height} cannot be drawn; sides are {SIDE_MIN} to {SIDE_MAX}")


# the landscape


def _scene(spec: ImageSpec) -> "Image":

    digest = hashlib.sha256(f"{spec.seed}\n{spec.model}\n{spec.prompt}".encode("utf-8", "replace")).digest()
    dice = random.Random(digest)  # noqa: S311  (a pattern, not a secret)
    scale = _SCENE_SIDE / max(spec.width, spec.height)
    size = max(8, round(spec.width * scale)), max(8, round(spec.height * scale))
    hue = dice.choice(_SKY_HUES) + dice.uniform(-0.03, 0.03)
    night = dice.random() < _NIGHT_SHARE
    image = _scaled(_sky(dice, hue, night=night), size)
    _hang_sun(image, dice, night=night)
    _raise_hills(image, dice, hue, night=night)
    return _scaled(image, (spec.width, spec.height))


def _sky(dice: random.Random, hue: float, *, night: bool) -> "Image":
    """A mesh of few colours, which becomes a smooth gradient when it is scaled up."""
    from PIL import Image

    drift = dice.choice((-0.14, -0.08, 0.1, 0.16))
    rows = ((0.75, 0.24), (0.7, 0.36), (0.55, 0.58)) if night else ((0.55, 0.72), (0.42, 0.9), (0.26, 1.0))
    mesh = Image.new("RGB", (3, len(rows)))
    for y, (saturation, value) in enumerate(rows):
        for x in range(3):
            mesh.putpixel((x, y), _colour(hue + drift * y / 2 + dice.uniform(-0.03, 0.03), saturation, value))
    return mesh


def _hang_sun(image: "Image", dice: random.Random, *, night: bool) -> None:
    from PIL import Image, ImageDraw, ImageOps

    radius = int(min(image.size) * dice.uniform(0.09, 0.16))
    x, y = int(image.width * dice.uniform(0.2, 0.8)), int(image.height * dice.uniform(0.2, 0.42))
    colour = _colour(_SUN_HUE + dice.uniform(-0.05, 0.05), 0.06 if night else 0.26, 1.0)
    # The gradient runs from black in the middle to white at the corners; white lies beyond the circle.
    fading = [max(0, level - 75) * 4 // 5 for level in range(256)]
    glow = ImageOps.invert(Image.radial_gradient("L")).point(fading)  # pyright: ignore[reportUnknownMemberType] - numpy in its annotation
    glow = _scaled(glow, (radius * 7, radius * 7))
    image.paste(colour, (x - glow.width // 2, y - glow.height // 2), glow)
    ImageDraw.Draw(image).ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)


def _raise_hills(image: "Image", dice: random.Random, hue: float, *, night: bool) -> None:
    from PIL import ImageDraw

    pen = ImageDraw.Draw(image)
    width, height = image.size
    turn = dice.uniform(0.35, 0.65)
    for layer in range(_HILLS):
        near = (layer + 1) / _HILLS
        crest = height * (0.46 + 0.13 * layer + dice.uniform(-0.02, 0.02))
        line = _ridge(dice, width, crest, height * (0.10 - 0.012 * layer))
        colour = _colour(hue + turn * near * 0.5, 0.28 + 0.3 * near, (0.5 if night else 0.86) - 0.4 * near)
        pen.polygon([(0, height), *line, (width, height)], fill=colour)


def _ridge(dice: random.Random, width: int, crest: float, swing: float) -> list[tuple[float, float]]:
    waves = [(dice.uniform(0.6, 1.4) * pitch, dice.uniform(0, math.tau), swing / pitch) for pitch in (1, 2.3, 5.1)]
    step = max(1, width // 160)
    return [
        (x, crest + sum(high * math.sin(math.tau * pitch * x / width + phase) for pitch, phase, high in waves))
        for x in range(0, width + step, step)
    ]


def _scaled(image: "Image", size: tuple[int, int]) -> "Image":
    from PIL import Image

    return image.resize(size, Image.Resampling.BICUBIC)  # pyright: ignore[reportUnknownMemberType] - numpy in its annotation


def _colour(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, max(0.0, min(1.0, value)))
    return round(red * 255), round(green * 255), round(blue * 255)


# what lies on it


def _paste_thumbnails(canvas: "Image", spec: ImageSpec) -> int:
    """Paste the inputs in a row at the top; how far down they reach."""
    sources = [*spec.inputs[:THUMBNAILS_MAX], *([] if spec.mask is None else [spec.mask])]
    margin = _margin(canvas)
    if not sources:
        return margin
    room = (canvas.width - margin) // len(sources) - margin
    side = max(8, min(room, int(min(canvas.size) * 0.24)))
    left = margin
    for data in sources:
        small = _thumbnail(data, side)
        canvas.paste(small, (left, margin))
        left += small.width + margin // 2
    return margin + side + margin


def _thumbnail(data: bytes, side: int) -> "Image":
    from PIL import Image, ImageOps

    with opened(data) as source:
        small = ImageOps.contain(source.convert("RGBA"), (side, side))
    frame = max(1, side // 40)
    flat = Image.new("RGB", (small.width + 2 * frame, small.height + 2 * frame), _WHITE)
    flat.paste(small, (frame, frame), small)
    return flat


def _draw_prompt(canvas: "Image", prompt: str, *, top: int, bottom: int) -> None:
    from PIL import ImageDraw

    margin = _margin(canvas)
    pad = margin * 3 // 4
    room = canvas.width - 2 * (margin + pad), min(bottom - margin - top, canvas.height // 2) - 2 * pad
    if not prompt.strip() or min(room) < SIZE_MIN:
        return
    block = fit(prompt, width=room[0], height=room[1], size_max=min(canvas.width // 15, canvas.height // 9))
    left, upper = margin, bottom - margin - block.height - 2 * pad
    _darken(canvas, (left, upper, left + block.width + 2 * pad, upper + block.height + 2 * pad), radius=pad, ink=0.5)
    pen = ImageDraw.Draw(canvas)
    face = font(block.size)
    for number, line in enumerate(block.lines):
        pen.text((left + pad, upper + pad + number * block.line_height), line, font=face, fill=_WHITE)


def _draw_ribbon(canvas: "Image", spec: ImageSpec) -> int:
    """Say at the bottom what this is, as much of it as there is room for; where the ribbon begins."""
    from PIL import ImageDraw

    margin = _margin(canvas)
    size = max(SIZE_MIN, min(canvas.size) // 44)
    face = font(size)
    room = canvas.width - 2 * margin
    model = "".join(character for character in spec.model[:80] if character.isprintable())
    wordings = (f"{spec.label}  ·  {model}  ·  seed {spec.seed}", f"{spec.label}  ·  seed {spec.seed}", spec.label)
    wording = next((text for text in wordings if face.getlength(text) + 2 * size <= room), "SIM")
    width, height = round(face.getlength(wording)) + 2 * size, size * 2
    left, upper = canvas.width - margin - width, canvas.height - margin - height
    _darken(canvas, (left, upper, left + width, upper + height), radius=size, ink=0.62)
    ImageDraw.Draw(canvas).text((left + size, upper + height / 2), wording, font=face, fill=_WHITE, anchor="lm")
    return upper


def _darken(canvas: "Image", box: tuple[int, int, int, int], *, radius: int, ink: float) -> None:
    from PIL import Image, ImageDraw

    shape = Image.new("L", (box[2] - box[0], box[3] - box[1]))
    ImageDraw.Draw(shape).rounded_rectangle((0, 0, shape.width - 1, shape.height - 1), radius, fill=round(255 * ink))
    canvas.paste(_INK, box[:2], shape)


def _margin(canvas: "Image") -> int:
    return max(3, min(canvas.size) // 28)


# the file


def _encode(canvas: "Image", spec: ImageSpec) -> bytes:
    from PIL.PngImagePlugin import PngInfo

    out = io.BytesIO()
    says = f"{spec.label} by Halley's sandbox; no model made this image"
    match spec.format:
        case "png":
            notes = PngInfo()
            for key, value in (
                ("Description", says),
                ("Software", SOFTWARE),
                ("Model", spec.model),
                ("Seed", str(spec.seed)),
            ):
                notes.add_text(key, value)
            canvas.save(out, "PNG", compress_level=1, pnginfo=notes)
        case "jpeg":
            canvas.save(out, "JPEG", quality=spec.quality, exif=_exif(says, spec))
        case "webp":
            canvas.save(out, "WEBP", quality=spec.quality, method=1, exif=_exif(says, spec))
    return out.getvalue()


def _exif(says: str, spec: ImageSpec) -> bytes:
    from PIL import Image
    from PIL.ExifTags import Base

    exif = Image.Exif()
    exif[Base.ImageDescription] = f"{says}; {spec.model}; seed {spec.seed}".encode("ascii", "replace").decode()
    exif[Base.Software] = SOFTWARE
    return exif.tobytes()
