"""The npm package `openai`, as its users run it."""

from pathlib import Path

import pytest
from tests.clients.clients import node_steps
from tests.clients.served import KEY, Served, image

MODEL = "gpt-5.4-mini"
RECIPE = {"title": "string", "minutes": "number", "steps": "array"}


def openai(gateway: Served, *steps: str, **given: object):
    return node_steps("openai_client.mjs", *steps, **{"key": KEY, "url": gateway.url, "model": MODEL, **given})


@pytest.mark.parametrize("model", [MODEL, "claude-sonnet-4-6", "gemini-2.5-flash"])
def test_a_chat_is_answered_streamed_helped_by_functions_and_parsed(gateway: Served, model: str):
    ran = openai(gateway, "chat", "stream", "tools", "parse", model=model)
    assert "simulated" in ran["chat"]["text"].lower()
    assert min(ran["chat"]["usage"]) > 0
    assert ran["stream"]["text"] == ran["chat"]["text"]
    assert ran["stream"]["finishes"] == ["stop"]
    assert ran["stream"]["usages"] == [ran["chat"]["usage"]]
    assert ran["tools"]["called"] == [{"city": "string", "days": "number"}]
    assert "simulated" in ran["tools"]["text"].lower()
    assert ran["parse"] == {"chat": RECIPE, "responses": RECIPE}


@pytest.mark.parametrize("model", [MODEL, "claude-sonnet-4-6", "gemini-2.5-flash"])
def test_responses_are_stored_and_streamed(gateway: Served, model: str):
    ran = openai(gateway, "responses", "responsesStream", model=model)
    assert "simulated" in ran["responses"]["text"].lower()
    assert (ran["responses"]["status"], ran["responses"]["previous"]) == ("completed", True)
    assert ran["responses"]["fetched"]
    assert ran["responsesStream"]["text"] == ran["responsesStream"]["final"]
    assert ran["responsesStream"]["kinds"][-1] == "response.completed"
    assert min(ran["responsesStream"]["usage"]) > 0


def test_texts_are_embedded_and_models_listed(gateway: Served):
    own = {"embed": {"model": "text-embedding-3-small"}}
    ran = openai(gateway, "embed", "models", own=own)
    assert ran["embed"] == {"dimensions": [1_536, 1_536], "numbers": "number"}
    assert MODEL in ran["models"]["listed"]


def test_images_are_drawn_and_edited(gateway: Served, tmp_path: Path, source: Path):
    drawn, edited = tmp_path / "drawn", tmp_path / "edited"
    own = {"draw": {"path": str(drawn)}, "edit": {"path": str(edited), "source": str(source)}}
    openai(gateway, "draw", "edit", model="gpt-image-1", own=own)
    assert image(drawn.read_bytes())[0] == image(edited.read_bytes())[0] == "PNG"


def test_speech_is_made_and_heard(gateway: Served):
    given = {"model": "tts-1", "transcriber": "whisper-1"}
    ran = openai(gateway, "speakAndTranscribe", **given)["speakAndTranscribe"]
    assert ran["type"].startswith("audio/")
    assert ran["size"] > 1_000
    assert "lighthouse" in ran["text"].lower() or "simulated" in ran["text"].lower()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({"key": "sk-test-nobody"}, {"error": "AuthenticationError", "status": 401}, id="bad key"),
        pytest.param({"body": {"messages": []}}, {"error": "BadRequestError", "status": 400}, id="no messages"),
        pytest.param({"model": "no-such-model"}, {"code": "model_not_found"}, id="unknown model"),
        pytest.param({"prompt": "[[halley outcome=rate_limited]]"}, {"error": "RateLimitError"}, id="rate limited"),
    ],
)
def test_errors_arrive_as_the_clients_own(gateway: Served, given: dict[str, object], expected: dict[str, object]):
    ran = openai(gateway, "fail", **given)["fail"]
    assert {name: ran[name] for name in expected} == expected


def test_a_stream_that_breaks_ends_in_an_error(gateway: Served):
    ran = openai(gateway, "brokenStream", prompt="Hello. [[halley outcome=cut_stream]]")["brokenStream"]
    assert ran["error"] == "APIError"
    assert ran["text"]
    assert ran["finishes"] == []
