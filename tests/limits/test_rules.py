from fractions import Fraction
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from halley.limits import RateLimit, Standing
from halley.limits.rules import MINUTE_US, Account, Bucket

STEPS = st.lists(st.tuples(st.integers(0, 90_000_000), st.integers(0, 40)), max_size=60)
"""Microseconds since the call before, and tokens asked for."""


def limit(requests: int | None = None, tokens: int | None = None) -> RateLimit:
    return RateLimit(requests_per_minute=requests, tokens_per_minute=tokens)


def account(requests: int | None = None, tokens: int | None = None) -> Account:
    return Account(limit(requests, tokens))


def standing(one: Account, now_us: int) -> tuple[Standing | None, Standing | None]:
    return (
        None if one.requests is None else one.requests.standing(now_us),
        None if one.tokens is None else one.tokens.standing(now_us),
    )


def run(rate: RateLimit, steps: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Give (when, tokens) of the calls that were let through."""
    one, now, taken = Account(rate), 0, list[tuple[int, int]]()
    for pause, tokens in steps:
        now += pause
        if one.take(tokens, now).allowed:
            taken.append((now, tokens))
    return taken


class Plain:
    """A bucket as anybody would write it: a level that sinks, in fractions of a piece."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self.level = Fraction(0)
        self.at_us = 0

    def sink(self, now_us: int) -> None:
        self.level = max(Fraction(0), self.level - Fraction((now_us - self.at_us) * self.per_minute, MINUTE_US))
        self.at_us = now_us

    def has_room(self, pieces: int) -> bool:
        return not pieces or self.level + pieces <= self.per_minute

    def pour(self, pieces: int) -> None:
        self.level = max(Fraction(0), self.level + pieces)

    @property
    def standing(self) -> Standing:
        left = max(Fraction(0), self.per_minute - self.level)
        return Standing(self.per_minute, int(left), -int(-self.level * MINUTE_US // self.per_minute))


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


@given(STEPS, st.none() | st.integers(1, 20), st.none() | st.integers(1, 60), st.integers(-200, 200))
def test_it_decides_and_tells_what_a_plain_one_does(
    steps: list[tuple[int, int]], requests: int | None, tokens: int | None, correction: int
):
    one, now = account(requests, tokens), 0
    asked, spent = (None if each is None else Plain(each) for each in (requests, tokens))
    for pause, pieces in steps:
        now += pause
        plain = [(bucket, count) for bucket, count in ((asked, 1), (spent, pieces)) if bucket is not None]
        for bucket, _ in plain:
            bucket.sink(now)
        allowed = all(bucket.has_room(count) for bucket, count in plain)
        for bucket, count in plain:
            bucket.pour(count if allowed else 0)
        verdict = one.take(pieces, now)
        assert verdict.allowed == allowed
        assert verdict.requests == (None if asked is None else asked.standing)
        assert verdict.tokens == (None if spent is None else spent.standing)
        if one.tokens is not None and spent is not None:
            one.tokens.pour(correction, now)
            spent.pour(correction)


@given(STEPS, st.integers(1, 20))
def test_a_refused_call_goes_at_the_moment_that_was_named_and_not_before(steps: list[tuple[int, int]], tokens: int):
    one, now = account(3, tokens), 0
    for pause, asked in steps:
        now += pause
        verdict = one.take(asked, now)
        if verdict.allowed or asked > tokens:
            assert verdict.retry_after_s is None
            continue
        assert verdict.retry_after_s is not None
        wait_us = round(verdict.retry_after_s * 1e6)
        assert wait_us > 0
        assert not one.take(asked, now + wait_us - 1).allowed
        now += wait_us
        assert one.take(asked, now).allowed


@given(STEPS, st.integers(1, 20), st.integers(0, 60_000_000))
def test_what_is_said_to_remain_can_be_taken_at_once_and_no_more(
    steps: list[tuple[int, int]], requests: int, later: int
):
    one, now = account(requests), 0
    for pause, _ in steps:
        now += pause
        one.take(0, now)
    now += later
    verdict = one.take(0, now)
    assert verdict.requests is not None
    for _ in range(verdict.requests.remaining):
        assert one.take(0, now).allowed
    assert not one.take(0, now).allowed


@given(STEPS, st.integers(1, 7))
def test_who_asks_evenly_within_the_limit_is_never_refused(steps: list[tuple[int, int]], requests: int):
    even = [(max(pause, -(-MINUTE_US // requests)), 0) for pause, _ in steps]
    assert len(run(limit(requests), even)) == len(even)


@given(st.integers(1, 50), st.integers(0, 60), st.integers(0, 60), st.integers(0, 2 * MINUTE_US))
def test_tokens_given_back_at_once_leave_nothing_behind(per_minute: int, used: int, asked: int, now: int):
    bucket = Bucket(per_minute)
    bucket.pour(used, 0)
    before = bucket.units(now)
    if bucket.take(asked, now) is not None:
        bucket.pour(-asked, now)
    assert bucket.units(now) == before


def test_tokens_used_beyond_those_taken_are_owed():
    one = account(tokens=60)
    assert one.take(60, 0).allowed
    assert one.tokens is not None
    one.tokens.pour(60, 0)
    verdict = one.take(1, MINUTE_US)
    assert (verdict.allowed, verdict.tokens) == (False, Standing(60, 0, MINUTE_US))
    assert verdict.retry_after_s == 1
    assert one.take(60, 2 * MINUTE_US).allowed


def test_a_call_without_tokens_goes_even_where_tokens_are_owed():
    one = account(tokens=60)
    assert one.tokens is not None
    one.tokens.pour(600, 0)
    verdict = one.take(0, 0)
    assert (verdict.allowed, verdict.tokens) == (True, Standing(60, 0, 10 * MINUTE_US))


def test_tokens_given_back_late_never_make_more_room_than_there_is():
    bucket = Bucket(60)
    assert bucket.take(60, 0) is not None
    bucket.pour(-60, 10 * MINUTE_US)
    assert bucket.take(60, 10 * MINUTE_US) == Standing(60, 0, MINUTE_US)


def test_a_call_that_finds_no_room_for_its_tokens_takes_no_request():
    one = account(5, 10)
    assert one.take(10, 0).allowed
    verdict = one.take(1, 0)
    assert (verdict.allowed, verdict.exceeded) == (False, "tokens")
    assert verdict.requests == Standing(5, 4, MINUTE_US // 5)


def test_a_call_that_finds_no_room_for_itself_takes_no_tokens():
    one = account(1, 60)
    assert one.take(1, 0).allowed
    verdict = one.take(20, 0)
    assert (verdict.allowed, verdict.exceeded) == (False, "requests")
    assert verdict.tokens == Standing(60, 59, 1_000_000)


def test_of_two_that_stand_in_the_way_the_longer_is_named():
    one = account(1, 60)
    assert one.take(1, 0).allowed
    assert one.take(60, 0).exceeded == "requests"
    assert one.take(61, 0).exceeded == "tokens"


def test_more_tokens_than_a_minute_has_never_fit():
    verdict = account(5, 10).take(11, 0)
    assert (verdict.allowed, verdict.exceeded, verdict.retry_after_s) == (False, "tokens", None)
    assert Bucket(10).wait_us(11, 0) is None


def test_time_that_goes_back_gives_nothing():
    full = Bucket(1)
    assert full.take(1, MINUTE_US) is not None
    assert full.take(1, 0) is None
    assert full.units(MINUTE_US) == MINUTE_US


def test_a_limit_that_is_taken_away_is_forgotten():
    one = account(1, 1)
    assert one.take(1, 0).allowed
    one.change(limit(), 0)
    verdict = one.take(100, 0)
    unlimited: Any = (verdict.allowed, verdict.requests, verdict.tokens)
    assert unlimited == (True, None, None)
    one.change(limit(1, 1), 0)
    assert one.take(1, 0).allowed


@given(st.integers(1, 60), st.integers(0, 80), st.integers(1, 60), st.integers(0, 2 * MINUTE_US))
def test_what_was_used_counts_under_another_limit(before: int, used: int, after: int, now: int):
    one = account(before, before)
    for bucket in (one.requests, one.tokens):
        assert bucket is not None
        bucket.pour(used, 0)
    left = [bucket.units(now) for bucket in (one.requests, one.tokens) if bucket is not None]
    one.change(limit(after, after), now)
    assert [bucket.units(now) for bucket in (one.requests, one.tokens) if bucket is not None] == left
    assert standing(one, now)[0] == Standing(
        after, max(0, after * MINUTE_US - left[0]) // MINUTE_US, -(-left[0] // after)
    )


def test_an_account_is_dry_when_all_has_run_out():
    one = account(60, 60)
    assert one.is_dry(0)
    assert one.take(2, 0).allowed
    assert not one.is_dry(1_999_999)
    assert one.is_dry(2_000_000)
