"""The PyPI package `openai` at `/v1/realtime`: turns of text and sound, a function and an interruption."""

from collections.abc import Iterator

import pytest
from tests.clients.clients import Program, program
from tests.clients.served import KEY, Served


@pytest.fixture(scope="module")
def openai(gateway: Served) -> Iterator[Program]:
    with program("sdks", "openai_realtime.py", key=KEY, url=gateway.url, model="gpt-realtime") as running:
        yield running


def test_a_session_begins_and_is_changed(openai: Program):
    ran = openai("session")["session"]
    assert ran["model"].startswith("gpt-realtime")
    assert (ran["kind"], ran["modalities"]) == ("realtime", ["text"])
    assert ran["instructions"] == "You are a lighthouse keeper."


def test_a_text_is_answered_turn_by_turn(openai: Program):
    ran = openai("text_turn")["text_turn"]
    assert "simulated" in ran["text"].lower()
    assert ran["text"] == ran["final"]
    assert (ran["status"], ran["again"], ran["other"]) == ("completed", "completed", True)
    assert ran["usage"]["output_token_details"]["text_tokens"] > 0
    order = [ran["kinds"].index(f"response.{name}") for name in ("created", "output_item.added", "output_text.delta")]
    assert order == sorted(order)
    assert ran["kinds"][-1] == "response.done"


def test_sound_is_answered_with_sound(openai: Program):
    ran = openai("audio_turn")["audio_turn"]
    assert ran["status"] == "completed"
    assert "input_audio_buffer.committed" in ran["kinds"]
    assert ran["bytes"] > 4_800
    assert ran["loudest"] > 500
    assert "simulated" in ran["transcript"].lower()
    assert ran["usage"]["input_token_details"]["audio_tokens"] > 0
    assert ran["usage"]["output_token_details"]["audio_tokens"] > 0


def test_a_function_is_called_and_its_answer_is_spoken_of(openai: Program):
    ran = openai("function_call")["function_call"]
    assert ran["items"] == ["function_call"]
    assert set(ran["arguments"]) == {"city", "unit", "days"}
    assert ran["joined"]
    assert "simulated" in ran["text"].lower()


def test_an_answer_is_interrupted(openai: Program):
    ran = openai("interruption")["interruption"]
    assert ran == {"status": "cancelled", "reason": "client_cancelled", "cut": 20, "after": "completed"}


def test_a_mistake_is_told_and_the_session_goes_on(openai: Program):
    ran = openai("mistake")["mistake"]
    assert (ran["type"], ran["kind"], ran["event"]) == ("error", "invalid_request_error", "mine")
    assert "no.such.event" in ran["message"]
    assert ran["after"] == "completed"


@pytest.mark.parametrize(
    ("given", "status", "code"),
    [
        pytest.param({"key": "sk-test-nobody"}, 401, "invalid_api_key", id="bad key"),
        pytest.param({"model": "no-such-model"}, None, "model_not_found", id="unknown model"),
    ],
)
def test_a_session_is_refused_before_it_begins(
    openai: Program, given: dict[str, object], status: int | None, code: str
):
    ran = openai("refused", **given)["refused"]
    assert ran["body"]["error"]["code"] == code
    assert ran["status"] in (status, 404, 503)


def test_sound_is_written_down_in_a_session_without_a_model(openai: Program):
    ran = openai("transcription")["transcription"]
    assert ran["transcript"]
    assert ran["tokens"] > 0
