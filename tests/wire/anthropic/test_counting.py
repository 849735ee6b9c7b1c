from typing import Any

import pytest

from halley.wire.anthropic.counting import read_count, read_count_order, write_count, write_count_order


def test_what_is_counted_needs_no_size_of_the_output():
    order = read_count_order({"model": "m", "messages": [{"role": "user", "content": "Hi"}], "system": "s"})
    assert write_count_order(order) == {
        "model": "m",
        "system": "s",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
    }


def test_a_count_goes_both_ways():
    assert read_count(write_count(7)) == 7


@pytest.mark.parametrize("bad", [{}, {"input_tokens": "7"}, {"input_tokens": -1}])
def test_a_reply_without_a_count_is_no_answer(bad: dict[str, Any]):
    with pytest.raises(ValueError):
        read_count(bad)
