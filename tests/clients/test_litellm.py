"""The PyPI package `litellm` as a client of the gateway, in three formats."""

from collections.abc import Iterator

import pytest
from tests.clients.clients import Program, program
from tests.clients.served import KEY, Served


@pytest.fixture(scope="module")
def litellm(gateway: Served) -> Iterator[Program]:
    with program("litellm", "litellm_client.py", key=KEY, url=gateway.url) as running:
        yield running


@pytest.mark.parametrize(
    "model",
    [
        pytest.param("openai/gpt-5.4-mini", id="openai"),
        pytest.param("anthropic/claude-sonnet-4-6", id="anthropic"),
        pytest.param("gemini/gemini-2.5-flash", id="gemini"),
    ],
)
def test_a_chat_is_answered_streamed_helped_by_tools_and_refused(litellm: Program, model: str):
    own = {"fail": {"key": "sk-test-nobody"}}
    ran = litellm("complete", "stream", "tools", "fail", model=model, own=own)
    for answer in (ran["complete"], ran["stream"]):
        assert "simulated" in answer["text"].lower()
        assert answer["finish"] == "stop"
        assert min(answer["usage"]) > 0
    assert ran["stream"]["chunks"] > 3
    assert ran["tools"]["name"] == "weather"
    assert set(ran["tools"]["arguments"]) == {"city", "days"}
    assert "simulated" in ran["tools"]["text"].lower()
    assert ran["fail"]["error"] == "AuthenticationError"


def test_texts_pictures_and_speech_are_made(litellm: Program):
    own = {
        "embed": {"model": "openai/text-embedding-3-small"},
        "rerank": {"model": "hosted_vllm/qwen3-reranker-8b"},
        "draw": {"model": "openai/gpt-image-1"},
        "speak": {"model": "openai/tts-1"},
    }
    ran = litellm(*own, own=own)
    assert ran["embed"] == {"dimensions": [1_536, 1_536]}
    assert ran["rerank"]["order"][0] == 1
    assert len(ran["rerank"]["order"]) == 2
    assert ran["draw"]["b64"]
    assert ran["speak"]["start"] == "RIFF"
