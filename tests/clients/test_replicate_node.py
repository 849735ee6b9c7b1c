"""The npm package `replicate`, as its users run it."""

import json
from pathlib import Path

import pytest
from tests.clients.clients import node
from tests.clients.receiver import Receiver
from tests.clients.served import KEY, Served, image

PROMPT = {"prompt": "a red teapot", "aspect_ratio": "1:1", "output_format": "jpg", "seed": 7}


def replicate(gateway: Served, action: str, **given: object):
    return node("replicate_client.mjs", action, **{"key": KEY, "url": gateway.url, **given})


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="blocking, the default"),
        pytest.param({"wait": {"mode": "poll", "interval": 100}}, id="polling"),
        pytest.param({"wait": {"mode": "block", "timeout": 1}}, id="blocking for a second"),
    ],
)
def test_run_gives_an_image_of_the_asked_ratio_and_format(gateway: Served, tmp_path: Path, options: dict[str, object]):
    path = tmp_path / "out"
    ran = replicate(gateway, "run", input=PROMPT, path=str(path), options=options)
    kind, (width, height) = image(path.read_bytes())
    assert ran == {"count": 1}
    assert kind == "JPEG"
    assert width == height


def test_a_prediction_is_created_waited_for_fetched_and_listed(gateway: Served):
    ran = replicate(gateway, "predict", input=PROMPT)
    assert (ran["first"], ran["status"], ran["fetched"]) == ("starting", "succeeded", "succeeded")
    assert ran["id"] in ran["listed"]


def test_a_prediction_is_cancelled(gateway: Served):
    ran = replicate(gateway, "cancel", input={"prompt": "x [[halley outcome=never_finishes]]"})
    assert ran == {"status": "canceled"}


def test_an_uploaded_file_is_edited_and_deleted(gateway: Served, source: Path, tmp_path: Path):
    path = tmp_path / "out"
    ran = replicate(gateway, "edit", source=str(source), path=str(path))
    assert ran == {"size": source.stat().st_size, "metadata": {"purpose": "an edit"}, "gone": True}
    assert image(path.read_bytes())[0] == "PNG"


def test_a_webhook_passes_validate_webhook_with_the_secret_from_the_api(gateway: Served, receiver: Receiver):
    created = replicate(gateway, "webhook", input=PROMPT, receiver=f"{receiver.url}/hook")
    told = receiver.next()
    checked = replicate(gateway, "validate", headers=told.headers, body=told.body.decode())
    assert checked == {"valid": True, "other": False}
    assert created["webhook"] == f"{receiver.url}/hook"
    assert json.loads(told.body)["id"] == created["id"]
    assert json.loads(told.body)["status"] == "succeeded"


@pytest.mark.parametrize(
    ("key", "prompt", "status", "words"),
    [
        pytest.param("sk-test-nobody-has-this", "x", 401, "Unauthenticated", id="bad key"),
        pytest.param(KEY, None, 422, "prompt is required", id="no prompt"),
        pytest.param(KEY, "x [[halley outcome=content_moderated]]", None, "Prediction failed: ", id="moderated"),
    ],
)
def test_errors_arrive_as_the_clients_own(
    gateway: Served, key: str, prompt: str | None, status: int | None, words: str
):
    ran = replicate(gateway, "fail", key=key, input={"prompt": prompt})
    assert ran["status"] == status
    assert words in ran["message"]
