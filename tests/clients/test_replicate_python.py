"""The PyPI package `replicate`, as its users run it."""

from pathlib import Path

import pytest
from tests.clients.clients import python
from tests.clients.receiver import Receiver
from tests.clients.served import KEY, Served, image

PROMPT = {"prompt": "a red teapot", "aspect_ratio": "16:9", "output_format": "png", "seed": 7}


def replicate(gateway: Served, action: str, **given: object):
    return python("replicate", "replicate_client.py", action, **{"key": KEY, "url": gateway.url, **given})


def test_run_gives_an_image_of_the_asked_ratio_and_format(gateway: Served, tmp_path: Path):
    path = tmp_path / "out"
    ran = replicate(gateway, "run", input={**PROMPT, "num_outputs": 2}, path=str(path))
    kind, (width, height) = image(path.read_bytes())
    assert ran == {"count": 2}
    assert kind == "PNG"
    assert abs(width / height - 16 / 9) < 0.03


def test_a_prediction_is_created_waited_for_fetched_and_listed(gateway: Served, tmp_path: Path):
    path = tmp_path / "out"
    ran = replicate(gateway, "predict", input={**PROMPT, "output_format": "webp"}, path=str(path))
    assert (ran["first"], ran["status"], ran["fetched"]) == ("starting", "succeeded", "succeeded")
    assert ran["id"] in ran["listed"]
    assert ran["model"] == "black-forest-labs/flux-schnell"
    assert ran["metrics"]["image_count"] == 1
    assert image(path.read_bytes())[0] == "WEBP"


def test_a_prediction_is_cancelled(gateway: Served):
    ran = replicate(gateway, "cancel", input={"prompt": "x [[halley outcome=never_finishes]]"})
    assert ran == {"status": "canceled"}


def test_an_uploaded_file_is_edited_and_deleted(gateway: Served, source: Path, tmp_path: Path):
    path = tmp_path / "out"
    ran = replicate(gateway, "edit", source=str(source), path=str(path))
    assert ran == {"listed": True, "size": source.stat().st_size, "name": "source.png", "left": False}
    assert image(path.read_bytes())[0] == "PNG"


def test_an_open_file_is_taken_as_an_input(gateway: Served, source: Path, tmp_path: Path):
    path = tmp_path / "out"
    replicate(gateway, "edit_open_file", source=str(source), path=str(path))
    assert image(path.read_bytes())[0] == "PNG"


def test_models_and_the_account_are_looked_up(gateway: Served):
    ran = replicate(gateway, "look_up")
    assert (ran["owner"], ran["name"]) == ("black-forest-labs", "flux-schnell")
    assert ran["account"]


def test_a_webhook_passes_the_clients_own_check_before_anybody_asked_for_the_secret(
    gateway: Served, receiver: Receiver
):
    gateway.new_account("hooked")
    key = gateway.new_key("hooked")
    body = {"input": PROMPT, "webhook": f"{receiver.url}/hook", "webhook_events_filter": ["completed"]}
    gateway.ask("POST", "/replicate/v1/models/black-forest-labs/flux-schnell/predictions", body, key=key)
    told = receiver.next()
    checked = replicate(gateway, "validate", key=key, headers=told.headers, body=told.body.decode())
    assert checked == {"valid": True}


@pytest.mark.parametrize(
    ("key", "prompt", "expected"),
    [
        pytest.param("sk-test-nobody-has-this", "x", {"error": "ReplicateError", "status": 401}, id="bad key"),
        pytest.param(KEY, None, {"error": "ReplicateError", "status": 422}, id="no prompt"),
        pytest.param(
            KEY, "x [[halley outcome=content_moderated]]", {"error": "ModelError", "status": "failed"}, id="moderated"
        ),
        pytest.param(
            KEY, "x [[halley outcome=vendor_error]]", {"error": "ModelError", "status": "failed"}, id="vendor error"
        ),
    ],
)
def test_errors_arrive_as_the_clients_own(gateway: Served, key: str, prompt: str | None, expected: dict[str, object]):
    ran = replicate(gateway, "fail", key=key, input={"prompt": prompt})
    assert {name: ran[name] for name in expected} == expected
    assert ran.get("detail") or ran.get("message")
