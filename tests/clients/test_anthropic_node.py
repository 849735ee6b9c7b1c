"""The npm package `@anthropic-ai/sdk`, as its users run it."""

import pytest
from tests.clients.clients import node_steps
from tests.clients.served import KEY, Served

MODEL = "claude-sonnet-4-6"


def anthropic(gateway: Served, *steps: str, **given: object):
    return node_steps("anthropic_client.mjs", *steps, **{"key": KEY, "url": gateway.url, "model": MODEL, **given})


@pytest.mark.parametrize("model", [MODEL, "gpt-5.4-mini", "gemini-2.5-flash"])
def test_a_message_is_answered_streamed_and_helped_by_tools(gateway: Served, model: str):
    ran = anthropic(gateway, "create", "stream", "tools", "count", model=model)
    assert "simulated" in ran["create"]["text"].lower()
    assert min(ran["create"]["usage"]) > 0
    assert ran["stream"]["text"] == ran["stream"]["final"]
    assert ran["create"]["stop"] == ran["stream"]["stop"] == "end_turn"
    assert (ran["tools"]["stop"], ran["tools"]["name"]) == ("tool_use", "weather")
    assert ran["tools"]["input"] == {"city": "string", "days": "number"}
    assert "simulated" in ran["tools"]["text"].lower()
    assert ran["count"]["tokens"] > 0


def test_thoughts_come_signed_and_models_are_listed(gateway: Served):
    ran = anthropic(gateway, "thinking", "models")
    assert ran["thinking"] == {"blocks": ["thinking", "text"], "signed": True}
    assert MODEL in ran["models"]["listed"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(
            {"key": "sk-test-nobody"},
            {"error": "AuthenticationError", "status": 401, "type": "authentication_error"},
            id="bad key",
        ),
        pytest.param(
            {"body": {"max_tokens": 0}},
            {"error": "BadRequestError", "status": 400, "type": "invalid_request_error"},
            id="no bound",
        ),
    ],
)
def test_errors_arrive_as_the_clients_own(gateway: Served, given: dict[str, object], expected: dict[str, object]):
    assert anthropic(gateway, "fail", **given)["fail"] == expected
