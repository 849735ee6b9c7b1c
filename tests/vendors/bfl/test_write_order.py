"""Orders as they go to the vendor."""

import math
from typing import Any

import pytest
from tests.vendors.bfl.support import foreign, read, written

from halley.kernel.faults import NotConveyed
from halley.kernel.order import ImageInput, ImageRole
from halley.vendors.bfl import TASKS
from halley.vendors.bfl.encode import size_of


def _image(role: ImageRole, source: str = "b64", pointer: str = "/input/image") -> ImageInput:
    return ImageInput(role=role, source=source, pointer=pointer)


def test_an_order_of_this_format_passes_through_without_webhook_and_empty_strings():
    body = {
        "prompt": "",
        "width": 0,
        "seed": None,
        "disable_pup": True,
        "image_prompt": "",
        "webhook_url": "https://a.example/",
        "webhook_secret": "s",
    }
    call = TASKS.write_order(read(body), "flux-pro-1.1")
    assert (call.method, call.url) == ("POST", "/v1/flux-pro-1.1")
    assert call.json == {"prompt": "", "width": 0, "seed": None, "disable_pup": True}


@pytest.mark.parametrize(
    ("source", "sent"),
    [
        ("data:image/png;base64,iVBORw0=", "iVBORw0="),
        ("DATA:image/png;charset=x;BASE64,iVBORw0=", "iVBORw0="),
        ("data:;base64,iVBORw0=", "iVBORw0="),
        ("iVBORw0=", "iVBORw0="),
        ("https://a.example/fox.png", "https://a.example/fox.png"),
    ],
)
def test_an_image_goes_as_bare_base64_or_url(source: str, sent: str):
    assert written(read({"prompt": "a", "input_image": source}, "flux-kontext-pro"), "flux-kontext-pro") == {
        "prompt": "a",
        "input_image": sent,
    }
    order = foreign(images=(_image(ImageRole.INPUT, source),))
    assert written(order, "flux-kontext-pro")["input_image"] == sent


@pytest.mark.parametrize(
    ("model", "fields", "expected"),
    [
        ("flux-dev", {"steps": 20, "guidance": 2.5, "seed": 7}, {"steps": 20, "guidance": 2.5, "seed": 7}),
        ("flux-pro-1.1", {"width": 512, "height": 768}, {"width": 512, "height": 768}),
        ("flux-pro-1.1-ultra", {"raw": True, "aspect_ratio": "21:9"}, {"raw": True, "aspect_ratio": "21:9"}),
        ("flux-pro-1.1-ultra", {"image_strength": 0.3}, {"image_prompt_strength": 0.3}),
        ("flux-kontext-max", {"aspect_ratio": "match_input_image", "output_format": "webp"}, {"output_format": "webp"}),
        ("flux-pro-1.0-fill", {"aspect_ratio": "match_input_image"}, {}),
        ("flux-dev", {"aspect_ratio": "1:1"}, {"width": 1024, "height": 1024}),
        ("flux-dev", {"aspect_ratio": "1:1", "megapixels": "0.25"}, {"width": 512, "height": 512}),
        ("flux-dev", {"megapixels": "1"}, {"width": 1024, "height": 1024}),
        ("flux-pro-1.1", {"aspect_ratio": "4:5"}, {"width": 896, "height": 1120}),
        (
            "flux-pro-1.1-ultra-finetuned",
            {"finetune_id": "f", "finetune_strength": 1.0},
            {"finetune_id": "f", "finetune_strength": 1.0},
        ),
    ],
)
def test_an_order_of_another_format_is_said_in_the_models_words(
    model: str, fields: dict[str, Any], expected: dict[str, Any]
):
    assert written(foreign(**fields), model) == {"prompt": "a fox"} | expected


@pytest.mark.parametrize(
    ("model", "roles", "expected"),
    [
        ("flux-pro-1.1", [ImageRole.REFERENCE], ["image_prompt"]),
        ("flux-2-pro", [ImageRole.INPUT] * 3, ["input_image", "input_image_2", "input_image_3"]),
        ("flux-pro-1.0-fill", [ImageRole.MASK, ImageRole.INPUT], ["mask", "image"]),
        ("flux-pro-1.0-depth", [ImageRole.CONTROL], ["control_image"]),
    ],
)
def test_images_of_another_format_find_their_fields(model: str, roles: list[ImageRole], expected: list[str]):
    body = written(foreign(images=tuple(_image(role) for role in roles)), model)
    assert [name for name in body if name != "prompt"] == expected


@pytest.mark.parametrize(
    ("model", "fields", "param"),
    [
        ("flux-dev", {"extras": {"go_fast": False}}, "input.go_fast"),
        ("flux-dev", {"count": 2}, "input.num_outputs"),
        ("flux-dev", {"output_quality": 80}, "input.output_quality"),
        ("flux-pro-1.1", {"steps": 20}, "input.num_inference_steps"),
        ("flux-pro-1.1", {"raw": False}, "raw"),
        ("flux-pro-1.1", {"image_strength": 0.1}, "image_prompt_strength"),
        ("flux-pro-1.1-ultra", {"width": 512}, "width"),
        ("flux-pro-1.1-ultra", {"megapixels": "1"}, "megapixels"),
        ("flux-pro-1.0-fill", {"aspect_ratio": "1:1"}, "aspect_ratio"),
        ("flux-pro-1.0-fill", {"megapixels": "1"}, "megapixels"),
        ("flux-pro-1.1", {"aspect_ratio": "match_input_image"}, "aspect_ratio"),
        ("flux-pro-1.1", {"aspect_ratio": "wide"}, "aspect_ratio"),
        ("flux-pro-1.1", {"aspect_ratio": "100:1"}, "aspect_ratio"),
        ("flux-pro-1.1", {"aspect_ratio": "1:1", "width": 512}, "width"),
        ("flux-pro-1.1", {"megapixels": "much"}, "megapixels"),
        ("flux-pro-1.1", {"megapixels": "0"}, "megapixels"),
        ("flux-pro", {"output_format": "webp"}, "output_format"),
        ("flux-of-tomorrow", {}, "model"),
    ],
)
def test_what_the_model_has_no_word_for_is_not_conveyed(model: str, fields: dict[str, Any], param: str):
    body = {"input": dict.fromkeys(("go_fast", "num_outputs", "output_quality", "num_inference_steps"), 0)}
    with pytest.raises(NotConveyed) as raised:
        written(foreign(body=body, **fields), model)
    assert raised.value.param == param


@pytest.mark.parametrize(
    ("model", "roles"),
    [
        ("flux-dev", [ImageRole.INPUT]),
        ("flux-kontext-pro", [ImageRole.INPUT] * 5),
        ("flux-2-max", [ImageRole.MASK]),
    ],
)
def test_an_image_that_finds_no_field_is_not_conveyed(model: str, roles: list[ImageRole]):
    with pytest.raises(NotConveyed) as raised:
        written(foreign(images=tuple(_image(role) for role in roles)), model)
    assert raised.value.param == "input.image"


@pytest.mark.parametrize("ratio", ["1:1", "16:9", "21:9", "3:2", "2:3", "4:5", "5:4", "3:4", "4:3", "9:16", "9:21"])
def test_a_ratio_becomes_a_size_that_the_model_makes(ratio: str):
    wide, high = (int(side) for side in ratio.split(":"))
    size = size_of(wide / high, 1024 * 1024)
    assert size is not None
    assert all(256 <= side <= 1440 and side % 32 == 0 for side in size)
    assert abs(math.log(size[0] / size[1] / (wide / high))) < 0.02
    assert 0.8 <= size[0] * size[1] / 1024**2 <= 1.2


def test_a_model_name_is_quoted_into_the_path():
    assert TASKS.write_order(read({"prompt": "a"}), "../credits").url == "/v1/..%2Fcredits"
