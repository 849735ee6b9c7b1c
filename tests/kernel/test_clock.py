"""Time is microseconds in UTC, spelled as RFC 3339."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halley.kernel.clock import SystemClock, parse_time, rfc3339, unix_seconds

MOMENT = 1_795_374_480_123_456
# The years 1970 to 9999.
TIMES = st.integers(0, 253_402_300_799_999_999)


@pytest.mark.parametrize(
    ("digits", "text"),
    [(0, "2026-11-22T19:08:00Z"), (3, "2026-11-22T19:08:00.123Z"), (6, "2026-11-22T19:08:00.123456Z")],
)
def test_time_is_spelled_with_as_many_digits_as_asked(digits: int, text: str):
    assert rfc3339(MOMENT, digits=digits) == text


@given(TIMES, st.sampled_from((0, 3, 6)))
def test_time_is_cut_and_not_rounded(moment: int, digits: int):
    shown = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment)
    whole = shown.strftime("%Y-%m-%dT%H:%M:%S.%f")
    assert rfc3339(moment, digits=digits) == (whole[: 20 + digits] if digits else whole[:19]) + "Z"


@given(TIMES)
def test_time_that_was_spelled_is_read_back(moment: int):
    assert parse_time(rfc3339(moment)) == moment


@pytest.mark.parametrize(
    "text", ["2026-11-22T19:08:00.123456Z", "2026-11-22T21:08:00.123456+02:00", "2026-11-22T19:08:00.123456"]
)
def test_offsets_are_read_and_none_means_utc(text: str):
    assert parse_time(text) == MOMENT


def test_date_is_its_first_moment():
    assert parse_time("1970-01-02") == 86_400_000_000


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "2026-11-22T25:00:00Z", "1795374480"])
def test_what_is_no_time_is_refused(text: str):
    with pytest.raises(ValueError):
        parse_time(text)


def test_unix_seconds_are_the_same_moment():
    assert unix_seconds(1_500_000) == 1.5


async def test_the_machines_clock_goes_on():
    clock = SystemClock()
    wall, started = clock.now(), clock.monotonic()
    await clock.sleep(0.001)
    assert clock.monotonic() - started >= 0.001
    assert clock.now() >= wall
    assert datetime.fromtimestamp(unix_seconds(wall), UTC).year >= 2026
