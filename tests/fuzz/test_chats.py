"""Made-up chats in every format, answered by vendors of every other: refused by name or answered, never a 500."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from tests.clients.served import Reply, Served
from tests.wire.strategies import calls, messages, orders, sampling, texts

from halley.kernel.chat import ChatOrder
from halley.kernel.codec import decode_object, encode
from halley.kernel.faults import NotConveyed
from halley.kernel.loose import as_list, as_object
from halley.kernel.operation import Operation
from halley.wire.formats import CHAT_FORMATS

MODELS = ("gpt-4.1-nano", "claude-haiku-4-5", "gemini-2.5-flash")
ROUTES: Mapping[str, Operation] = {
    "/v1/chat/completions": Operation.CHAT,
    "/v1/messages": Operation.MESSAGES,
    "/v1/responses": Operation.RESPONSES,
    "/v1beta/models": Operation.CONTENT,
}
EXAMPLES_MAX = 80
REFUSED = frozenset((400, 404, 413, 422, 429))

_words = st.text(max_size=8) | st.sampled_from(["user", "tool", "text", "auto", "json_schema", "function", "model"])
_json: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(-1e300, 1e300) | _words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_words, inner, max_size=3),
    max_leaves=8,
)
_few = {"tools": st.just(()), "tool_choice": st.none(), "reasoning": st.none(), "output": st.none()}
_plain = orders(messages(texts, texts), **_few, output_tokens_max=st.just(64))
_rich = orders(messages(texts, texts | calls), **sampling)


@st.composite
def _bodies(draw: st.DrawFn, operation: Operation) -> dict[str, Any]:
    """An order as its format writes it; of some one value, however deep, is another."""
    order: ChatOrder = draw(_plain | _rich)
    try:
        body = decode_object(encode(CHAT_FORMATS[operation].write_order(order)))
    except NotConveyed:
        reject()
    if draw(st.integers(0, 2)) == 0:
        _put(draw, body)
    return body


def _put(draw: st.DrawFn, value: Any) -> None:
    """Replace one value somewhere inside."""
    names = _names(value)
    while names:
        name = draw(st.sampled_from(names))
        names = _names(value[name])
        if not names or draw(st.integers(0, 3)) == 0:
            value[name] = draw(_json)
            return
        value = value[name]


def _names(value: Any) -> list[Any]:
    return sorted(as_object(value)) or list(range(len(as_list(value))))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("route", ROUTES)
def test_a_made_up_chat_is_answered_or_refused(gateway: Served, route: str, model: str):
    answered = 0

    @settings(
        max_examples=EXAMPLES_MAX,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )
    @given(body=_bodies(ROUTES[route]))
    def never_fails(body: dict[str, Any]) -> None:
        nonlocal answered
        reply = send(gateway, route, model, body)
        assert_answered_or_refused(reply)
        answered += reply.status == 200

    never_fails()
    assert answered, "none of them was an order"
    gateway.assert_books_are_sound()


def send(gateway: Served, route: str, model: str, body: dict[str, Any]) -> Reply:
    if route != "/v1beta/models":
        return gateway.ask("POST", route, {**body, "model": model})
    verb = "streamGenerateContent?alt=sse" if len(body) % 2 else "generateContent"
    return gateway.ask("POST", f"{route}/{model}:{verb}", body)


def assert_answered_or_refused(reply: Reply) -> None:
    if reply.status == 200:
        assert reply.body
        return
    assert reply.status in REFUSED, reply.text
    assert reply.json["error"]["message"]
