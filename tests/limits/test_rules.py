from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from halley.limits import RateLimit
from halley.limits.rules import (
    MINUTE_US,
    Account,
    Bucket,
    corrected,
    decide,
    drained,
    empty_after_us,
    granted,
    has_room,
    poured,
    room_after_us,
    weighed,
)

STEPS = st.lists(st.tuples(st.integers(0, 90_000_000), st.integers(0, 40)), max_size=60)
"""Microseconds since the call before, and tokens asked for."""


def limit(requests: int | None = None, tokens: int | None = None) -> RateLimit:
    return RateLimit(requests_per_minute=requests, tokens_per_minute=tokens)


def run(rate: RateLimit, steps: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Give (when, tokens) of the calls that were let through."""
    account, now, taken = Account(), 0, list[tuple[int, int]]()
    for pause, tokens in steps:
        now += pause
        account, verdict = decide(account, rate, tokens, now)
        if verdict.allowed:
            taken.append((now, tokens))
    return taken


@given(STEPS, st.integers(1, 20), st.integers(1, 60))
def test_no_window_lets_through_more_than_its_share_and_one_full_bucket(
    steps: list[tuple[int, int]], requests: int, tokens: int
):
    taken = run(limit(requests, tokens), steps)
    for first, (begin, _) in enumerate(taken):
        for last in range(first, len(taken)):
            calls = taken[first : last + 1]
            span = calls[-1][0] - begin
            assert len(calls) * MINUTE_US <= requests * (MINUTE_US + span)
            assert sum(each for _, each in calls) * MINUTE_US <= tokens * (MINUTE_US + span)


@given(STEPS, st.integers(1, 20))
def test_a_refused_call_goes_at_the_moment_that_was_named_and_not_before(steps: list[tuple[int, int]], tokens: int):
    rate = limit(3, tokens)
    account, now = Account(), 0
    for pause, asked in steps:
        now += pause
        account, verdict = decide(account, rate, asked, now)
        if verdict.allowed or asked > tokens:
            assert verdict.retry_after_s is None
            continue
        assert verdict.retry_after_s is not None
        wait_us = round(verdict.retry_after_s * 1e6)
        assert wait_us > 0
        assert not decide(account, rate, asked, now + wait_us - 1)[1].allowed
        assert decide(account, rate, asked, now + wait_us)[1].allowed


@given(STEPS, st.integers(1, 20), st.integers(0, 60_000_000))
def test_what_is_said_to_remain_can_be_taken_at_once_and_no_more(
    steps: list[tuple[int, int]], requests: int, later: int
):
    rate = limit(requests)
    account, now = Account(), 0
    for pause, _ in steps:
        now += pause
        account, _ = decide(account, rate, 0, now)
    now += later
    account, verdict = decide(account, rate, 0, now)
    for _ in range(verdict.remaining_requests or 0):
        account, verdict = decide(account, rate, 0, now)
        assert verdict.allowed
    assert not decide(account, rate, 0, now)[1].allowed


@given(STEPS, st.integers(1, 7))
def test_who_asks_evenly_within_the_limit_is_never_refused(steps: list[tuple[int, int]], requests: int):
    even = [(max(pause, -(-MINUTE_US // requests)), 0) for pause, _ in steps]
    assert len(run(limit(requests), even)) == len(even)


@given(st.integers(0, 1_000), st.integers(1, 50), st.integers(0, 10**9), st.integers(0, 10**9))
def test_it_makes_no_difference_in_how_many_steps_time_passes(units: int, per_minute: int, first: int, second: int):
    bucket = Bucket(units=units * 997, at_us=0)
    middle, end = sorted((first, second))
    assert drained(drained(bucket, per_minute, middle), per_minute, end) == drained(bucket, per_minute, end)


@given(st.integers(1, 50), st.integers(0, 60), st.integers(0, 60))
def test_tokens_given_back_at_once_leave_nothing_behind(per_minute: int, used: int, asked: int):
    before = Account(tokens=poured(Bucket(), used))
    rate = limit(tokens=per_minute)
    after, verdict = decide(before, rate, asked, 0)
    if verdict.allowed:
        assert corrected(after, rate, -asked, 0).tokens == before.tokens


def test_tokens_used_beyond_those_taken_are_owed():
    rate = limit(tokens=60)
    account, _ = decide(Account(), rate, 60, 0)
    account = corrected(account, rate, 60, 0)
    _, verdict = decide(account, rate, 1, MINUTE_US)
    assert (verdict.allowed, verdict.remaining_tokens, verdict.reset_tokens_s) == (False, 0, 60)
    assert verdict.retry_after_s == 1
    assert decide(account, rate, 60, 2 * MINUTE_US)[1].allowed


def test_a_call_without_tokens_goes_even_where_tokens_are_owed():
    rate = limit(tokens=60)
    account = corrected(Account(), rate, 600, 0)
    assert decide(account, rate, 0, 0)[1].allowed


def test_tokens_given_back_late_never_make_more_room_than_there_is():
    rate = limit(tokens=60)
    account, _ = decide(Account(), rate, 60, 0)
    account = corrected(account, rate, -60, 10 * MINUTE_US)
    assert decide(account, rate, 60, 10 * MINUTE_US)[1].remaining_tokens == 0


def test_a_call_that_finds_no_room_for_its_tokens_takes_no_request():
    account, _ = decide(Account(), limit(5, 10), 10, 0)
    account, verdict = decide(account, limit(5, 10), 1, 0)
    assert (verdict.allowed, verdict.exceeded, verdict.remaining_requests) == (False, "tokens", 4)


def test_of_two_that_stand_in_the_way_the_longer_is_named():
    account, _ = decide(Account(), limit(1, 60), 1, 0)
    assert decide(account, limit(1, 60), 60, 0)[1].exceeded == "requests"
    assert decide(account, limit(1, 60), 61, 0)[1].exceeded == "tokens"


def test_more_tokens_than_a_minute_has_never_fit():
    _, verdict = decide(Account(), limit(5, 10), 11, 0)
    assert (verdict.allowed, verdict.exceeded, verdict.retry_after_s) == (False, "tokens", None)
    assert room_after_us(Bucket(), 10, 11) is None


def test_time_that_goes_back_gives_nothing():
    full = poured(Bucket(at_us=MINUTE_US), 1)
    assert not has_room(drained(full, 1, 0), 1, 1)
    assert drained(full, 1, 0) == full


def test_a_limit_that_is_taken_away_is_forgotten():
    account, _ = decide(Account(), limit(1, 1), 1, 0)
    account, verdict = decide(account, limit(), 100, 0)
    assert (account, verdict.allowed) == (Account(), True)
    unlimited: Any = (verdict.limit_requests, verdict.remaining_requests, verdict.limit_tokens, verdict.reset_tokens_s)
    assert unlimited == (None, None, None, None)


@given(STEPS, st.integers(1, 20), st.integers(1, 60), st.integers(-200, 200))
def test_the_short_way_grants_what_the_long_one_does(
    steps: list[tuple[int, int]], requests: int, tokens: int, correction: int
):
    rate, account, now = limit(requests, tokens), Account(), 0
    for pause, asked in steps:
        now += pause
        short, (after, verdict) = granted(account, rate, asked, now), weighed(account, rate, asked, now)
        assert short == ((after, verdict) if verdict.allowed else None)
        account = corrected(after, rate, correction, now)


def amount(pieces: int, odd: int, at_us: int) -> Bucket:
    return Bucket(units=pieces * MINUTE_US + odd, at_us=at_us)


BUCKETS = st.builds(amount, st.integers(0, 20), st.integers(0, MINUTE_US), st.integers(0, 3 * MINUTE_US))
LIMITS = st.builds(limit, st.none() | st.integers(1, 70), st.integers(1, 70) | st.none())


def empty_at(bucket: Bucket, per_minute: int | None) -> int:
    return 0 if per_minute is None else bucket.at_us + empty_after_us(bucket, per_minute)


@example(Bucket(), amount(5, 1, 0), limit(3, 60), 7, 2 * MINUTE_US)
@example(amount(2, 0, 9), amount(5, 1, MINUTE_US), limit(3, 60), 7, 0)
@example(amount(2, 0, 9), amount(5, 1, 0), limit(None, 60), -90, 3)
@given(BUCKETS, BUCKETS, LIMITS, st.integers(-90, 90), st.integers(0, 4 * MINUTE_US))
def test_a_correction_lets_run_out_pours_in_and_remembers_what_has_a_limit(
    requests: Bucket, tokens: Bucket, rate: RateLimit, correction: int, now: int
):
    per_requests, per_tokens = rate.requests_per_minute, rate.tokens_per_minute
    before = Account(requests=requests, tokens=tokens, empty_at_us=7)
    after = corrected(before, rate, correction, now)
    if per_tokens is None:
        assert after == before
        return
    spent = poured(drained(tokens, per_tokens, now), correction)
    assert after == Account(
        requests=Bucket() if per_requests is None else requests,
        tokens=spent,
        empty_at_us=max(empty_at(requests, per_requests), empty_at(spent, per_tokens)),
    )
