"""LangChain with `langchain-openai` and `langchain-anthropic`, as its users run it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.clients.clients import Program, program
from tests.clients.served import KEY, Served

FORMATS = pytest.mark.parametrize(
    ("kind", "model"),
    [
        pytest.param("chat", "gpt-4o-mini", id="chat completions"),
        pytest.param("responses", "gpt-5.4-mini", id="responses"),
        pytest.param("anthropic", "claude-sonnet-4-6", id="messages"),
        pytest.param("chat", "claude-haiku-4-5", id="chat completions, anthropic behind"),
    ],
)


@pytest.fixture(scope="module")
def langchain(gateway: Served) -> Iterator[Program]:
    with program("sdks", "langchain_client.py", key=KEY, url=gateway.url) as running:
        yield running


@FORMATS
def test_a_chat_is_answered_whole_in_batches_and_streamed(langchain: Program, kind: str, model: str, source: Path):
    ran = langchain("invoke", "batch", "stream", "vision", kind=kind, model=model, source=str(source))
    for text in (ran["invoke"]["text"], *ran["batch"]["texts"], ran["stream"]["text"], ran["vision"]["text"]):
        assert "simulated" in text.lower()
    assert min(ran["invoke"]["usage"]) > 0
    assert min(ran["stream"]["usage"]) > 0
    assert ran["stream"]["chunks"] > 3


@FORMATS
def test_tools_are_called_and_output_is_structured(langchain: Program, kind: str, model: str):
    steps = ("bind_tools", "bind_tools_streamed", "structured", "structured_by_tool")
    ran = langchain(*steps, kind=kind, model=model)
    for called in (ran["bind_tools"], ran["bind_tools_streamed"]):
        assert called["name"] == "weather"
        assert set(called["args"]) == {"city", "days"}
    assert "simulated" in ran["bind_tools"]["text"].lower()
    for recipe in (ran["structured"], ran["structured_by_tool"]):
        assert recipe == {"title": "str", "minutes": "int", "steps": "list"}


def test_texts_are_embedded_as_token_arrays(langchain: Program):
    ran = langchain("embed", model="text-embedding-3-small")["embed"]
    assert ran == {"documents": [1_536] * 3, "query": 1_536}
