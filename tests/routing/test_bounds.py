import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.routing.test_rules import channel

from halley.routing import Bounds
from halley.routing.bounds import FULL_WAIT_S


def test_a_channel_without_bounds_lets_all_in_and_counts_them():
    bounds, free = Bounds(), channel("free")
    assert all(bounds.enter(free, 0) for _ in range(1_000))
    assert (bounds.running("free"), bounds.wait_s(free, 0)) == (1_000, 0)


def test_only_so_many_calls_run_at_once():
    bounds, two = Bounds(), channel("two", at_once_max=2)
    assert [bounds.enter(two, 0) for _ in range(3)] == [True, True, False]
    assert bounds.wait_s(two, 0) == FULL_WAIT_S
    bounds.leave("two")
    assert bounds.wait_s(two, 0) == 0
    assert [bounds.enter(two, 0) for _ in range(2)] == [True, False]


def test_only_so_many_calls_go_per_minute_and_then_they_come_back_evenly():
    bounds, three = Bounds(), channel("three", per_minute_max=3)
    assert [bounds.enter(three, 7) for _ in range(4)] == [True, True, True, False]
    assert bounds.wait_s(three, 7) == 20
    assert bounds.wait_s(three, 17) == 10
    assert [bounds.enter(three, 27) for _ in range(2)] == [True, False]


@pytest.mark.parametrize("bound", [{"at_once_max": 1, "per_minute_max": 2}], ids=["both"])
def test_a_call_that_is_not_let_in_counts_nowhere(bound: dict[str, int]):
    bounds, one = Bounds(), channel("one", **bound)
    assert [bounds.enter(one, 0) for _ in range(5)] == [True, False, False, False, False]
    bounds.leave("one")
    assert bounds.enter(one, 0)
    assert bounds.running("one") == 1
    assert bounds.wait_s(one, 0) == 30
    bounds.leave("one")
    assert bounds.running("one") == 0


def test_a_call_that_is_not_sent_after_all_gives_back_its_place():
    bounds, one = Bounds(), channel("one", at_once_max=1, per_minute_max=2)
    for _ in range(5):
        assert bounds.enter(one, 3)
        bounds.give_back(one, 3)
    assert bounds.wait_s(one, 3) == 0
    assert bounds.enter(one, 3)
    bounds.leave("one")
    assert bounds.enter(one, 3)
    assert bounds.wait_s(one, 3) == 30


def test_channels_do_not_touch_each_other():
    bounds = Bounds()
    assert bounds.enter(channel("a", at_once_max=1, per_minute_max=1), 0)
    assert bounds.enter(channel("b", at_once_max=1, per_minute_max=1), 0)


def test_a_bound_that_is_lowered_while_calls_run_holds_from_then_on():
    bounds = Bounds()
    for _ in range(5):
        assert bounds.enter(channel("c"), 0)
    lower = channel("c", at_once_max=4)
    assert not bounds.enter(lower, 0)
    bounds.leave("c")
    assert not bounds.enter(lower, 0)
    bounds.leave("c")
    assert bounds.enter(lower, 0)


def test_nobody_leaves_twice():
    bounds = Bounds()
    bounds.enter(channel("c"), 0)
    bounds.leave("c")
    with pytest.raises(AssertionError):
        bounds.leave("c")


@given(st.integers(1, 9), st.lists(st.floats(0, 40), max_size=60))
def test_a_call_goes_after_the_wait_that_was_named(per_minute: int, pauses: list[float]):
    bounds, one, now = Bounds(), channel("c", per_minute_max=per_minute), 0.0
    for pause in pauses:
        now += pause
        wait_s = bounds.wait_s(one, now)
        assert bounds.enter(one, now) == (wait_s == 0)
        if wait_s:
            # Clocks are read to the microsecond.
            assert bounds.wait_s(one, now + wait_s + 2e-6) == 0
