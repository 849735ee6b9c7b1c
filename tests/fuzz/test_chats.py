"""Made-up chats in every format, answered by a vendor of another one: refused by name or answered, never a 500."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.clients.served import Reply, Served

OPENAI, ANTHROPIC, GEMINI = "gpt-4.1-nano", "claude-haiku-4-5", "gemini-2.5-flash"
MODELS = {OPENAI: "openai", ANTHROPIC: "anthropic", GEMINI: "gemini"}
ROUTES = ("/v1/chat/completions", "/v1/messages", "/v1/responses", "content")
EXAMPLES_MAX = 25
SOUND = {200, 400, 404, 413, 422, 429, 529}

_WORDS = st.text(max_size=12) | st.sampled_from(["user", "assistant", "system", "tool", "model", "developer", "auto"])
_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS, inner, max_size=3),
    max_leaves=8,
)


def _near(**known: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """An object of which each field is mostly good, sometimes bad or missing."""
    return st.fixed_dictionaries({}, optional={name: _mostly(good) for name, good in known.items()})


def _mostly(good: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.integers(0, 19).flatmap(lambda chance: _JSON if chance == 0 else good)


_TYPES = st.sampled_from(
    [
        *("text", "image_url", "image", "input_audio", "file", "document", "tool_use", "tool_result", "thinking"),
        *("input_text", "output_text", "input_image", "function_call", "function_call_output", "message", "reasoning"),
    ]
)
_PART = _near(
    type=_TYPES, text=_WORDS, id=_WORDS, name=_WORDS, input=_JSON, source=_JSON, image_url=_JSON, content=_JSON
)
_CONTENT = _WORDS | st.lists(_PART, max_size=3)
_CALL = _near(id=_WORDS, type=st.just("function"), function=_near(name=_WORDS, arguments=_WORDS))
_MESSAGE = _near(
    role=_WORDS, content=_CONTENT, tool_calls=st.lists(_CALL, max_size=2), tool_call_id=_WORDS, name=_WORDS
)
_TOOL = _near(
    type=st.sampled_from(["function", "custom", "web_search"]),
    function=_near(name=_WORDS, parameters=_JSON, strict=st.booleans()),
    name=_WORDS,
    input_schema=_JSON,
    parameters=_JSON,
)
_COMMON: dict[str, st.SearchStrategy[Any]] = {
    "stream": st.booleans(),
    "temperature": st.floats(0, 2),
    "max_tokens": st.integers(1, 64),
    "tools": st.lists(_TOOL, max_size=2),
    "tool_choice": st.sampled_from(["auto", "none", "required"]),
    "stop": _WORDS,
    "n": st.integers(1, 3),
    "response_format": _near(type=st.sampled_from(["text", "json_object", "json_schema"]), json_schema=_JSON),
    "thinking": _near(type=st.just("enabled"), budget_tokens=st.integers(1024, 2048)),
    "reasoning_effort": st.sampled_from(["low", "high"]),
    "stream_options": _near(include_usage=st.booleans()),
    "system": _CONTENT,
    "metadata": _JSON,
}
_ROLES = st.sampled_from(["user", "user", "user", "assistant", "model"]) | _WORDS
_GEMINI_PART = st.builds(dict, text=_WORDS) | _near(
    text=_WORDS,
    inlineData=_near(mimeType=st.just("image/png"), data=_WORDS),
    functionCall=_near(name=_WORDS, args=_JSON),
    functionResponse=_near(name=_WORDS, response=_JSON),
    fileData=_JSON,
)
_GEMINI_PARTS = st.lists(_GEMINI_PART, min_size=1, max_size=2)
_CONTENTS = st.lists(
    st.builds(dict, role=st.sampled_from(["user", "model"]), parts=_GEMINI_PARTS)
    | _near(role=_ROLES, parts=_GEMINI_PARTS),
    min_size=1,
    max_size=2,
)
_GEMINI = {
    "systemInstruction": _near(parts=_GEMINI_PARTS),
    "generationConfig": _near(maxOutputTokens=st.integers(1, 64), candidateCount=st.integers(1, 2)),
    "tools": st.lists(_near(functionDeclarations=st.lists(_TOOL, max_size=2)), max_size=2),
    "toolConfig": _JSON,
    "safetySettings": _JSON,
}
_MESSAGES = st.lists(_MESSAGE, min_size=1, max_size=3)


@st.composite
def _bodies(
    draw: st.DrawFn, needed: dict[str, st.SearchStrategy[Any]], rest: dict[str, st.SearchStrategy[Any]]
) -> dict[str, Any]:
    """A body with what is needed, mostly good, and at most two of the other fields."""
    names = draw(st.lists(st.sampled_from(sorted(rest)), max_size=2, unique=True))
    chosen = needed | {name: rest[name] for name in names}
    return {name: draw(_mostly(good)) for name, good in chosen.items()}


_BODIES: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "/v1/chat/completions": _bodies({"messages": _MESSAGES}, _COMMON),
    "/v1/messages": _bodies({"messages": _MESSAGES, "max_tokens": st.integers(1, 64)}, _COMMON),
    "/v1/responses": _bodies({"input": _WORDS | st.lists(_MESSAGE | _PART, min_size=1, max_size=3)}, _COMMON),
    "content": _bodies({"contents": _CONTENTS}, _GEMINI),
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("route", ROUTES)
def test_a_made_up_chat_is_answered_or_refused(gateway: Served, route: str, model: str):
    @settings(
        max_examples=EXAMPLES_MAX,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=tuple(HealthCheck),
    )
    @given(body=_BODIES[route])
    def never_fails(body: dict[str, Any]) -> None:
        _check(_send(gateway, route, model, body))

    never_fails()
    gateway.assert_books_are_sound()


def _send(gateway: Served, route: str, model: str, body: dict[str, Any]) -> Reply:
    if route != "content":
        return gateway.ask("POST", route, {**body, "model": model})
    verb = "streamGenerateContent?alt=sse" if body.get("tools") else "generateContent"
    return gateway.ask("POST", f"/v1beta/models/{model}:{verb}", body)


def _check(reply: Reply) -> None:
    assert reply.status in SOUND, reply.text
    if reply.status != 200:
        assert reply.json["error"]["message"]
    elif not reply.headers["content-type"].startswith("text/event-stream"):
        assert isinstance(reply.json, dict)
