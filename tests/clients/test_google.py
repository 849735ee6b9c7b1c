"""The PyPI package `google-genai` at `/v1beta` and `/v1`, in front of models of three formats."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.clients.clients import Program, program
from tests.clients.served import KEY, Served

MODEL = "gemini-2.5-flash"
EACH_FORMAT = pytest.mark.parametrize(
    "model",
    [
        pytest.param(MODEL, id="the same format behind"),
        pytest.param("gpt-5.4-mini", id="openai behind"),
        pytest.param("claude-sonnet-4-6", id="anthropic behind"),
    ],
)
RECIPE = {"title": "str", "minutes": "int", "steps": "list"}


@pytest.fixture(scope="module")
def google(gateway: Served) -> Iterator[Program]:
    with program("sdks", "google_client.py", key=KEY, url=gateway.url, model=MODEL, version="v1beta") as running:
        yield running


def is_simulated(text: str) -> bool:
    return "simulated" in text.lower()


@EACH_FORMAT
def test_content_is_generated_whole_and_streamed(google: Program, model: str):
    # GPT models of this generation take no temperature but their own.
    ran = google("generate", "stream", model="gpt-4o-mini" if model.startswith("gpt") else model)
    whole, streamed = ran["generate"], ran["stream"]
    assert is_simulated(whole["text"])
    assert (whole["finish"], whole["role"]) == ("STOP", "model")
    assert min(whole["usage"]) > 0
    assert is_simulated(streamed["text"])
    assert streamed["chunks"] > 3
    assert streamed["finish"] == "STOP"
    assert min(streamed["usage"]) > 0


@pytest.mark.parametrize("version", ["v1", "v1beta"])
def test_both_versions_of_the_paths_serve(google: Program, version: str):
    ran = google("generate", "chat", "count", version=version)
    assert is_simulated(ran["generate"]["text"])
    assert is_simulated(ran["chat"]["second"])
    assert 0 < ran["count"]["alone"] < ran["count"]["more"]


@EACH_FORMAT
def test_functions_are_called_whole_streamed_and_by_the_package_itself(google: Program, model: str):
    ran = google("tools", "tools_streamed", "tools_by_itself", model=model)
    assert ran["tools"]["name"] == "weather"
    assert set(ran["tools"]["args"]) == set(ran["tools_streamed"]["args"]) == {"city", "days"}
    assert is_simulated(ran["tools"]["text"])
    assert ran["tools_streamed"]["names"] == ["weather"]
    assert ran["tools_by_itself"]["called"] == [["str", "int"]]
    assert is_simulated(ran["tools_by_itself"]["text"])


@EACH_FORMAT
def test_structured_output_is_read_into_the_users_class(google: Program, model: str):
    ran = google("parse", "parse_json_schema", model=model)
    assert ran["parse"] == ran["parse_json_schema"] == RECIPE


@EACH_FORMAT
def test_pictures_and_papers_are_looked_at(google: Program, model: str, source: Path, document: Path):
    ran = google("vision", model=model, source=str(source), document=str(document))["vision"]
    assert is_simulated(ran["text"])
    assert ran["usage"][0] > 50


def test_thoughts_are_marked_and_counted(google: Program):
    ran = google("thinking", prompt="Why? [[halley outcome=reasoning]]")["thinking"]
    assert ran["thoughts"] == [True, False]
    assert ran["tokens"] > 0
    assert is_simulated(ran["text"])


@EACH_FORMAT
@pytest.mark.parametrize(
    ("outcome", "finishes"), [("length", {"MAX_TOKENS"}), ("refusal", {"SAFETY", "PROHIBITED_CONTENT"})]
)
def test_the_reason_of_the_end_is_told(google: Program, model: str, outcome: str, finishes: set[str]):
    ran = google("stopped", model=model, prompt=f"Go on. [[halley outcome={outcome}]]")
    assert ran["stopped"]["finish"] in finishes


@pytest.mark.parametrize(
    ("model", "dimensions"),
    [
        pytest.param("gemini-embedding-001", 3_072, id="the same format behind"),
        pytest.param("gemini-embedding-2-preview", 3_072, id="by another name than the vendor's"),
        pytest.param("text-embedding-3-small", 1_536, id="openai behind"),
    ],
)
def test_texts_are_embedded_one_and_several(google: Program, model: str, dimensions: int):
    own = {"embed": {"task_type": "RETRIEVAL_DOCUMENT"}} if model.startswith("gemini") else {}
    ran = google("embed", model=model, own=own)["embed"]
    assert ran["one"] == [dimensions]
    assert ran["several"] == [256, 256]
    assert abs(ran["length"] - 1) < 0.001


@pytest.mark.parametrize("version", ["v1", "v1beta"])
def test_models_are_listed_and_looked_up_in_this_format(google: Program, version: str):
    ran = google("models", version=version)["models"]
    assert {f"models/{MODEL}", "models/gpt-5.4-mini"} <= set(ran["listed"])
    assert ran["one"][0] == f"models/{MODEL}"
    assert "generateContent" in ran["one"][3]
    assert (ran["unknown"]["error"], ran["unknown"]["status"]) == ("ClientError", "NOT_FOUND")


@EACH_FORMAT
@pytest.mark.parametrize("outcome", ["cut_stream", "error_frame", "malformed_frame"])
def test_a_broken_stream_ends_in_an_error_and_never_as_if_it_were_whole(google: Program, model: str, outcome: str):
    prompt = f"Hello. [[halley outcome={outcome}]]"
    ran = google("broken_stream", model=model, prompt=prompt)["broken_stream"]
    assert ran["error"] in ("APIError", "ServerError")
    assert ran["message"]
    assert ran["text"]
    assert ran["finishes"] == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({"key": "sk-test-nobody"}, {"error": "ClientError"}, id="bad key"),
        pytest.param({"model": "no-such-model"}, {"error": "ClientError", "status": "NOT_FOUND"}, id="unknown model"),
        pytest.param(
            {"prompt": "[[halley outcome=rate_limited]]"},
            {"error": "ServerError", "code": 503, "status": "UNAVAILABLE"},
            id="the vendor is busy",
        ),
        pytest.param({"prompt": "[[halley outcome=vendor_error]]"}, {"error": "ServerError"}, id="vendor error"),
        pytest.param(
            {"model": "gpt-5.4-mini", "config": {"top_k": 5}},
            {"error": "ClientError", "code": 400, "status": "INVALID_ARGUMENT"},
            id="not conveyed",
        ),
    ],
)
def test_errors_arrive_as_the_clients_own(google: Program, given: dict[str, object], expected: dict[str, object]):
    ran = google("fail", **given)["fail"]
    assert {name: ran[name] for name in expected} == expected
    assert ran["message"]
