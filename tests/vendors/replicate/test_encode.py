"""Orders of other formats, written as this vendor's input."""

from typing import Any

import msgspec
import pytest

from halley.kernel.faults import NotConveyed
from halley.kernel.order import ImageInput, ImageOrder, ImageRole
from halley.vendors.replicate.models import BY_ID
from halley.vendors.replicate.validation import input_complaints
from halley.vendors.replicate.wire import write_order

PNG = "iVBORw0KGgo="


def order(**fields: Any) -> ImageOrder:
    plain = ImageOrder(dialect="flux", model="m", body={"prompt": "x"}, prompt="x")
    return msgspec.structs.replace(plain, **fields)


def image(role: ImageRole, source: str = PNG, pointer: str = "/image_prompt") -> ImageInput:
    return ImageInput(role=role, source=source, pointer=pointer)


@pytest.mark.parametrize(
    ("model", "fields", "given"),
    [
        ("flux-pro-1.1", {}, {"output_format": "jpg"}),
        (
            "flux-pro-1.1",
            {"width": 1024, "height": 768, "seed": 42, "safety_tolerance": 2, "output_format": "png"},
            {
                "aspect_ratio": "custom",
                "width": 1024,
                "height": 768,
                "seed": 42,
                "safety_tolerance": 2,
                "output_format": "png",
            },
        ),
        ("flux-pro-1.1", {"prompt_upsampling": True}, {"prompt_upsampling": True, "output_format": "jpg"}),
        (
            "flux-pro-1.1",
            {"images": (image(ImageRole.REFERENCE),)},
            {"image_prompt": f"data:image/png;base64,{PNG}", "output_format": "jpg"},
        ),
        (
            "flux-dev",
            {"width": 1344, "height": 768, "steps": 20, "guidance": 2.5, "prompt_upsampling": False, "raw": False},
            {"aspect_ratio": "16:9", "num_inference_steps": 20, "guidance": 2.5, "output_format": "jpg"},
        ),
        ("flux-pro", {"steps": 30}, {"steps": 30, "output_format": "jpg"}),
        ("flux-schnell", {"count": 3, "output_format": "webp"}, {"num_outputs": 3, "output_format": "webp"}),
        (
            "flux-pro-1.1-ultra",
            {"aspect_ratio": "21:9", "raw": True, "image_strength": 0.3},
            {"aspect_ratio": "21:9", "raw": True, "image_prompt_strength": 0.3},
        ),
        (
            "flux-pro-1.1-ultra-finetuned",
            {"finetune_id": "f", "finetune_strength": 1.2},
            {"finetune_id": "f", "finetune_strength": 1.2},
        ),
        (
            "flux-kontext-pro",
            {"safety_tolerance": 0, "images": (image(ImageRole.INPUT, "https://a.example/b.png", "/input_image"),)},
            {"safety_tolerance": 0, "input_image": "https://a.example/b.png"},
        ),
        ("flux-kontext-max", {"aspect_ratio": "2:1"}, {"aspect_ratio": "2:1"}),
    ],
)
def test_what_the_model_takes_is_conveyed(model: str, fields: dict[str, Any], given: dict[str, Any]):
    known = BY_ID[model]
    call = write_order(order(**fields), known.name)
    assert (call.method, call.url) == ("POST", f"/v1/models/{known.name}/predictions")
    assert call.json == {"input": {"prompt": "x", **given}}
    assert input_complaints({"prompt": "x", **given}, known) == []


@pytest.mark.parametrize(
    ("model", "fields", "param"),
    [
        ("flux-dev", {"width": 1000, "height": 1000}, "width"),
        ("flux-dev", {"safety_tolerance": 2}, "safety_tolerance"),
        ("flux-dev", {"prompt_upsampling": True}, "prompt_upsampling"),
        ("flux-dev", {"images": (image(ImageRole.REFERENCE),)}, "image_prompt"),
        ("flux-dev", {"images": (image(ImageRole.INPUT, pointer="/input/image"),)}, "input.image"),
        ("flux-pro-1.1", {"safety_tolerance": 0}, "safety_tolerance"),
        ("flux-pro-1.1", {"steps": 4, "body": {"steps": 4}}, "steps"),
        ("flux-pro-1.1", {"count": 2}, "num_outputs"),
        ("flux-pro-1.1", {"width": 512}, "width"),
        ("flux-pro-1.1", {"height": 512}, "height"),
        ("flux-pro-1.1", {"aspect_ratio": "21:9"}, "aspect_ratio"),
        ("flux-pro-1.1", {"aspect_ratio": "custom"}, "aspect_ratio"),
        ("flux-pro-1.1", {"aspect_ratio": "1:1", "width": 512, "height": 512}, "aspect_ratio"),
        ("flux-pro-1.1", {"raw": True}, "raw"),
        ("flux-pro-1.1", {"extras": {"interval": 2}}, "interval"),
        ("flux-pro-1.1-ultra", {"output_format": "webp"}, "output_format"),
        ("flux-pro-1.1-ultra", {"prompt_upsampling": True}, "prompt_upsampling"),
        ("flux-pro-1.1-ultra", {"finetune_id": "f"}, "finetune_id"),
        (
            "flux-kontext-pro",
            {"images": tuple(image(ImageRole.INPUT, pointer=f"/input_image{n}") for n in ("", "_2"))},
            "input_image_2",
        ),
        ("flux-kontext-pro", {"images": (image(ImageRole.MASK, pointer="/mask"),)}, "mask"),
        ("flux-kontext-pro", {"megapixels": "1"}, "megapixels"),
    ],
)
def test_what_the_model_does_not_take_is_refused_by_the_callers_field(model: str, fields: dict[str, Any], param: str):
    with pytest.raises(NotConveyed) as caught:
        write_order(order(**fields), BY_ID[model].name)
    assert caught.value.param == param


def test_a_model_whose_inputs_are_unknown_takes_its_own_format_only():
    with pytest.raises(NotConveyed):
        write_order(order(), "someone/something")


def test_the_same_format_goes_through_untouched_but_for_webhook_and_model():
    given = {"prompt": "x", "novelty": {"a": [1, None]}, "safety_tolerance": 0}
    body = {
        "input": given,
        "stream": True,
        "version": "black-forest-labs/flux-dev",
        "webhook": "https://me.example",
        "webhook_events_filter": ["start"],
    }
    same = ImageOrder(dialect="replicate", model="m", body=body, extras={"novelty": 1})
    call = write_order(same, "someone/else")
    assert call.url == "/v1/models/someone/else/predictions"
    assert call.json == {"input": given, "stream": True}
    assert call.headers == ()
