"""The PyPI package `openai` at `/v1/chat/completions` and `/v1/completions`, in front of models of three formats."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.clients.clients import Program, program
from tests.clients.served import KEY, Served, fetched, image

MODEL = "gpt-5.4-mini"
EACH_FORMAT = pytest.mark.parametrize(
    "model",
    [
        pytest.param(MODEL, id="the same format behind"),
        pytest.param("claude-sonnet-4-6", id="anthropic behind"),
        pytest.param("gemini-2.5-flash", id="gemini behind"),
    ],
)
RECIPE = {"title": "str", "minutes": "int", "vegetarian": "bool", "steps": "list"}


@pytest.fixture(scope="module")
def openai(gateway: Served) -> Iterator[Program]:
    with program("sdks", "openai_chat.py", key=KEY, url=gateway.url, model=MODEL) as running:
        yield running


def is_simulated(text: str) -> bool:
    return "simulated" in text.lower()


@EACH_FORMAT
def test_a_chat_is_answered(openai: Program, model: str):
    ran = openai("chat", model=model)["chat"]
    assert is_simulated(ran["text"])
    assert (ran["object"], ran["role"], ran["finish"]) == ("chat.completion", "assistant", "stop")
    assert ran["id"].startswith("chatcmpl-")
    assert ran["usage"][0] > 0
    assert ran["usage"][1] > 0
    assert ran["usage"][2] == ran["usage"][0] + ran["usage"][1]


@EACH_FORMAT
def test_a_stream_brings_the_same_text_in_pieces(openai: Program, model: str):
    ran = openai("chat", "stream", "stream_with_usage", "stream_helper", model=model)
    whole, plain, counted = ran["chat"], ran["stream"], ran["stream_with_usage"]
    assert plain["text"] == counted["text"] == ran["stream_helper"]["text"] == whole["text"]
    assert plain["finishes"] == counted["finishes"] == ["stop"]
    assert plain["chunks"] > 5
    assert plain["ids"] == 1
    assert ran["stream_helper"]["kinds"] == ["chunk", "content.delta", "content.done"]


@EACH_FORMAT
def test_a_stream_tells_its_usage_only_to_those_who_ask(openai: Program, model: str):
    ran = openai("chat", "stream", "stream_with_usage", model=model)
    assert ran["stream"]["usages"] == []
    assert ran["stream_with_usage"]["usages"] == [{"choices": 0, "usage": ran["chat"]["usage"]}]


@EACH_FORMAT
def test_a_tool_is_called_and_its_answer_is_read(openai: Program, model: str):
    ran = openai("tools", "tools_parallel", model=model)
    assert (ran["tools"]["finish"], ran["tools"]["name"]) == ("tool_calls", "weather")
    assert ran["tools"]["kinds"] == {"city": "str", "unit": "str", "days": "int"}
    assert ran["tools"]["arguments"]["unit"] in ("celsius", "fahrenheit")
    assert 1 <= ran["tools"]["arguments"]["days"] <= 7
    assert is_simulated(ran["tools"]["text"])
    assert ran["tools"]["then"] == "stop"
    assert is_simulated(ran["tools_parallel"]["text"])


@EACH_FORMAT
def test_tools_are_forbidden_and_demanded(openai: Program, model: str):
    ran = openai("tools_refused", "tools_named", model=model)
    assert ran["tools_refused"]["calls"] == 0
    assert is_simulated(ran["tools_refused"]["text"])
    assert ran["tools_named"] == {"name": "now", "arguments": {}}


@EACH_FORMAT
def test_arguments_that_come_in_pieces_are_read_into_the_users_class(openai: Program, model: str):
    ran = openai("tools_streamed", model=model)["tools_streamed"]
    assert (ran["finish"], ran["parsed"]) == ("tool_calls", "Weather")
    assert "tool_calls.function.arguments.delta" in ran["kinds"]
    assert ran["kinds"][-1] == "tool_calls.function.arguments.done"


@EACH_FORMAT
def test_structured_output_is_read_into_the_users_class(openai: Program, model: str):
    assert openai("parse", model=model)["parse"] == RECIPE


def test_any_json_object_is_asked_for(openai: Program):
    assert openai("json_object")["json_object"] == {"kind": "dict"}


@EACH_FORMAT
def test_pictures_and_papers_are_looked_at(openai: Program, model: str, source: Path, document: Path):
    ran = openai("chat", "vision", "document", model=model, source=str(source), document=str(document))
    assert is_simulated(ran["vision"]["text"])
    assert ran["vision"]["usage"][0] > ran["chat"]["usage"][0]
    assert is_simulated(ran["document"]["text"])


def test_sound_is_heard_and_made(openai: Program, sound: Path, tmp_path: Path):
    path = tmp_path / "out.wav"
    ran = openai("spoken", model="gpt-4o-audio-preview", sound=str(sound), path=str(path))["spoken"]
    assert is_simulated(ran["transcript"])
    assert ran["tokens"] > 0
    assert path.read_bytes().startswith(b"RIFF")


def test_several_answers_come_with_their_probabilities(openai: Program):
    ran = openai("many", model="gpt-4o-mini")["many"]
    assert sorted(ran["indexes"]) == [0, 1, 2]
    assert all(map(is_simulated, ran["texts"]))
    assert ran["logprobs"] > 0


def test_thoughts_are_counted_as_output(openai: Program):
    ran = openai("reasoning", model="o4-mini", prompt="Why? [[halley outcome=reasoning]]")["reasoning"]
    assert is_simulated(ran["text"])
    assert 0 < ran["tokens"] < ran["usage"][1]


@EACH_FORMAT
def test_a_refusal_is_told_as_one(openai: Program, model: str):
    ran = openai("refusal", model=model, prompt="Do harm. [[halley outcome=refusal]]")["refusal"]
    assert ran["refusal"] or ran["finish"] == "content_filter"


@EACH_FORMAT
def test_an_answer_that_became_too_long_says_so(openai: Program, model: str):
    ran = openai("chat", "stream", model=model, prompt="Go on. [[halley outcome=length]]")
    assert ran["chat"]["finish"] == "length"
    assert ran["stream"]["finishes"] == ["length"]


@EACH_FORMAT
@pytest.mark.parametrize("outcome", ["cut_stream", "error_frame", "malformed_frame"])
def test_a_broken_stream_ends_in_an_error_and_never_as_if_it_were_whole(openai: Program, model: str, outcome: str):
    ran = openai("broken_stream", model=model, prompt=f"Hello. [[halley outcome={outcome}]]")["broken_stream"]
    assert ran["error"] == "APIError"
    assert ran["message"]
    assert ran["text"]
    assert ran["finishes"] == []


def test_headers_tell_the_request_and_its_cost(openai: Program):
    ran = openai("raw")["raw"]
    assert ran["headers"]["halley-request-id"]
    assert "halley-cost" in ran["headers"]
    assert ran["request_id"]


def test_a_field_that_nobody_knows_reaches_the_vendor(openai: Program):
    ran = openai("unknown_field")["unknown_field"]
    assert ran["error"] == "BadRequestError"
    assert "some_new_field" in ran["message"]


def test_the_older_completions_are_answered_whole_and_streamed(openai: Program):
    ran = openai("complete", "complete_streamed", model="gpt-3.5-turbo-instruct")
    assert (ran["complete"]["object"], ran["complete"]["indexes"]) == ("text_completion", [0, 1])
    assert is_simulated(ran["complete"]["text"])
    assert ran["complete"]["usage"][1] > 0
    assert is_simulated(ran["complete_streamed"]["text"])
    assert ran["complete_streamed"]["finishes"][-1] in ("stop", "length")
    assert ran["complete_streamed"]["usages"] == 1


def test_a_picture_comes_as_a_link_in_the_text(openai: Program):
    given = {"model": "gpt-4o-image", "prompt": "A kitten on a cloud."}
    ran = openai("chat", "stream", **given)
    for text in (ran["chat"]["text"], ran["stream"]["text"]):
        link = text.partition("](")[2].partition(")")[0]
        # It is the vendor's own link, passed through.
        assert image(fetched(link))[0] == "PNG"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({"key": "sk-test-nobody"}, {"error": "AuthenticationError", "status": 401}, id="bad key"),
        pytest.param({"body": {"messages": None}}, {"error": "BadRequestError", "param": "messages"}, id="no messages"),
        pytest.param({"body": {"messages": 7}}, {"error": "BadRequestError"}, id="messages of another kind"),
        pytest.param({"model": "no-such-model"}, {"code": "model_not_found"}, id="unknown model"),
        pytest.param({"model": ""}, {"error": "BadRequestError", "param": "model"}, id="no model"),
        pytest.param(
            {"prompt": "[[halley outcome=rate_limited]]"}, {"error": "RateLimitError", "status": 429}, id="rate limited"
        ),
        pytest.param(
            {"prompt": "[[halley outcome=vendor_error]]"}, {"error": "InternalServerError"}, id="vendor error"
        ),
        pytest.param({"prompt": "[[halley outcome=invalid]]"}, {"error": "BadRequestError"}, id="invalid"),
        pytest.param(
            {"model": "claude-opus-4-5", "body": {"n": 3}},
            {"error": "BadRequestError", "param": "n"},
            id="not conveyed",
        ),
    ],
)
def test_errors_arrive_as_the_clients_own(openai: Program, given: dict[str, object], expected: dict[str, object]):
    ran = openai("fail", **given)["fail"]
    assert {name: ran[name] for name in expected} == expected
    assert ran["message"]
    assert ran["request_id"]
