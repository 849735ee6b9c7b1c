from urllib.parse import parse_qsl

from hypothesis import given
from hypothesis import strategies as st

from halley.api.app import QUERY_FIELDS_MAX, read_query


@given(st.lists(st.sampled_from(["a", "id", "=", "&", "1.5", "_~", "%20", "+", ";", "%", "ä"]), max_size=12))
def test_a_query_is_read_as_the_standard_library_reads_it(pieces: list[str]):
    raw = "".join(pieces).encode("latin-1")
    assert read_query(raw) == parse_qsl(raw.decode("latin-1"), keep_blank_values=True)


def test_as_many_fields_as_may_be_are_read():
    raw = b"&".join(b"a=%d" % number for number in range(QUERY_FIELDS_MAX))
    assert len(read_query(raw)) == QUERY_FIELDS_MAX
