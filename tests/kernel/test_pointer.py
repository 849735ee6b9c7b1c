"""A few places of a body are read or replaced, and nothing else of it changes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halley.kernel.pointer import get, replaced, rewritten, strings

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)
# The examples of RFC 6901, section 5.
EXAMPLE: dict[str, Any] = {"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "m~n": 8, " ": 7}


@pytest.mark.parametrize(
    ("pointer", "expected"),
    [
        ("", EXAMPLE),
        ("/foo", ["bar", "baz"]),
        ("/foo/0", "bar"),
        ("/", 0),
        ("/a~1b", 1),
        ("/c%d", 2),
        ("/m~0n", 8),
        ("/ ", 7),
        ("/none", None),
        ("/foo/2", None),
        ("/foo/-", None),
        ("/foo/x", None),
        ("/a~1b/deeper", None),
        ("/none/deeper", None),
    ],
)
def test_place_is_read_or_none(pointer: str, expected: Any):
    assert get(EXAMPLE, pointer) == expected


def test_escaped_tilde_before_one_is_not_a_slash():
    assert get({"~1": "tilde"}, "/~01") == "tilde"


def test_pointer_without_its_slash_is_our_own_mistake():
    with pytest.raises(AssertionError):
        get(EXAMPLE, "foo")


@given(JSON, st.data())
def test_replaced_place_has_the_value_and_all_others_are_as_before(document: Any, data: st.DataObject):
    places = list(_places(document))
    pointer = data.draw(st.sampled_from(places))
    before = repr(document)
    changed = replaced(document, pointer, "new")
    assert get(changed, pointer) == "new"
    assert repr(document) == before
    for other in places:
        if not _related(other, pointer):
            assert get(changed, other) == get(document, other)


def test_new_place_is_made_with_what_leads_to_it():
    assert replaced({"a": 1}, "/b/c", 2) == {"a": 1, "b": {"c": 2}}
    assert replaced({"a": 1}, "/a/c", 2) == {"a": {"c": 2}}


def test_place_of_a_list_that_is_not_there_changes_nothing():
    assert replaced([1, 2], "/5", 9) == [1, 2]


def test_what_was_not_on_the_way_is_shared():
    document = {"big": ["x"], "small": 1}
    assert replaced(document, "/small", 2)["big"] is document["big"]


@given(JSON)
def test_rewriting_without_change_gives_the_same(document: Any):
    assert rewritten(document, str) == document


def test_every_string_is_rewritten_and_no_key():
    document = {"url": ["a", {"url": "b"}], "n": 1, "none": None}
    assert rewritten(document, str.upper) == {"url": ["A", {"url": "B"}], "n": 1, "none": None}


def _places(document: Any, at: str = "") -> list[str]:
    items: list[tuple[Any, Any]] = []
    if isinstance(document, dict):
        items = list(document.items())  # pyright: ignore[reportUnknownArgumentType] any JSON
    elif isinstance(document, list):
        items = list(enumerate(document))  # pyright: ignore[reportUnknownArgumentType] any JSON
    places = [at]
    for key, value in items:
        places += _places(value, f"{at}/{str(key).replace('~', '~0').replace('/', '~1')}")
    return places


def _related(one: str, other: str) -> bool:
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")


@given(JSON)
def test_every_text_is_found_at_its_place(document: Any):
    found = dict(strings(document, "/at"))
    whole = {"at": document}
    assert all(get(whole, place) == text for place, text in found.items())
    seen: list[str] = []
    rewritten(document, lambda text: seen.append(text) or text)
    assert sorted(found.values()) == sorted(seen)
