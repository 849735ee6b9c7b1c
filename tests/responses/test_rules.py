"""Items of a conversation."""

from typing import Any

import pytest

from halley.responses import Turn
from halley.responses.rules import history, input_items, listed, output_items, page

SAID: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "status": "completed",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "Hi", "annotations": [{"type": "url_citation"}], "logprobs": []}],
}
CALLED: dict[str, Any] = {
    "id": "fc_1",
    "type": "function_call",
    "status": "completed",
    "call_id": "c",
    "name": "f",
    "arguments": "{}",
}
SEALED: dict[str, Any] = {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "gAAAA"}
THOUGHT: dict[str, Any] = {"id": "rs_2", "type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}


def turn(name: str, given: Any, *output: Any) -> Turn:
    return Turn(id=f"kept_{name}", channel_id="chan_1", input=input_items(given), output=output)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("Hello", ({"type": "message", "role": "user", "content": "Hello"},), id="text"),
        pytest.param([{"role": "user"}], ({"role": "user"},), id="items"),
        pytest.param(None, (), id="none"),
        pytest.param({"a": 1}, (), id="neither"),
    ],
)
def test_an_input_is_read_as_items(value: Any, expected: tuple[Any, ...]):
    assert input_items(value) == expected


def test_an_output_is_read_with_the_benefit_of_the_doubt():
    assert output_items({"output": [SAID]}) == (SAID,)
    assert output_items({"output": None}) == output_items([]) == ()


def test_history_leaves_out_what_only_its_maker_understands():
    told = list(history([turn("a", "Hello", SAID, CALLED)]))
    assert told == [
        {"type": "message", "role": "user", "content": "Hello"},
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Hi", "annotations": []}],
        },
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
    ]


def test_items_of_other_kinds_stay_as_they_are():
    search = {"id": "ws_1", "type": "web_search_call", "status": "completed"}
    assert list(history([turn("a", [search, 7])])) == [search, 7]


@pytest.mark.parametrize(("channel", "sealed"), [("chan_1", 1), ("chan_2", 0), (None, 0)])
def test_sealed_thoughts_return_to_their_channel_and_others_to_nobody(channel: str | None, sealed: int):
    told = list(history([turn("a", [], THOUGHT, SEALED)], channel))
    assert told == [{"type": "reasoning", "summary": [], "encrypted_content": "gAAAA"}] * sealed


def test_a_list_of_what_a_response_was_made_from_ends_before_its_own_output():
    items = list(
        listed([turn("a", "Hello", SAID), turn("b", [{"role": "assistant", "content": "x"}], CALLED)], "kept_b")
    )
    assert [item["id"] for item in items] == ["msg_a_0", "msg_1", "msg_b_0"]
    assert items[0]["content"] == [{"type": "input_text", "text": "Hello"}]
    assert items[2]["content"] == [{"type": "output_text", "text": "x", "annotations": []}]
    assert items[2]["type"] == "message"


def test_no_two_items_of_a_list_have_one_id():
    items = list(listed([turn("a", [SAID, SAID, {"type": "odd"}])], "kept_a"))
    assert [item["id"] for item in items] == ["msg_1", "msg_a_1", "item_a_2"]


def test_pages_follow_each_other_to_the_end():
    items = [{"id": name} for name in "abc"]
    first = page(items, after=None, limit=2, ascending=True)
    assert ([item["id"] for item in first.items], first.has_more) == (["a", "b"], True)
    second = page(items, after="b", limit=2, ascending=True)
    assert ([item["id"] for item in second.items], second.has_more) == (["c"], False)
    newest = page(items, after="c", limit=1, ascending=False)
    assert [item["id"] for item in newest.items] == ["b"]


def test_a_page_after_an_unknown_item_is_refused():
    with pytest.raises(ValueError, match="no item"):
        page([{"id": "a"}], after="b", limit=1, ascending=True)
