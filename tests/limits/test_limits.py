import pytest

from halley.limits import Limits, RateLimit, Standing, Verdict, rate_headers
from halley.limits.headers import duration

ONE = RateLimit(requests_per_minute=1)
TOKENS = RateLimit(tokens_per_minute=100)


def remaining_tokens(verdict: Verdict) -> int:
    assert verdict.tokens is not None
    return verdict.tokens.remaining


def test_a_full_minute_may_come_at_once_and_then_evenly():
    limits, rate = Limits(), RateLimit(requests_per_minute=60)
    assert all(limits.take("k", rate, tokens=0, now_s=5).allowed for _ in range(60))
    refused = limits.take("k", rate, tokens=0, now_s=5)
    assert (refused.allowed, refused.retry_after_s) == (False, 1)
    assert refused.requests == Standing(60, 0, 60_000_000)
    assert limits.take("k", rate, tokens=0, now_s=6).allowed
    assert not limits.take("k", rate, tokens=0, now_s=6).allowed


def test_keys_do_not_touch_each_other():
    limits = Limits()
    for _ in range(100):
        limits.take("greedy", ONE, tokens=0, now_s=1)
    assert limits.take("modest", ONE, tokens=0, now_s=1).allowed


def test_refused_calls_cost_nothing():
    limits = Limits()
    limits.take("k", ONE, tokens=0, now_s=0)
    for second in range(60):
        assert not limits.take("k", ONE, tokens=0, now_s=second).allowed
    assert limits.take("k", ONE, tokens=0, now_s=60).allowed


def test_what_was_taken_too_much_is_given_back_and_what_was_too_little_is_taken():
    limits = Limits()
    assert remaining_tokens(limits.take("k", TOKENS, tokens=80, now_s=0)) == 20
    limits.correct("k", TOKENS, tokens=-70, now_s=0)
    assert remaining_tokens(limits.take("k", TOKENS, tokens=0, now_s=0)) == 90
    limits.correct("k", TOKENS, tokens=50, now_s=0)
    assert remaining_tokens(limits.take("k", TOKENS, tokens=0, now_s=0)) == 40


def test_a_key_without_limits_is_not_remembered():
    limits = Limits()
    assert limits.take("k", RateLimit(), tokens=10**9, now_s=0) == Verdict(allowed=True)
    limits.correct("k", ONE, tokens=5, now_s=0)
    assert len(limits) == 0


def test_keys_that_are_quiet_are_forgotten_as_others_come():
    limits = Limits()
    for number in range(1_000):
        limits.take(f"old{number}", ONE, tokens=0, now_s=0)
    for number in range(1_000):
        limits.take(f"new{number}", ONE, tokens=0, now_s=60)
    assert len(limits) == 1_000
    assert not limits.take("new0", ONE, tokens=0, now_s=60).allowed


def test_no_more_keys_are_remembered_than_there_is_room_for():
    limits = Limits(keys_max=10)
    for number in range(50):
        limits.take(f"k{number}", ONE, tokens=0, now_s=0)
    assert len(limits) == 10
    assert not limits.take("k49", ONE, tokens=0, now_s=0).allowed


def test_a_lower_limit_counts_what_was_used_under_the_higher_one():
    limits = Limits()
    for _ in range(10):
        limits.take("k", RateLimit(requests_per_minute=60), tokens=0, now_s=0)
    verdict = limits.take("k", RateLimit(requests_per_minute=5), tokens=0, now_s=0)
    assert (verdict.allowed, verdict.retry_after_s) == (False, 72)
    assert verdict.requests == Standing(5, 0, 120_000_000)


def test_the_same_limit_read_anew_changes_nothing():
    limits = Limits()
    for _ in range(60):
        assert limits.take("k", RateLimit(requests_per_minute=60), tokens=0, now_s=0).allowed
    assert not limits.take("k", RateLimit(requests_per_minute=60), tokens=0, now_s=0.9).allowed
    assert limits.take("k", RateLimit(requests_per_minute=60), tokens=0, now_s=1).allowed


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [
        (0, "0s"),
        (1, "1ms"),
        (12_000, "12ms"),
        (12_001, "13ms"),
        (999_900, "1s"),
        (1_000_000, "1s"),
        (7_660_000, "7.66s"),
        (59_999_900, "1m0s"),
        (90_500_000, "1m30.5s"),
        (360_000_000, "6m0s"),
        (3_723_004_000, "1h2m3.004s"),
    ],
)
def test_times_are_spelled_as_openai_spells_them(microseconds: int, text: str):
    assert duration(microseconds) == text


def test_the_headers_say_where_the_key_stands():
    verdict = Limits().take("k", RateLimit(requests_per_minute=60, tokens_per_minute=600), tokens=100, now_s=9)
    assert dict(rate_headers(verdict)) == {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": "1s",
        "x-ratelimit-limit-tokens": "600",
        "x-ratelimit-remaining-tokens": "500",
        "x-ratelimit-reset-tokens": "10s",
    }


def test_a_side_without_a_limit_has_no_headers():
    verdict = Limits().take("k", ONE, tokens=1, now_s=0)
    assert [name for name, _ in rate_headers(verdict)] == [
        "x-ratelimit-limit-requests",
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",
    ]
    assert rate_headers(Verdict(allowed=True)) == ()
