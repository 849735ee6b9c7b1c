"""The drawn images: real files of the asked size, the same for the same order."""

import io
from collections import Counter
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageStat
from PIL.ExifTags import Base

from halley.vendors.simulate import ImageInfo, ImageSpec, aspect_to_size, decode_image, draw
from halley.vendors.simulate.draw import ImageFormat
from halley.vendors.simulate.lettering import fit


def spec(**changes: Any) -> ImageSpec:
    usual: dict[str, Any] = {"prompt": "a red teapot", "width": 320, "height": 256, "seed": 1, "format": "png"}
    return ImageSpec(**(usual | changes))


def pixels(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def difference(one: bytes, other: bytes) -> float:
    return max(ImageStat.Stat(ImageChops.difference(pixels(one), pixels(other))).mean)


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
@pytest.mark.parametrize("size", [(64, 64), (1024, 768), (64, 4096), (257, 1031)], ids=str)
def test_image_has_exactly_the_asked_size_and_format(kind: ImageFormat, size: tuple[int, int]):
    data = draw(spec(width=size[0], height=size[1], format=kind))
    assert decode_image(data) == ImageInfo(width=size[0], height=size[1], format=kind)


@pytest.mark.parametrize("size", [(63, 64), (64, 4097), (0, 0)], ids=str)
def test_size_out_of_bounds_is_refused(size: tuple[int, int]):
    with pytest.raises(ValueError, match="cannot be drawn"):
        draw(spec(width=size[0], height=size[1]))


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_same_order_gives_the_same_bytes(kind: ImageFormat):
    assert draw(spec(format=kind)) == draw(spec(format=kind))


@pytest.mark.parametrize("seed", range(2, 12))
def test_another_seed_is_visibly_different(seed: int):
    assert difference(draw(spec()), draw(spec(seed=seed))) > 8


def test_prompt_and_inputs_are_visible():
    plain = draw(spec(prompt=""))
    red = io.BytesIO()
    Image.new("RGB", (300, 200), (255, 0, 0)).save(red, "PNG")
    with_inputs = pixels(draw(spec(prompt="", inputs=(red.getvalue(),) * 9, mask=red.getvalue())))
    assert difference(plain, draw(spec(prompt=""))) == 0
    assert Counter(with_inputs.get_flattened_data())[255, 0, 0] > 1_000


@pytest.mark.parametrize(("kind", "where"), [("png", "Description"), ("jpeg", "exif"), ("webp", "exif")])
def test_metadata_says_that_it_is_simulated(kind: ImageFormat, where: str):
    image = Image.open(io.BytesIO(draw(spec(format=kind, model="flux-é", label="SIMULATED"))))
    said = image.info[where] if where == "Description" else image.getexif()[Base.ImageDescription]
    assert "SIMULATED" in said
    assert "no model made this image" in said


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        " ",
        "x" * 5_000,
        "word " * 2_000,
        "图像生成" * 300,
        "tab\tnew\nline\0zero",
        "\u202eright",
        "ﷺ" * 90,
        "é" * 900,
    ],
    ids=["empty", "blank", "one-long-word", "many-words", "chinese", "controls", "bidi", "expanding", "accents"],
)
@pytest.mark.parametrize("size", [(64, 64), (96, 640)], ids=str)
def test_any_prompt_can_be_drawn(prompt: str, size: tuple[int, int]):
    assert decode_image(draw(spec(prompt=prompt, width=size[0], height=size[1]))).width == size[0]


def test_text_is_as_large_as_fits_and_cut_when_nothing_helps():
    short = fit("cat", width=400, height=200, size_max=60)
    long = fit("cat " * 140, width=100, height=30, size_max=60)
    assert (short.size, short.lines) == (60, ("cat",))
    assert long.size < 10
    assert long.lines[-1].endswith("…")
    assert long.height <= 30


@pytest.mark.parametrize(
    ("ratio", "multiple", "size"),
    [
        ("1:1", 16, (1024, 1024)),
        ("16:9", 16, (1360, 768)),
        ("9:16", 16, (768, 1360)),
        ("3:2", 32, (1248, 832)),
        ("21:9", 16, (1568, 672)),
    ],
)
def test_ratio_becomes_a_size_of_about_a_megapixel(ratio: str, multiple: int, size: tuple[int, int]):
    assert aspect_to_size(ratio, multiple=multiple) == size


@pytest.mark.parametrize(
    "ratio", ["", "1", "1:", ":1", "0:1", "1:0", "a:b", "1:65", "-1:1", "1:1:1", "²:1", "1" * 40 + ":1"]
)
def test_what_is_no_ratio_is_refused(ratio: str):
    with pytest.raises(ValueError):
        aspect_to_size(ratio)
