from collections import Counter
from itertools import count
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halley.routing import Channel, affinity, candidates


def channel(name: str, **changed: Any) -> Channel:
    values: dict[str, Any] = {
        "id": name,
        "name": name,
        "vendor": "acme",
        "base_url": "https://api.acme.example",
        "credential": b"sealed",
        "models": ("*",),
        "managed": "file",
    }
    return Channel(**values | changed)


def names(channels: list[Channel], *, model: str = "flux-dev", livemode: bool = True, seed: int = 1) -> list[str]:
    dice = Random(seed)
    found = candidates(channels, model, livemode=livemode, draw=lambda _: dice.random())
    return [one.name for one in found]


def kept(channels: list[Channel], key: str) -> str:
    """Name the channel that a key is led to."""
    found = candidates(channels, "m", livemode=True, draw=lambda one: affinity(key, one.id))
    return found[0].name


def test_a_live_key_never_sees_a_simulator_and_a_test_key_nothing_else() -> None:
    both = [channel("real"), channel("sandbox", managed="sandbox", credential=None)]
    assert names(both) == ["real"]
    assert names(both, livemode=False) == ["sandbox"]


def test_a_disabled_channel_is_left_out() -> None:
    assert names([channel("off", enabled=False)]) == []


def test_globs_say_which_models_a_channel_serves() -> None:
    channels = [channel("flux", models=("flux-*",)), channel("one", models=("sdxl", "flux-dev"))]
    assert sorted(names(channels)) == ["flux", "one"]
    assert names(channels, model="flux-pro") == ["flux"]
    assert names(channels, model="FLUX-pro") == []


def test_a_model_with_a_name_of_its_own_is_served_whatever_the_globs_say() -> None:
    mapped = channel("mapped", models=("flux-*",), model_map={"gpt-4o": "prod-gpt-4o"})
    assert names([mapped], model="gpt-4o") == ["mapped"]
    assert names([mapped], model="flux-dev") == ["mapped"]
    assert names([mapped], model="gpt-4") == []
    assert names([channel("off", weight=0, model_map={"gpt-4o": "x"})], model="gpt-4o") == []


def test_a_higher_priority_comes_first_whatever_the_weights() -> None:
    channels = [channel("low", weight=1_000), channel("high", priority=5, weight=1), channel("none", priority=-1)]
    for seed in range(20):
        assert names(channels, seed=seed) == ["high", "low", "none"]


def test_weights_share_the_first_place() -> None:
    channels = [channel("three", weight=3), channel("one", weight=1)]
    dice = Random(7)
    found = (candidates(channels, "m", livemode=True, draw=lambda _: dice.random()) for _ in range(4_000))
    first = Counter(each[0].name for each in found)
    assert 2_850 < first["three"] < 3_150


def test_a_weight_of_zero_takes_a_channel_out_of_use() -> None:
    assert names([channel("idle", weight=0), channel("main", weight=1)]) == ["main"]


@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(0, 9)), max_size=8), st.randoms(use_true_random=False))
def test_every_able_channel_is_named_once_in_the_order_of_priority(rows: list[tuple[int, int]], dice: Random) -> None:
    numbers = count()
    channels = [channel(f"c{next(numbers)}", priority=priority, weight=weight) for priority, weight in rows]
    found = candidates(channels, "m", livemode=True, draw=lambda _: dice.random())
    assert sorted(one.name for one in found) == sorted(one.name for one in channels if one.weight)
    assert [one.priority for one in found] == sorted((one.priority for one in found), reverse=True)


KEYS = [f"key_{number}" for number in range(2_000)]
NAMES = st.lists(st.text(max_size=8), min_size=1, max_size=6, unique=True)


@given(st.text(), st.text())
def test_an_affinity_is_always_the_same_and_between_0_and_1(key: str, channel_id: str) -> None:
    assert 0 < affinity(key, channel_id) < 1
    assert affinity(key, channel_id) == affinity(key, channel_id)


def test_affinities_are_told_from_drawn_numbers_by_nobody() -> None:
    tenths = Counter(int(affinity(key, channel_id) * 10) for key in KEYS for channel_id in ("a", "b"))
    assert all(340 < tenths[each] < 460 for each in range(10))


@given(st.text(), NAMES, st.integers(0, 5), st.integers(1, 9))
def test_a_channel_that_goes_away_moves_only_its_own_keys(key: str, ids: list[str], index: int, weight: int) -> None:
    channels = [channel(each, weight=weight + number) for number, each in enumerate(ids)]
    gone = channels[index % len(channels)]
    rest = [one for one in channels if one is not gone]
    before = kept(channels, key)
    if rest and before != gone.name:
        assert kept(rest, key) == before


@given(st.text(), NAMES, st.text(), st.integers(1, 9))
def test_a_channel_that_comes_takes_keys_and_moves_no_others(key: str, ids: list[str], new: str, weight: int) -> None:
    channels = [channel(each) for each in ids if each != new]
    if channels:
        assert kept([*channels, channel(new, weight=weight)], key) in {kept(channels, key), new}


@pytest.mark.parametrize("scale", [1, 100_000], ids=["small", "large"])
def test_keys_are_shared_by_weight(scale: int) -> None:
    first = Counter(kept([channel("three", weight=3 * scale), channel("one", weight=scale)], key) for key in KEYS)
    assert 1_400 < first["three"] < 1_600


def test_a_key_is_led_to_the_higher_priority_whatever_its_affinity() -> None:
    channels = [channel("low", weight=1_000), channel("high", priority=1)]
    assert {kept(channels, key) for key in KEYS[:50]} == {"high"}


def test_a_drawn_zero_comes_last_and_harms_nobody() -> None:
    drawn = {"none": 0.0, "some": 0.01}
    channels = [channel("none", weight=1_000), channel("some")]
    found = candidates(channels, "m", livemode=True, draw=lambda one: drawn[one.id])
    assert [one.name for one in found] == ["some", "none"]
