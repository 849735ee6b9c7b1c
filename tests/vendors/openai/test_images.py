"""Orders of pictures in OpenAI's format, as vendors of tasks are asked for them."""

from typing import Any

import pytest

from halley.kernel.faults import BadRequest
from halley.kernel.order import ImageInput, ImageOrder, ImageRole
from halley.vendors.contract import Incoming
from halley.vendors.openai.images import read_order

PNG = "data:image/png;base64,iVBORw0KGgo="
LINK = "https://a.example/b.png"


def read(**fields: Any) -> ImageOrder:
    body = {"model": "flux-kontext-pro", "prompt": "a fox", **fields}
    return read_order(Incoming(method="POST", path="/v1/images/edits", body=body))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("stream", True),
        ("stream", "true"),
        ("stream", 1),
        ("response_format", "b64"),
        ("response_format", 1),
        ("images", [{"file_id": "file-1"}]),
        ("image", [1]),
    ],
)
def test_what_would_be_left_out_or_misread_is_refused_by_name(name: str, value: object):
    with pytest.raises(BadRequest) as caught:
        read(**{name: value})
    assert caught.value.param == name
    assert f"`{name}`" in caught.value.message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("stream", None),
        ("stream", ""),
        ("stream", False),
        ("stream", "false"),
        ("response_format", None),
        ("response_format", ""),
        ("response_format", "url"),
        ("response_format", "b64_json"),
    ],
)
def test_what_says_how_the_picture_is_handed_over_is_no_part_of_the_order(name: str, value: object):
    assert read(**{name: value}).extras == {}


def test_pictures_are_read_as_forms_and_json_have_them():
    def given(role: ImageRole, source: str, pointer: str) -> ImageInput:
        return ImageInput(role=role, source=source, pointer=pointer)

    plain = read(image=PNG, mask=PNG)
    assert plain.images == (given(ImageRole.INPUT, PNG, "/image"), given(ImageRole.MASK, PNG, "/mask"))
    assert read(image=[PNG]).images == (given(ImageRole.INPUT, PNG, "/image/0"),)
    linked = read(images=[{"image_url": LINK}, {"image_url": PNG}], mask={"image_url": PNG})
    assert linked.images == (
        given(ImageRole.INPUT, LINK, "/images/0/image_url"),
        given(ImageRole.INPUT, PNG, "/images/1/image_url"),
        given(ImageRole.MASK, PNG, "/mask/image_url"),
    )
    assert linked.extras == {}
