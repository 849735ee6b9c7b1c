from typing import Any

import pytest

from halley.kernel.chat import Role
from halley.kernel.faults import BadRequest
from halley.wire.gemini.counting import read_count, read_count_order, write_count, write_count_order

CONTENTS: list[dict[str, Any]] = [{"role": "user", "parts": [{"text": "Hi"}]}]


def test_contents_alone_are_counted():
    order = read_count_order({"model": "m", "contents": CONTENTS})
    assert write_count_order(order) == {"generateContentRequest": {"model": "models/m", "contents": CONTENTS}}


def test_a_whole_order_is_counted():
    whole = {"model": "models/m", "contents": CONTENTS, "systemInstruction": {"parts": [{"text": "s"}]}}
    order = read_count_order({"model": "m", "generateContentRequest": whole})
    assert [message.role for message in order.messages] == [Role.SYSTEM, Role.USER]
    assert write_count_order(order)["generateContentRequest"] == whole


def test_what_is_wrong_inside_is_named_by_its_place():
    with pytest.raises(BadRequest) as caught:
        read_count_order({"model": "m", "generate_content_request": {"contents": [1]}})
    assert caught.value.param == "generateContentRequest.contents[0]"


def test_a_count_goes_both_ways():
    assert read_count(write_count(7)) == 7


@pytest.mark.parametrize("bad", [{"totalTokens": "7"}, {"totalTokens": -1}])
def test_a_reply_without_a_count_is_no_answer(bad: dict[str, Any]):
    with pytest.raises(ValueError):
        read_count(bad)
