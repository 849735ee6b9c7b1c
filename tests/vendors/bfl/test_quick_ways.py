"""What is read quickly where nothing is odd is what would have been read anyway."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from tests.vendors.bfl.support import reply

from halley.kernel import codec
from halley.kernel.faults import BadRequest
from halley.kernel.loose import REPLY_BYTES_MAX, fitted
from halley.vendors.bfl import TASKS
from halley.vendors.bfl.fields import KINDS, MODELS
from halley.vendors.bfl.wire import read_any, read_plain
from halley.vendors.contract import TaskRef

_NUMBERS = st.sampled_from((0, 1, -1, 512, 1024.0, 2.5, 2**31 - 1, 2**31, 2**63 - 1, 2**63, 1e300, 0.0))
_VALUES = st.one_of(_NUMBERS, st.booleans(), st.none(), st.sampled_from(("", "a", "16:9", "https://a/b")), st.just([]))
_FIELDS = ("prompt", "width", "seed", "guidance", "raw", *KINDS, "a_new_field")
_BODIES = st.dictionaries(st.sampled_from(_FIELDS), _VALUES, max_size=5)
_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**60), 2**60), st.floats(allow_nan=False), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=8,
)
_REF = TaskRef(vendor_task_id="a")


@given(model=st.sampled_from((*MODELS, "a-new-model")), body=_BODIES, prompt=st.sampled_from((None, "", "a fox")))
def test_what_is_read_as_plain_is_read_the_same_the_long_way(model: str, body: dict[str, Any], prompt: str | None):
    if prompt is not None:
        body = {"prompt": prompt, **body}
    plain = read_plain(model, body)
    try:
        assert plain is None or plain == read_any(model, body)
    except BadRequest as error:
        raise AssertionError(body) from error


def test_an_ordinary_order_is_plain():
    body = {"prompt": "a fox", "width": 1024, "seed": 1, "guidance": 2.5, "raw": False, "output_format": "png"}
    assert read_plain("flux-pro-1.1-ultra", body) is not None


@given(value=st.dictionaries(st.text(), _JSON, max_size=4), spread=st.booleans())
def test_a_small_reply_is_kept_whole(value: dict[str, Any], spread: bool):
    # However a vendor spells its numbers and texts, it says no more than fits.
    value = {**value, "id": "a", "status": "Pending"}
    body = msgspec.json.format(codec.encode(value), indent=2) if spread else codec.encode(value)
    report = TASKS.read_report(reply(body), _REF)
    assert report.raw == fitted(codec.decode(body), known=("id", "status", "result", "progress"))


def test_a_number_in_short_does_not_make_a_reply_too_large():
    numbers = b",".join([b"1e15"] * (REPLY_BYTES_MAX // 8 // 5 - 20))
    body = b'{"id":"a","status":"Pending","numbers":[' + numbers + b"]}"
    assert len(body) * 8 <= REPLY_BYTES_MAX
    report = TASKS.read_report(reply(body), _REF)
    assert "numbers" in report.raw
    assert len(codec.encode(report.raw)) <= REPLY_BYTES_MAX


@given(
    spent=st.one_of(st.integers(0, 1000), st.decimals(0, 1000, places=9).map(str).map(lambda text: f"{text}1")),
    nested=_JSON,
)
def test_a_cost_is_exact_whatever_stands_beside_it(spent: int | str, nested: Any):
    told = b'"cost":%s,"result":%s' % (str(spent).encode(), codec.encode(nested))
    ordered = TASKS.read_accepted(reply(b'{"id":"a",%s}' % told))
    polled = TASKS.read_report(reply(b'{"id":"a","status":"Pending",%s}' % told), _REF)
    alone = TASKS.read_accepted(reply(b'{"id":"a","cost":%s}' % str(spent).encode()))
    assert ordered.vendor_cost == polled.vendor_cost == alone.vendor_cost
