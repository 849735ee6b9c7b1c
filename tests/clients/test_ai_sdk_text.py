"""Vercel's AI SDK with the providers of each format, as its users run it."""

from pathlib import Path

import pytest
from tests.clients.clients import node_steps
from tests.clients.served import KEY, Served, image

FORMATS = pytest.mark.parametrize(
    ("kind", "model"),
    [
        pytest.param("responses", "gpt-5.4-mini", id="openai, responses"),
        pytest.param("chat", "gpt-4o-mini", id="openai, chat"),
        pytest.param("compatible", "gpt-4o-mini", id="openai-compatible"),
        pytest.param("compatible", "claude-haiku-4-5", id="openai-compatible, anthropic behind"),
        pytest.param("anthropic", "claude-sonnet-4-6", id="anthropic"),
        pytest.param("google", "gemini-2.5-flash", id="google"),
    ],
)


def ai_sdk(gateway: Served, *steps: str, **given: object):
    return node_steps("ai_sdk_text.mjs", *steps, **{"key": KEY, "url": gateway.url, **given})


@FORMATS
def test_text_is_generated_and_streamed(gateway: Served, kind: str, model: str, source: Path):
    given = {"kind": kind, "model": model, "source": str(source)}
    ran = ai_sdk(gateway, "generate", "stream", "vision", **given)
    assert ran["generate"]["finish"] == ran["stream"]["finish"] == "stop"
    assert ran["stream"]["pieces"] > 3
    for answer in ran.values():
        assert "simulated" in answer["text"].lower()
    assert min(ran["generate"]["usage"]) > 0
    assert min(ran["stream"]["usage"]) > 0


@FORMATS
def test_tools_are_called_and_objects_are_made(gateway: Served, kind: str, model: str):
    given = {"kind": kind, "model": model}
    ran = ai_sdk(gateway, "tools", "toolsStreamed", "object", "objectStreamed", **given)
    assert ran["tools"]["called"] == ran["toolsStreamed"]["called"] == [{"city": "string", "days": "number"}]
    assert ran["tools"]["steps"] == ["tool-calls", "stop"]
    assert "simulated" in ran["tools"]["text"].lower()
    assert "simulated" in ran["toolsStreamed"]["text"].lower()
    assert {"tool-call", "tool-result", "text-delta", "finish"} <= set(ran["toolsStreamed"]["kinds"])
    assert ran["object"] == ran["objectStreamed"]["kinds"] == {"title": "string", "minutes": "number", "steps": "array"}


@pytest.mark.parametrize(
    ("kind", "model", "dimensions"),
    [
        pytest.param("openai", "text-embedding-3-small", 1_536, id="openai"),
        pytest.param("compatible", "text-embedding-3-small", 1_536, id="openai-compatible"),
        pytest.param("google", "gemini-embedding-001", 3_072, id="google"),
    ],
)
def test_texts_are_embedded(gateway: Served, kind: str, model: str, dimensions: int):
    ran = ai_sdk(gateway, "embed", kind=kind, model=model)["embed"]
    assert ran["dimensions"] == [dimensions, dimensions]


def test_an_image_is_drawn_and_speech_is_made_and_heard(gateway: Served, tmp_path: Path):
    path = tmp_path / "out"
    own = {
        "draw": {"model": "gpt-image-1", "size": "1024x1024", "path": str(path)},
        "speakAndTranscribe": {"model": "tts-1", "transcriber": "whisper-1"},
    }
    ran = ai_sdk(gateway, *own, own=own)
    assert image(path.read_bytes()) == ("PNG", (1024, 1024))
    assert ran["speakAndTranscribe"]["size"] > 1_000
    assert ran["speakAndTranscribe"]["text"]


@pytest.mark.parametrize(
    ("kind", "model", "status"),
    [
        pytest.param("chat", "gpt-4o-mini", 429, id="openai, chat"),
        pytest.param("anthropic", "claude-sonnet-4-6", 529, id="anthropic"),
        pytest.param("google", "gemini-2.5-flash", 503, id="google"),
    ],
)
def test_a_busy_vendor_is_told_as_each_format_tells_it(gateway: Served, kind: str, model: str, status: int):
    given = {"kind": kind, "model": model, "prompt": "[[halley outcome=rate_limited]]"}
    ran = ai_sdk(gateway, "fail", **given)["fail"]
    assert (ran["error"], ran["status"]) == ("AI_APICallError", status)
    assert ran["message"]
