"""When a webhook is tried again."""

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halley.kernel.clock import MICROSECONDS, parse_time
from halley.webhooks import DeliveryState, Places, Verdict, Waiting, next_attempt, verdict
from halley.webhooks.rules import ATTEMPTS_MAX, RETRY_AFTER_MAX_S, SCHEDULE_S, retry_after_s

NOW = parse_time("2026-11-22T12:00:00Z")
PENDING, DELIVERED, FAILED = DeliveryState.PENDING, DeliveryState.DELIVERED, DeliveryState.FAILED


def _seconds(due_at: int | None) -> float | None:
    return None if due_at is None else (due_at - NOW) / MICROSECONDS


def test_schedule_is_that_of_standard_webhooks():
    waits = [_seconds(next_attempt(attempts, NOW)) for attempts in range(ATTEMPTS_MAX + 1)]
    assert waits == [0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400, None]


@given(st.integers(0, ATTEMPTS_MAX - 1), st.floats(0, 1))
def test_jitter_puts_off_by_at_most_a_tenth_and_never_brings_forward(attempts: int, jitter: float):
    due_at = next_attempt(attempts, NOW, jitter)
    assert due_at is not None
    assert 0 <= due_at - NOW - SCHEDULE_S[attempts] * MICROSECONDS <= SCHEDULE_S[attempts] * MICROSECONDS / 10


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_success_is_delivered(status: int):
    assert verdict(status, attempts=1, now=NOW) == Verdict(state=DELIVERED)


@pytest.mark.parametrize("status", [None, 100, 301, 302, 307, 400, 401, 404, 429, 500, 503])
def test_all_else_is_tried_again_and_a_redirect_is_a_failure(status: int | None):
    assert verdict(status, attempts=2, now=NOW) == Verdict(state=PENDING, due_at=NOW + 300 * MICROSECONDS)


def test_receiver_that_is_gone_is_not_tried_again():
    assert verdict(410, attempts=1, now=NOW) == Verdict(state=FAILED)


def test_last_attempt_is_the_last():
    assert verdict(500, attempts=ATTEMPTS_MAX - 1, now=NOW).state is PENDING
    assert verdict(500, attempts=ATTEMPTS_MAX, now=NOW) == Verdict(state=FAILED)
    assert verdict(503, attempts=ATTEMPTS_MAX, now=NOW, retry_after="60") == Verdict(state=FAILED)


@pytest.mark.parametrize(
    ("status", "retry_after", "wait_s"),
    [
        pytest.param(429, "60", 60, id="longer than the schedule"),
        pytest.param(503, "1", 5, id="shorter than the schedule"),
        pytest.param(503, "999999999", RETRY_AFTER_MAX_S, id="bounded"),
        pytest.param(503, "soon", 5, id="nonsense"),
        pytest.param(500, "60", 5, id="only of those who ask to wait"),
    ],
)
def test_retry_after_is_honoured_within_the_schedule(status: int, retry_after: str, wait_s: int):
    assert _seconds(verdict(status, attempts=1, now=NOW, retry_after=retry_after).due_at) == wait_s


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (" 120 ", 120),
        (format_datetime(datetime(2026, 11, 22, 12, 2, tzinfo=UTC), usegmt=True), 120),
        (format_datetime(datetime(2026, 11, 22, 11, 0, tzinfo=UTC), usegmt=True), 0),
        ("-5", None),
        ("1.5", None),
        ("Sun, 99 Nov 2026 12:00:00 GMT", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, expected: int | None):
    assert retry_after_s(value, NOW) == expected


@given(st.text())
def test_retry_after_never_raises(value: str):
    seconds = retry_after_s(value, NOW)
    assert seconds is None or seconds >= 0


def test_no_account_takes_more_places_than_it_leaves_free():
    waiting = [Waiting(f"{account}{n}", account) for account in "abc" for n in range(100)]
    places = Places(64, ())
    given = places.give(waiting)
    assert [sum(each.startswith(account) for each in given) for account in "abc"] == [32, 16, 8]
    assert places.free == 8
    assert places.full() == ["a", "b", "c"]


def test_what_is_on_its_way_already_counts():
    places = Places(33, "a" * 31)
    assert places.full() == []
    assert places.give([Waiting("1", "a"), Waiting("2", "a"), Waiting("3", "b")]) == ["1", "3"]
    assert places.full() == ["a"]


def test_the_last_place_goes_to_who_has_none():
    assert Places(1, "a").give([Waiting("1", "a"), Waiting("2", "b"), Waiting("3", "c")]) == ["2"]
