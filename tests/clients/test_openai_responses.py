"""The PyPI package `openai` at `/v1/responses`, in front of models of three formats."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.clients.clients import Program, program
from tests.clients.served import KEY, Served

MODEL = "gpt-5.4-mini"
EACH_FORMAT = pytest.mark.parametrize(
    "model",
    [
        pytest.param(MODEL, id="the same format behind"),
        pytest.param("claude-sonnet-4-6", id="anthropic behind"),
        pytest.param("gemini-2.5-flash", id="gemini behind"),
    ],
)
EVENTS = [
    "response.created",
    "response.in_progress",
    "response.output_item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.completed",
]


@pytest.fixture(scope="module")
def openai(gateway: Served) -> Iterator[Program]:
    with program("sdks", "openai_responses.py", key=KEY, url=gateway.url, model=MODEL) as running:
        yield running


def is_simulated(text: str) -> bool:
    return "simulated" in text.lower()


@EACH_FORMAT
def test_a_response_is_made_from_a_text_and_from_items(openai: Program, model: str):
    ran = openai("create", "items", model=model)
    assert is_simulated(ran["create"]["text"])
    assert (ran["create"]["object"], ran["create"]["status"]) == ("response", "completed")
    assert ran["create"]["id"].startswith("resp_")
    assert ran["create"]["kinds"][-1] == "message"
    assert ran["create"]["instructions"] == "You are a lighthouse keeper."
    assert ran["create"]["metadata"] == {"a": "b"}
    assert ran["create"]["usage"][2] == ran["create"]["usage"][0] + ran["create"]["usage"][1] > 0
    assert is_simulated(ran["items"]["text"])


@EACH_FORMAT
def test_a_stream_has_each_event_in_its_order(openai: Program, model: str):
    ran = openai("stream", "stream_helper", model=model)
    assert [kind for kind in ran["stream"]["kinds"] if not kind.startswith("response.reasoning")] == EVENTS
    assert ran["stream"]["numbers"]
    assert ran["stream"]["text"] == ran["stream"]["final"] == ran["stream_helper"]["text"]
    assert ran["stream"]["deltas"] > 3
    assert ran["stream"]["usage"][1] > 0
    assert ran["stream_helper"]["status"] == "completed"


@EACH_FORMAT
def test_a_stored_response_is_gone_on_from_and_fetched_and_deleted(openai: Program, model: str):
    ran = openai("stored", model=model, prompt="Say heliotrope.")["stored"]
    assert ran["previous"]
    assert ran["fetched"]
    assert ran["listed"][-1] == "message"
    assert "And then?" in ran["words"]
    assert (ran["gone"]["error"], ran["gone"]["status"]) == ("NotFoundError", 404)
    assert ran["unknown"]["param"] == "previous_response_id"


def test_what_shall_not_be_stored_is_not(openai: Program):
    assert openai("not_stored")["not_stored"]["gone"]["error"] == "NotFoundError"


def test_only_what_runs_in_the_background_is_cancelled(openai: Program):
    ran = openai("cancel")["cancel"]
    assert ran["error"] == "BadRequestError"
    assert "background" in ran["message"]


@EACH_FORMAT
def test_a_function_is_called_and_its_answer_is_read(openai: Program, model: str):
    ran = openai("tools", "tools_streamed", model=model)
    assert ran["tools"]["name"] == ran["tools_streamed"]["name"] == "weather"
    assert ran["tools"]["kinds"] == {"city": "str", "unit": "str", "days": "int"}
    assert is_simulated(ran["tools"]["stored"])
    assert is_simulated(ran["tools"]["whole"])
    assert ran["tools_streamed"]["joined"]
    assert ran["tools_streamed"]["item"] == "function_call"
    assert ran["tools_streamed"]["deltas"] > 0


@EACH_FORMAT
def test_structured_output_is_read_into_the_users_class(openai: Program, model: str):
    ran = openai("parse", model=model)["parse"]
    assert ran == {"title": "str", "minutes": "int", "vegetarian": "bool", "steps": "list"}


@EACH_FORMAT
def test_pictures_and_papers_are_looked_at(openai: Program, model: str, source: Path, document: Path):
    ran = openai("vision", model=model, source=str(source), document=str(document))
    assert is_simulated(ran["vision"]["text"])


def test_thoughts_come_as_a_summary_before_the_message(openai: Program):
    ran = openai("reasoning", model="o4-mini", prompt="Why? [[halley outcome=reasoning]]")["reasoning"]
    assert ran["kinds"] == ["reasoning", "message"]
    assert is_simulated(" ".join(ran["summaries"]))
    assert ran["tokens"] > 0


@EACH_FORMAT
def test_a_response_that_became_too_long_is_incomplete(openai: Program, model: str):
    ran = openai("length", model=model, prompt="Go on. [[halley outcome=length]]")["length"]
    assert ran == {"status": "incomplete", "reason": "max_output_tokens"}


def test_a_refusal_is_told_as_one(openai: Program):
    ran = openai("refusal", prompt="Do harm. [[halley outcome=refusal]]")["refusal"]
    assert ran["kinds"] == ["refusal"]


@EACH_FORMAT
@pytest.mark.parametrize("outcome", ["cut_stream", "error_frame", "malformed_frame"])
def test_a_broken_stream_ends_in_an_error_and_never_as_if_it_were_whole(openai: Program, model: str, outcome: str):
    ran = openai("broken_stream", model=model, prompt=f"Hello. [[halley outcome={outcome}]]")["broken_stream"]
    assert ran["text"]
    assert ran["error"] or ran["told"] or ran["kinds"][-1] == "response.failed"
    assert not {"response.completed", "response.incomplete"} & set(ran["kinds"])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({"key": "sk-test-nobody"}, {"error": "AuthenticationError", "status": 401}, id="bad key"),
        pytest.param({"body": {"input": None}}, {"error": "BadRequestError", "param": "input"}, id="no input"),
        pytest.param({"model": "no-such-model"}, {"code": "model_not_found"}, id="unknown model"),
        pytest.param({"prompt": "[[halley outcome=rate_limited]]"}, {"error": "RateLimitError"}, id="rate limited"),
        pytest.param(
            {"prompt": "[[halley outcome=vendor_error]]"}, {"error": "InternalServerError"}, id="vendor error"
        ),
    ],
)
def test_errors_arrive_as_the_clients_own(openai: Program, given: dict[str, object], expected: dict[str, object]):
    ran = openai("fail", **given)["fail"]
    assert {name: ran[name] for name in expected} == expected
    assert ran["message"]
