from hypothesis import given
from hypothesis import strategies as st

from halley.limits import RateLimit, rate_headers, rate_lines
from halley.limits.rules import MINUTE_US, Account, Bucket, weighed

PER_MINUTE = st.none() | st.integers(1, 10**6)
UNITS = st.integers(0, 10**9 * MINUTE_US)


@given(PER_MINUTE, PER_MINUTE, UNITS, UNITS, st.integers(0, 100))
def test_the_lines_are_the_headers_of_every_verdict_spelled_one_by_one(
    requests: int | None, tokens: int | None, units: int, spent: int, asked: int
):
    account = Account(requests=Bucket(units=units), tokens=Bucket(units=spent))
    rate = RateLimit(requests_per_minute=requests, tokens_per_minute=tokens)
    _, verdict = weighed(account, rate, asked, 0)
    headers = rate_headers(verdict)
    assert rate_lines(verdict) == "".join(f"{name}: {value}\r\n" for name, value in headers)
    assert len(headers) == 3 * ((requests is not None) + (tokens is not None))
