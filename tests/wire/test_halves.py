import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halley.kernel.codec import decode
from halley.kernel.sse import Frame
from halley.wire.halves import Halves, without


def joined(*frames: bytes) -> list[Any]:
    halves = Halves()
    return [decode(halves.joined(Frame(data)).data) for data in frames]


@pytest.mark.parametrize(
    ("frames", "texts"),
    [
        pytest.param((rb'["a \ud83d"]', rb'["\ude00 b"]'), [["a "], ["😀 b"]], id="cut in two"),
        pytest.param((rb'["\uD83D"]', rb'["\uDE00"]'), [[""], ["😀"]], id="nothing else"),
        pytest.param(
            (rb'["\ud83d"]', b'["x"]', rb'["\u00e9 \ud83d\ude00"]', rb'["\ude00"]'), None, id="others between"
        ),
        pytest.param(
            (rb'["a\ud83d","a\ud83d"]', rb'["\ude00b","\ude00b"]'), [["a", "a"], ["😀b", "😀b"]], id="told twice"
        ),
        pytest.param(
            (rb'["a\ud83d"]', rb'["b\ud83c"]', rb'["\ude00"]', rb'["\udf89"]'),
            [["a"], ["b"], ["\ufffd"], ["\ufffd"]],
            id="of two answers",
        ),
        pytest.param((rb'["\ud83d a"]', rb'["b \ude00"]'), [["\ufffd a"], ["b \ufffd"]], id="within a text"),
        pytest.param((rb'["\ude00"]',), [["\ufffd"]], id="no first half"),
        pytest.param((rb'["\"\ud83d\"","\\ud83d"]',), [['"\ufffd"', "\\ud83d"]], id="escapes around it"),
        pytest.param((rb'["\ud83d\ud83d\ude00"]',), [["\ufffd😀"]], id="before a whole one"),
    ],
)
def test_halves_are_put_together(frames: tuple[bytes, ...], texts: list[Any] | None):
    assert joined(*frames) == (texts or [[""], ["x"], ["é 😀"], ["😀"]])


@pytest.mark.parametrize("data", [rb'["\ud83"x"]', rb'["\ud83d\ude0"x"]', rb'["\ude0"x"]'])
def test_what_is_no_json_is_not_made_json(data: bytes):
    with pytest.raises(ValueError):
        joined(data)


@given(st.lists(st.text(st.characters(), max_size=5) | st.sampled_from(["a\ud83d", "\\", "\ude00b", '"']), max_size=6))
def test_nothing_but_lone_halves_is_changed(texts: list[str]):
    read = [text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass") for text in texts]
    assert decode(without(json.dumps(texts).encode())) == [re.sub("[\ud800-\udfff]", "\ufffd", text) for text in read]
