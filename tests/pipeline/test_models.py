"""Which models are ordered as tasks, and what is said of the others."""

import pytest
from tests.app.rigs import Rig

from halley.vendors.replicate.models import BY_NAME


async def test_models_of_the_replicate_format_are_those_that_can_be_ordered_in_it(rig: Rig) -> None:
    listed = (await rig.client.call("GET", "/replicate/v1/models")).json["results"]
    assert {one["owner"] for one in listed} == {"black-forest-labs"}
    assert set(BY_NAME) <= {f"{one['owner']}/{one['name']}" for one in listed}
    chat = await rig.client.call("GET", "/replicate/v1/models/anthropic/claude-haiku-4.5")
    assert chat.status == 404


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/flux/v1/gpt-5.4-mini", {"prompt": "a"}),
        ("/flux/v1/gpt-image-1", {"prompt": "a"}),
        ("/replicate/v1/models/anthropic/claude-haiku-4.5/predictions", {"input": {"prompt": "a"}}),
    ],
    ids=["chat", "picture at once", "chat by its alias"],
)
async def test_a_model_that_is_no_task_is_refused_as_such(rig: Rig, path: str, body: dict[str, object]) -> None:
    refused = await rig.client.call("POST", path, body)
    error = refused.json["error"]
    assert (refused.status, error["code"], error["param"]) == (422, "invalid_request", "model")
    assert "cannot be ordered as a task" in error["message"]
    unknown = await rig.client.call("POST", "/flux/v1/nobody-knows-this", {"prompt": "a"})
    assert (unknown.status, unknown.json["error"]["code"]) == (503, "model_not_found")
