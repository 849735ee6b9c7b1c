"""Orders read from this format."""

from typing import Any

import pytest

from halley.kernel.faults import BadRequest
from halley.kernel.order import ImageInput, ImageRole, Webhook
from halley.vendors.contract import Incoming
from halley.vendors.replicate.models import BY_NAME
from halley.vendors.replicate.problems import render_fault
from halley.vendors.replicate.reading import read_order

DEV = "black-forest-labs/flux-dev"


def by_path(body: dict[str, Any], model: str = DEV, **headers: str) -> Incoming:
    owner, name = model.split("/")
    return Incoming(
        method="POST",
        path=f"/replicate/v1/models/{model}/predictions",
        path_params={"owner": owner, "name": name},
        headers=headers,
        body=body,
    )


def by_body(body: dict[str, Any]) -> Incoming:
    return Incoming(method="POST", path="/replicate/v1/predictions", body=body)


def test_every_field_of_our_vocabulary_is_read():
    given = {
        "prompt": "a red teapot",
        "aspect_ratio": "16:9",
        "megapixels": "1",
        "num_outputs": 3,
        "num_inference_steps": 20,
        "seed": 7,
        "guidance": 3,
        "output_format": "jpg",
        "output_quality": 90,
        "go_fast": True,
        "prompt_strength": 0.5,
        "image": "https://pictures.example/a.png",
    }
    body = {"input": given, "stream": False, "webhook": "https://me.example/hook", "webhook_events_filter": ["start"]}
    order = read_order(by_path(body, prefer="wait=5"))
    assert (order.dialect, order.model, order.body) == ("replicate", DEV, body)
    assert (order.prompt, order.aspect_ratio, order.megapixels) == ("a red teapot", "16:9", "1")
    assert (order.count, order.steps, order.seed, order.guidance) == (3, 20, 7, 3)
    assert (order.output_format, order.output_quality) == ("jpeg", 90)
    assert order.extras == {"go_fast": True, "prompt_strength": 0.5}
    assert order.images == (
        ImageInput(role=ImageRole.INPUT, source="https://pictures.example/a.png", pointer="/input/image"),
    )
    assert order.webhook == Webhook(url="https://me.example/hook", events=("start",))
    assert order.wait_s == 5


def test_custom_aspect_ratio_means_width_and_height():
    order = read_order(by_path({"input": {"prompt": "x", "aspect_ratio": "custom", "width": 512, "height": 768}}))
    assert (order.aspect_ratio, order.width, order.height) == (None, 512, 768)


def test_images_are_read_by_role_with_their_place():
    given = {"prompt": "x", "image_prompt": "data:,", "mask": "m", "input_images": ["a", "b"], "input_image": ""}
    order = read_order(by_path({"input": given}))
    assert [(image.role, image.pointer) for image in order.images] == [
        (ImageRole.REFERENCE, "/input/image_prompt"),
        (ImageRole.MASK, "/input/mask"),
        (ImageRole.INPUT, "/input/input_images/0"),
        (ImageRole.INPUT, "/input/input_images/1"),
    ]


def test_null_means_not_said():
    order = read_order(by_path({"input": {"prompt": "x", "seed": None, "go_fast": None}, "webhook": None}))
    assert (order.seed, order.extras, order.webhook) == (None, {}, None)


@pytest.mark.parametrize(
    ("prefer", "seconds"), [(None, None), ("", None), ("wait", 60), ("wait=1", 1), ("wait=60", 60)]
)
def test_prefer_says_how_long_to_wait(prefer: str | None, seconds: float | None):
    headers = {} if prefer is None else {"prefer": prefer}
    assert read_order(by_path({"input": {"prompt": "x"}}, **headers)).wait_s == seconds


@pytest.mark.parametrize("prefer", ["wait=0", "wait=61", "wait=x", "respond-async", "wait=-1", "wait=1.5"])
def test_prefer_out_of_range_is_refused(prefer: str):
    with pytest.raises(BadRequest) as caught:
        read_order(by_path({"input": {"prompt": "x"}}, prefer=prefer))
    assert caught.value.param == "Prefer"


DIGEST = BY_NAME[DEV].version


@pytest.mark.parametrize(
    "named",
    [{"model": DEV}, {"version": DEV}, {"version": DIGEST}, {"version": f"{DEV}:{DIGEST}"}],
    ids=["model", "owner/name", "digest", "owner/name:digest"],
)
def test_a_model_is_named_in_the_body(named: dict[str, str]):
    assert read_order(by_body({**named, "input": {"prompt": "x"}})).model == DEV


OTHER = BY_NAME["black-forest-labs/flux-schnell"].version


@pytest.mark.parametrize("version", ["0" * 64, f"{DEV}:{'0' * 64}", f"{DEV}:{OTHER}", "latest", "", "a/b/c", "é" * 64])
def test_an_unknown_version_is_refused_in_the_vendors_words(version: str):
    with pytest.raises(BadRequest) as caught:
        read_order(by_body({"version": version, "input": {"prompt": "x"}}))
    answer = render_fault(caught.value, "req_1")
    assert caught.value.param == "version"
    assert (answer.status, answer.body["title"]) == (422, "Invalid version or not permitted")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "input"),
        ({"input": None}, "input"),
        ({"input": "x"}, "input"),
        ({"input": []}, "input"),
        ({"input": {}}, "input.prompt"),
        ({"input": {"prompt": None}}, "input.prompt"),
        ({"input": {"prompt": 1}}, "input.prompt"),
        ({"input": {"prompt": "x", "seed": "1"}}, "input.seed"),
        ({"input": {"prompt": "x", "seed": True}}, "input.seed"),
        ({"input": {"prompt": "x", "seed": 1.5}}, "input.seed"),
        ({"input": {"prompt": "x", "guidance": "high"}}, "input.guidance"),
        ({"input": {"prompt": "x", "raw": 1}}, "input.raw"),
        ({"input": {"prompt": "x", "image": {"url": "x"}}}, "input.image"),
        ({"input": {"prompt": "x", "input_images": "x"}}, "input.input_images"),
        ({"input": {"prompt": "x", "input_images": [1]}}, "input.input_images"),
        ({"input": {"prompt": "x", "num_outputs": 0}}, "input.num_outputs"),
        ({"input": {"prompt": "x", "num_outputs": 10**30}}, "input.num_outputs"),
        ({"input": {"prompt": "x", "num_outputs": 33}}, "input.num_outputs"),
        ({"input": {"prompt": "x", "width": 10**15}}, "input.width"),
        ({"input": {"prompt": "x", "height": -(2**31) - 1}}, "input.height"),
        ({"input": {"prompt": "x", "steps": 2**31}}, "input.steps"),
        ({"input": {"prompt": "x", "guidance": 1e300}}, "input.guidance"),
        ({"input": {"prompt": "x", "guidance": 10**4_000}}, "input.guidance"),
        ({"input": {"prompt": "x", "seed": 2**63}}, "input.seed"),
        ({"input": {"prompt": "x", "seed": -(2**63) - 1}}, "input.seed"),
        ({"input": {"prompt": "x"}, "colour": 1}, "colour"),
        ({"input": {"prompt": "x"}, "model": DEV}, "model"),
        ({"input": {"prompt": "x"}, "webhook": 1}, "webhook"),
        ({"input": {"prompt": "x"}, "webhook": "ftp://me.example"}, "webhook"),
        ({"input": {"prompt": "x"}, "webhook": "https://"}, "webhook"),
        ({"input": {"prompt": "x"}, "webhook": "http://[::1"}, "webhook"),
        ({"input": {"prompt": "x"}, "webhook": "https://me.example/a b"}, "webhook"),
        ({"input": {"prompt": "x"}, "webhook_events_filter": "start"}, "webhook_events_filter"),
        ({"input": {"prompt": "x"}, "webhook_events_filter": ["end"]}, "webhook_events_filter.0"),
        ({"input": {"prompt": "x"}, "webhook_events_filter": [["start"]]}, "webhook_events_filter.0"),
    ],
)
def test_what_is_wrong_is_named(body: dict[str, Any], param: str):
    with pytest.raises(BadRequest) as caught:
        read_order(by_path(body))
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": {"prompt": "x"}}, "version"),
        ({"input": {"prompt": "x"}, "version": DEV, "model": DEV}, "model"),
        ({"input": {"prompt": "x"}, "version": 1}, "version"),
        ({"input": {"prompt": "x"}, "model": "flux"}, "model"),
        ({"input": {"prompt": "x"}, "model": "../../etc"}, "model"),
    ],
)
def test_what_is_wrong_with_the_naming_of_a_model_is_named(body: dict[str, Any], param: str):
    with pytest.raises(BadRequest) as caught:
        read_order(by_body(body))
    assert caught.value.param == param


def test_the_largest_numbers_are_left_to_the_vendor():
    given = {"prompt": "x", "num_outputs": 32, "width": 2**31 - 1, "seed": 2**63 - 1}
    order = read_order(by_path({"input": given}))
    assert (order.count, order.width, order.seed) == (32, 2**31 - 1, 2**63 - 1)


@pytest.mark.parametrize(
    ("given", "count"),
    [
        ({}, None),
        ({"number_of_images": 4.0}, 4),
        ({"num_outputs": 1, "number_of_images": 8}, 8),
        ({"n": True, "max_images": "many", "num_images": 1.5}, None),
    ],
    ids=["not said", "with a fraction", "by two names", "not by a number"],
)
def test_the_number_of_pictures_is_the_most_that_a_field_says(given: dict[str, Any], count: int | None):
    assert read_order(by_path({"input": {"prompt": "x", **given}}, model="someone/something")).count == count


@pytest.mark.parametrize(("name", "count"), [("number_of_images", 33), ("n", 10**30), ("max_images", 0)])
def test_a_number_of_pictures_that_cannot_be_stored_is_refused_by_the_name_that_it_was_given(name: str, count: int):
    with pytest.raises(BadRequest) as caught:
        read_order(by_path({"input": {"prompt": "x", name: count}}, model="someone/something"))
    assert caught.value.param == f"input.{name}"


def test_a_model_that_we_do_not_know_is_left_to_the_core():
    order = read_order(by_path({"input": {"anything": [1, {"a": None}]}}, model="someone/something"))
    assert (order.model, order.prompt, order.extras) == ("someone/something", None, {"anything": [1, {"a": None}]})
