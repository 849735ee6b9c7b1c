from hypothesis import given
from hypothesis import strategies as st

from halley.limits import Standing, Verdict, rate_headers, rate_lines

STANDINGS = st.none() | st.builds(Standing, st.integers(1, 10**9), st.integers(0, 10**9), st.integers(0, 10**12))


@given(st.booleans(), STANDINGS, STANDINGS)
def test_the_lines_are_the_headers_of_every_verdict_spelled_one_by_one(
    allowed: bool, requests: Standing | None, tokens: Standing | None
):
    verdict = Verdict(allowed=allowed, requests=requests, tokens=tokens)
    headers = rate_headers(verdict)
    assert rate_lines(verdict) == "".join(f"{name}: {value}\r\n" for name, value in headers)
    assert len(headers) == 3 * ((requests is not None) + (tokens is not None))
