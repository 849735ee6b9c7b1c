"""The PyPI package `anthropic` at `/v1/messages`, in front of models of three formats."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.clients.clients import Program, program
from tests.clients.served import KEY, Served

MODEL = "claude-sonnet-4-6"
EACH_FORMAT = pytest.mark.parametrize(
    "model",
    [
        pytest.param(MODEL, id="the same format behind"),
        pytest.param("gpt-5.4-mini", id="openai behind"),
        pytest.param("gemini-2.5-flash", id="gemini behind"),
    ],
)
INPUT = {"city", "days"}


@pytest.fixture(scope="module")
def anthropic(gateway: Served) -> Iterator[Program]:
    with program("sdks", "anthropic_client.py", key=KEY, url=gateway.url, model=MODEL) as running:
        yield running


def is_simulated(text: str) -> bool:
    return "simulated" in text.lower()


@EACH_FORMAT
def test_a_message_is_answered_whole_and_streamed(anthropic: Program, model: str):
    ran = anthropic("create", "events", "stream", model=model)
    whole, streamed = ran["create"], ran["stream"]
    assert is_simulated(whole["text"])
    assert (whole["type"], whole["role"], whole["stop"]) == ("message", "assistant", "end_turn")
    assert whole["id"].startswith("msg_")
    assert min(whole["usage"]) > 0
    assert is_simulated(streamed["text"])
    assert streamed["text"] == streamed["final"]
    assert streamed["pieces"] > 3
    assert min(streamed["usage"]) > 0
    kinds = [kind for kind in ran["events"]["kinds"] if kind != "ping"]
    assert (kinds[0], kinds[-2:]) == ("message_start", ["message_delta", "message_stop"])


@EACH_FORMAT
def test_tools_are_used_whole_streamed_and_by_force(anthropic: Program, model: str):
    ran = anthropic("tools", "tools_streamed", "tool_forced", model=model)
    for used in (ran["tools"], ran["tools_streamed"]):
        assert (used["stop"], used["name"]) == ("tool_use", "weather")
        assert set(used["input"]) == INPUT
        assert isinstance(used["input"]["days"], int)
    assert is_simulated(ran["tools"]["text"])
    assert ran["tools"]["then"] == "end_turn"
    assert ran["tools_streamed"]["pieces"] > 0
    assert ran["tool_forced"]["names"] == ["now"]


def test_results_of_tools_that_failed_or_are_pictures_are_taken(anthropic: Program, source: Path):
    assert is_simulated(anthropic("tools_parallel", source=str(source))["tools_parallel"]["text"])


@EACH_FORMAT
def test_structured_output_is_read_into_the_users_class(anthropic: Program, model: str):
    assert anthropic("parse", model=model)["parse"] == {"title": "str", "minutes": "int", "steps": "list"}


def test_thoughts_come_signed_before_the_text(anthropic: Program):
    ran = anthropic("thinking", "thinking_streamed")
    assert ran["thinking"]["kinds"] == ran["thinking_streamed"]["blocks"] == ["thinking", "text"]
    assert is_simulated(ran["thinking"]["thoughts"])
    assert ran["thinking"]["signed"]
    assert is_simulated(ran["thinking"]["again"])
    assert ran["thinking_streamed"]["joined"]
    assert ran["thinking_streamed"]["signed"]
    assert {"thinking", "signature", "text"} <= set(ran["thinking_streamed"]["kinds"])


@EACH_FORMAT
def test_pictures_are_looked_at(anthropic: Program, model: str, source: Path):
    ran = anthropic("create", "vision", model=model, source=str(source))
    assert is_simulated(ran["vision"]["text"])
    assert ran["vision"]["usage"][0] > ran["create"]["usage"][0]


def test_papers_are_read(anthropic: Program, document: Path):
    assert is_simulated(anthropic("documents", document=str(document))["documents"]["text"])


def test_a_cached_prompt_is_counted_apart(anthropic: Program):
    ran = anthropic("cached")["cached"]
    assert ran["written"] > 1_000
    assert ran["read"] == ran["written"]
    assert max(ran["inputs"]) < 100


@EACH_FORMAT
@pytest.mark.parametrize(("outcome", "stop"), [("length", "max_tokens"), ("refusal", "refusal")])
def test_the_reason_of_the_end_is_told(anthropic: Program, model: str, outcome: str, stop: str):
    ran = anthropic("stopped", model=model, prompt=f"Go on. [[halley outcome={outcome}]]")
    assert ran["stopped"]["stop"] == stop


@EACH_FORMAT
def test_tokens_are_counted_beforehand(anthropic: Program, model: str):
    ran = anthropic("count", model=model)["count"]
    assert 0 < ran["alone"] < ran["more"]


def test_models_are_listed_and_looked_up_in_this_format(anthropic: Program):
    ran = anthropic("models")["models"]
    assert {MODEL, "claude-haiku-4-5"} <= set(ran["listed"])
    assert ran["one"][:2] == [MODEL, "model"]
    assert ran["unknown"]["error"] == "NotFoundError"
    assert ran["unknown"]["type"] == "not_found_error"


@EACH_FORMAT
@pytest.mark.parametrize("outcome", ["cut_stream", "error_frame", "malformed_frame"])
def test_a_broken_stream_ends_in_an_error_and_never_as_if_it_were_whole(anthropic: Program, model: str, outcome: str):
    prompt = f"Hello. [[halley outcome={outcome}]]"
    ran = anthropic("broken_stream", model=model, prompt=prompt)["broken_stream"]
    assert (ran["error"], ran["outer"]) == ("APIStatusError", "error")
    assert ran["message"]
    assert ran["text"]
    assert not {"message_delta", "message_stop"} & set(ran["kinds"])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(
            {"key": "sk-test-nobody"}, {"error": "AuthenticationError", "type": "authentication_error"}, id="bad key"
        ),
        pytest.param(
            {"body": {"max_tokens": None}}, {"error": "BadRequestError", "type": "invalid_request_error"}, id="no bound"
        ),
        pytest.param(
            {"body": {"messages": None}},
            {"error": "BadRequestError", "type": "invalid_request_error"},
            id="no messages",
        ),
        pytest.param(
            {"model": "no-such-model"}, {"error": "NotFoundError", "type": "not_found_error"}, id="unknown model"
        ),
        pytest.param(
            {"prompt": "[[halley outcome=rate_limited]]"},
            {"error": "OverloadedError", "type": "overloaded_error"},
            id="the vendor is busy",
        ),
        pytest.param(
            {"prompt": "[[halley outcome=vendor_error]]"},
            {"error": "InternalServerError", "type": "api_error"},
            id="vendor error",
        ),
        pytest.param({"model": "gpt-5.4-mini", "body": {"top_k": 5}}, {"error": "BadRequestError"}, id="not conveyed"),
    ],
)
def test_errors_arrive_as_the_clients_own(anthropic: Program, given: dict[str, object], expected: dict[str, object]):
    ran = anthropic("fail", **given)["fail"]
    assert {name: ran[name] for name in expected} == expected
    assert ran["outer"] == "error"
    assert ran["message"]
    assert ran["request_id"]
