"""Tasks shown as predictions."""

import json
from typing import Any

import msgspec
import pytest
from tests.vendors.replicate.conftest import is_valid

from halley.kernel.ids import TaskId
from halley.kernel.order import Failure, FailureCode, Webhook
from halley.vendors.contract import AssetView, FileView, Incoming, ModelView, Page, TaskView, ViewState, WebhookEvent
from halley.vendors.replicate import DIALECT, lookups
from halley.vendors.replicate.models import BY_NAME, MODELS
from halley.vendors.replicate.rendering import (
    render_accepted,
    render_event,
    render_file,
    render_page,
    render_task,
)

BASE = "http://127.0.0.1:8000"
ID = TaskId("06f3m6q2zqfvwamq2zqfvwamq2")
VIEW = TaskView(
    id=ID,
    state=ViewState.STARTING,
    model="flux-schnell",
    dialect="replicate",
    body={"input": {"prompt": "a red teapot"}},
    created_at=1_735_689_600_000_000,
    base_url=BASE,
)
ASSET = AssetView(url=f"{BASE}/assets/1", content_type="image/webp", bytes=10)
DONE: dict[str, Any] = {
    "state": ViewState.SUCCEEDED,
    "assets": (ASSET,),
    "started_at": 1_735_689_600_100_000,
    "ended_at": 1_735_689_600_700_000,
}


def view(**changes: Any) -> TaskView:
    return msgspec.structs.replace(VIEW, **changes)


def test_an_accepted_order_is_shown_as_the_vendor_shows_it():
    answer = render_accepted(VIEW)
    assert answer.status == 201
    assert answer.body == {
        "id": ID,
        "model": "black-forest-labs/flux-schnell",
        "version": "hidden",
        "input": {"prompt": "a red teapot"},
        "logs": "",
        "output": None,
        "data_removed": False,
        "error": None,
        "source": "api",
        "status": "starting",
        "created_at": "2025-01-01T00:00:00.000Z",
        "urls": {
            "get": f"{BASE}/replicate/v1/predictions/{ID}",
            "cancel": f"{BASE}/replicate/v1/predictions/{ID}/cancel",
            "web": f"{BASE}/v1/tasks/{ID}",
        },
    }
    is_valid(answer.body, "prediction_response")


def test_a_submit_that_has_not_ended_says_starting_even_when_it_runs():
    assert render_accepted(view(state=ViewState.RUNNING)).body["status"] == "starting"


@pytest.mark.parametrize(
    ("state", "word"),
    [
        (ViewState.STARTING, "starting"),
        (ViewState.RUNNING, "processing"),
        (ViewState.SUCCEEDED, "succeeded"),
        (ViewState.FAILED, "failed"),
        (ViewState.CANCELLED, "canceled"),
    ],
)
def test_states_have_the_vendors_words(state: ViewState, word: str):
    body = render_task(view(state=state)).body
    assert body["status"] == word
    is_valid(body, "prediction_response")


@pytest.mark.parametrize(
    ("model", "output"),
    [("flux-schnell", [ASSET.url]), ("flux-dev", [ASSET.url]), ("flux-pro-1.1", ASSET.url), ("flux-2-pro", ASSET.url)],
)
def test_output_is_an_array_where_the_model_makes_several(model: str, output: Any):
    body = render_task(view(model=model, **DONE)).body
    assert body["output"] == output
    assert body["metrics"] == {"image_count": 1, "total_time": 0.7, "predict_time": 0.6}
    assert (body["started_at"], body["completed_at"]) == ("2025-01-01T00:00:00.100Z", "2025-01-01T00:00:00.700Z")
    is_valid(body, "prediction_response")


def test_a_task_of_another_format_has_one_output_and_hides_its_webhook_secret():
    body = {"prompt": "x", "width": 512, "webhook_url": "https://me.example", "webhook_secret": "hush"}
    shown = render_task(view(dialect="flux", model="flux-dev", body=body, **DONE)).body
    assert shown["output"] == ASSET.url
    assert shown["input"] == {"prompt": "x", "width": 512}
    assert shown["model"] == "black-forest-labs/flux-dev"


def test_a_failure_says_why():
    failure = Failure(code=FailureCode.CONTENT_MODERATED, message="NSFW content detected")
    assert render_task(view(state=ViewState.FAILED, failure=failure)).body["error"] == "NSFW content detected"


def test_outputs_that_expired_are_gone():
    body = render_task(view(outputs_expired=True, body=None, **DONE)).body
    assert (body["output"], body["data_removed"], body["input"]) == (None, True, {})
    is_valid(body, "prediction_response")


def test_nothing_of_the_vendors_own_is_shown():
    raw = {
        "id": "vendorid123",
        "status": "succeeded",
        "output": ["https://replicate.delivery/x/out.webp"],
        "urls": {"get": "https://api.replicate.com/v1/predictions/vendorid123"},
        "web": "https://replicate.com/p/vendorid123",
        "webhook": "https://gateway.example/callbacks/token",
        "deployment": "operator/private",
        "logs": "job vendorid123 at https://api.replicate.com/x and replicate.delivery/y\nUsing seed: 5",
        "metrics": {"predict_time": 0.5, "image_count": 1, "cost": 0.003},
        "total_cost": 3,
        "novelty": {"by": ["vendorid123", {"price": 1}]},
        "error": "secret",
    }
    body = render_task(view(vendor_format="replicate", raw=raw, **DONE)).body
    text = json.dumps(body)
    for hidden in (
        "vendorid123",
        "replicate.com",
        "replicate.delivery",
        "callbacks",
        "operator",
        "cost",
        "price",
        "secret",
    ):
        assert hidden not in text
    assert body["logs"] == f"job {ID} at [link removed] and [link removed]\nUsing seed: 5"
    assert body["novelty"] == {"by": [ID, {}]}
    assert body["metrics"] == {"predict_time": 0.5, "image_count": 1, "total_time": 0.7}


def test_the_version_asked_for_is_shown():
    version = BY_NAME["black-forest-labs/flux-schnell"].version
    shown = render_task(view(body={"version": version, "input": {}})).body
    assert (shown["version"], shown["model"]) == (version, "black-forest-labs/flux-schnell")


def test_the_webhook_is_the_callers_own():
    body = render_event(view(webhook=Webhook(url="https://me.example", events=("completed",))), WebhookEvent.COMPLETED)
    assert (body["webhook"], body["webhook_events_filter"]) == ("https://me.example", ["completed"])
    assert "webhook" not in render_task(VIEW).body


def test_a_page_links_to_the_next_one():
    path = "/replicate/v1/predictions"
    body = render_page(Page(tasks=(VIEW,), next_cursor="a b", previous_cursor=None, path=path, base_url=BASE)).body
    assert (body["next"], body["previous"]) == (f"{BASE}{path}?cursor=a+b", None)
    is_valid(body["results"][0], "prediction_response")


def test_a_file_is_shown_as_the_vendor_shows_it():
    file = FileView(
        id="f1",
        name="a.png",
        content_type="image/png",
        bytes=3,
        sha256="ab" * 32,
        metadata={"a": 1},
        created_at=VIEW.created_at,
        expires_at=VIEW.created_at + 1,
        base_url=BASE,
    )
    body = render_file(file)
    is_valid(body, "file_response")
    assert body["urls"] == {"get": f"{BASE}/replicate/v1/files/f1"}
    assert {"name", "etag"} <= body.keys()


MODEL_VIEWS = (
    *(ModelView(id=model.id, aliases=(model.name,), kind="image", description="") for model in MODELS),
    ModelView(id="flux-2-pro", aliases=("black-forest-labs/flux-2-pro",), kind="image", description=""),
    ModelView(id="other", aliases=(), kind="chat", description=""),
)


def look_up(look: lookups.LookUp, **params: str) -> Any:
    return look(Incoming(method="GET", path="", path_params=params), MODEL_VIEWS, BASE).body


def test_models_and_versions_are_looked_up():
    page = look_up(lookups.list_models)
    assert len(page["results"]) == len(MODELS) + 1
    for model in page["results"]:
        is_valid(model, "model_response")
        named = {"owner": model["owner"], "name": model["name"]}
        assert look_up(lookups.get_model, **named) == model
        for version in look_up(lookups.list_versions, **named)["results"]:
            is_valid(version, "version_response")
            assert look_up(lookups.get_version, **named, version_id=version["id"]) == version == model["latest_version"]


@pytest.mark.parametrize("look", [lookups.get_model, lookups.list_versions])
def test_a_model_without_a_name_of_this_format_is_not_found(look: lookups.LookUp):
    with pytest.raises(lookups.NotFound):
        look_up(look, owner="other", name="other")


def test_routes_have_an_answer_type_and_an_example_that_can_be_read():
    for route in DIALECT.routes:
        if route.example is not None:
            owner, name = ("black-forest-labs", "flux-schnell")
            params = {"owner": owner, "name": name} if "{owner}" in route.path else {}
            body = dict(route.example)
            DIALECT.read_order(Incoming(method=route.method, path=route.path, path_params=params, body=body))
