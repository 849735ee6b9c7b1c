import pytest
from hypothesis import given
from hypothesis import strategies as st

from halley.idempotency.rules import checked_value, fingerprint
from halley.kernel import codec
from halley.kernel.faults import BadRequest

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


def of(body: str) -> str:
    return fingerprint("POST", "/v1/x", codec.decode(body))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param('{"a": 1, "b": {"c": 2, "d": 3}}', '{"b":{"d":3,"c":2},"a":1}', id="order of fields and spaces"),
        pytest.param('{"a": [1, 100, 0]}', '{"a": [1.0, 1e2, -0.0]}', id="spelling of numbers"),
        pytest.param('{"a": "\\u0041"}', '{"a": "A"}', id="spelling of characters"),
    ],
)
def test_the_same_request_spelled_otherwise_is_the_same(one: str, other: str):
    assert of(one) == of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param('{"a": 1}', '{"a": "1"}', id="number and text"),
        pytest.param('{"a": 1}', '{"a": true}', id="number and boolean"),
        pytest.param('{"a": 0}', '{"a": false}', id="zero and false"),
        pytest.param('{"a": null}', "{}", id="null and missing"),
        pytest.param('{"a": [1, 2]}', '{"a": [2, 1]}', id="order of an array"),
        pytest.param('{"a": 1.5}', '{"a": 1}', id="another number"),
        pytest.param('{"a": 9007199254740993}', '{"a": 9007199254740992}', id="large numbers that differ by one"),
    ],
)
def test_another_body_is_another_request(one: str, other: str):
    assert of(one) != of(other)


def test_method_and_path_and_kind_of_body_count():
    prints = {
        fingerprint("POST", "/v1/x", {"a": 1}),
        fingerprint("PUT", "/v1/x", {"a": 1}),
        fingerprint("POST", "/v1/y", {"a": 1}),
        fingerprint("POST", "/v1/x", b'{"a": 1}'),
        fingerprint("POST", "/v1/x", b'{"a":1}'),
        fingerprint("POST", "/v1/x", None),
        fingerprint("POST", "/v1/x", b""),
    }
    assert len(prints) == 7


@given(JSON)
def test_every_body_has_a_fingerprint_that_survives_the_wire(body: object):
    assert fingerprint("POST", "/", body) == fingerprint("POST", "/", codec.decode(codec.encode(body)))


@pytest.mark.parametrize("value", ["a", "x" * 255, "550e8400-e29b-41d4-a716-446655440000", "with space ~!"])
def test_printable_ascii_is_a_key(value: str):
    assert checked_value(value) == value


@pytest.mark.parametrize("value", ["", "x" * 256, "käse", "a\tb", "a\x00", "a\x7f"])
def test_what_is_no_key_is_refused_by_name(value: str):
    with pytest.raises(BadRequest) as refused:
        checked_value(value)
    assert refused.value.param == "Idempotency-Key"
