"""Orders as they come in this format."""

from typing import Any

import pytest
from tests.vendors.bfl.support import read

from halley.kernel.faults import BadRequest
from halley.kernel.order import ImageRole
from halley.vendors.bfl.fields import KINDS, MODELS
from halley.vendors.bfl.types import FluxBody


def test_every_word_of_an_order_is_read():
    order = read(
        {
            "prompt": "a fox",
            "width": 1024,
            "height": 768.0,
            "seed": 42,
            "steps": 28,
            "guidance": 3,
            "safety_tolerance": 6,
            "output_format": "png",
            "prompt_upsampling": True,
        },
        "flux-dev",
    )
    assert (order.dialect, order.model, order.prompt) == ("flux", "flux-dev", "a fox")
    assert (order.width, order.height, order.seed, order.steps, order.guidance) == (1024, 768, 42, 28, 3.0)
    assert (order.safety_tolerance, order.output_format, order.prompt_upsampling) == (6, "png", True)
    assert (order.count, order.extras, order.webhook) == (1, {}, None)


def test_values_out_of_the_vendors_range_are_left_to_the_vendor():
    order = read({"prompt": "a fox", "width": 7, "safety_tolerance": 99, "output_format": "gif"})
    assert (order.width, order.safety_tolerance, order.output_format) == (7, 99, "gif")


@pytest.mark.parametrize(
    ("model", "body", "expected"),
    [
        ("flux-pro-1.1", {"image_prompt": "b64"}, [(ImageRole.REFERENCE, "/image_prompt")]),
        (
            "flux-kontext-pro",
            {"input_image_2": "b", "input_image": "a"},
            [(ImageRole.INPUT, "/input_image"), (ImageRole.INPUT, "/input_image_2")],
        ),
        ("flux-pro-1.0-fill", {"image": "a", "mask": "b"}, [(ImageRole.INPUT, "/image"), (ImageRole.MASK, "/mask")]),
        ("flux-pro-1.0-canny", {"control_image": "a"}, [(ImageRole.CONTROL, "/control_image")]),
        ("flux-pro-1.0-depth", {"preprocessed_image": "a"}, [(ImageRole.PREPROCESSED, "/preprocessed_image")]),
    ],
    ids=["reference", "inputs", "mask", "control", "preprocessed"],
)
def test_images_have_a_role_and_a_place(model: str, body: dict[str, Any], expected: list[tuple[ImageRole, str]]):
    order = read({"prompt": "a fox"} | body, model)
    assert [(image.role, image.pointer) for image in order.images] == expected


def test_empty_strings_and_zero_sides_count_as_not_set():
    body = {
        "prompt": "a fox",
        "image_prompt": "",
        "webhook_url": "",
        "webhook_secret": "",
        "width": 0,
        "height": 0,
        "aspect_ratio": "",
        "seed": None,
    }
    order = read(body)
    assert order.images == ()
    assert order.webhook is None
    assert (order.width, order.height, order.aspect_ratio, order.seed) == (None, None, None, None)
    assert order.extras == {}
    assert order.body == body


def test_fields_beyond_the_vocabulary_are_extras_and_stay_in_the_body():
    body = {"prompt": "a fox", "interval": 2, "disable_pup": True, "nothing": None}
    order = read(body, "flux-pro")
    assert order.extras == {"interval": 2, "disable_pup": True}
    assert order.body == body


def test_an_empty_prompt_is_a_prompt():
    assert read({"prompt": ""}).prompt == ""


@pytest.mark.parametrize(
    ("body", "param", "message"),
    [
        ({"width": "1024"}, "width", "`width` must be an integer, not a string"),
        ({"width": 1024.5}, "width", "`width` must be an integer, not `1024.5`"),
        ({"seed": True}, "seed", "`seed` must be an integer, not a boolean"),
        ({"seed": 1e300}, "seed", "`seed` must be an integer, not `1e+300`"),
        ({"guidance": "3"}, "guidance", "`guidance` must be a number, not a string"),
        ({"raw": 1}, "raw", "`raw` must be a boolean, not `1`"),
        ({"prompt": ["a"]}, "prompt", "`prompt` must be a string, not an array"),
        (
            {"image_prompt": {}},
            "image_prompt",
            "`image_prompt` must be a string (an http(s) URL or base64), not an object",
        ),
        ({"webhook_url": 1}, "webhook_url", "`webhook_url` must be a string, not `1`"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else None,
)
def test_a_wrong_type_is_named(body: dict[str, Any], param: str, message: str):
    with pytest.raises(BadRequest) as raised:
        read({"prompt": "a fox"} | body)
    assert (raised.value.param, raised.value.message) == (param, message)


@pytest.mark.parametrize(
    ("name", "value", "bits"),
    [
        ("width", 10**15, 31),
        ("height", 2**31, 31),
        ("height", -(2**31) - 1, 31),
        ("steps", 1e15, 31),
        ("guidance", 10**4_000, 31),
        ("interval", 1e300, 31),
        ("seed", 2**63, 63),
        ("seed", -(2**63) - 1, 63),
    ],
)
def test_a_number_that_cannot_be_reckoned_with_is_named(name: str, value: float, bits: int):
    with pytest.raises(BadRequest) as raised:
        read({"prompt": "a fox", name: value}, "flux-2-pro")
    message = f"`{name}` must be between {-(2**bits)} and {2**bits - 1}"
    assert (raised.value.param, raised.value.message) == (name, message)


def test_the_largest_numbers_are_left_to_the_vendor():
    order = read({"prompt": "a fox", "width": 2**31 - 1, "seed": 2**63 - 1}, "flux-2-pro")
    assert (order.width, order.seed) == (2**31 - 1, 2**63 - 1)


@pytest.mark.parametrize(
    ("model", "body", "param"),
    [
        ("flux-kontext-pro", {"input_image": "b64"}, "prompt"),
        ("flux-2-pro", {"prompt": None}, "prompt"),
        ("flux-dev", {}, "prompt"),
        ("flux-of-tomorrow", {}, "prompt"),
        ("flux-pro-1.0-fill", {"prompt": "a fox", "image": ""}, "image"),
        ("flux-pro-1.0-expand", {"prompt": "a fox"}, "image"),
        ("flux-pro-1.0-canny-finetuned", {"prompt": "a fox", "finetune_id": "f"}, "control_image"),
        ("flux-pro-finetuned", {"prompt": "a fox"}, "finetune_id"),
    ],
)
def test_what_an_order_cannot_do_without_is_named(model: str, body: dict[str, Any], param: str):
    with pytest.raises(BadRequest, match=f"`{param}` is required") as raised:
        read(body, model)
    assert raised.value.param == param


@pytest.mark.parametrize(
    ("model", "body"),
    [("flux-pro-1.1", {"image_prompt": "b64"}), ("flux-pro-1.0-fill", {"image": "b64"})],
    ids=["reference", "fill"],
)
def test_an_image_may_stand_for_the_prompt(model: str, body: dict[str, Any]):
    assert read(body, model).prompt is None


def test_a_webhook_is_read_with_its_secret():
    order = read({"prompt": "a fox", "webhook_url": "https://a.example/hook", "webhook_secret": "s"})
    assert order.webhook is not None
    assert (order.webhook.url, order.webhook.secret) == ("https://a.example/hook", "s")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.example/",
        "a.example/hook",
        "https://",
        "https://[::1",
        "https://a b.example/",
        "https://a.example/" + "x" * 2083,
    ],
)
def test_a_webhook_that_is_no_web_url_is_refused(url: str):
    with pytest.raises(BadRequest) as raised:
        read({"prompt": "a fox", "webhook_url": url})
    assert raised.value.param == "webhook_url"


def test_a_field_has_the_same_type_in_every_model():
    kinds: dict[str, set[str]] = {}
    for fields in MODELS.values():
        for name, field in fields.items():
            kinds.setdefault(name, set()).add(field.kind)
    assert {name: found for name, found in kinds.items() if len(found) > 1} == {}


def test_the_documented_body_has_every_field_of_every_model():
    assert set(FluxBody.__struct_fields__) == set(KINDS)
