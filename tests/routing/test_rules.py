from collections import Counter
from itertools import count
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from halley.routing import Channel, candidates


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
    return [one.name for one in candidates(channels, model, livemode=livemode, draw=Random(seed).random)]


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


def test_a_higher_priority_comes_first_whatever_the_weights() -> None:
    channels = [channel("low", weight=1_000), channel("high", priority=5, weight=1), channel("none", priority=-1)]
    for seed in range(20):
        assert names(channels, seed=seed) == ["high", "low", "none"]


def test_weights_share_the_first_place() -> None:
    channels = [channel("three", weight=3), channel("one", weight=1)]
    dice = Random(7)
    first = Counter(candidates(channels, "m", livemode=True, draw=dice.random)[0].name for _ in range(4_000))
    assert 2_850 < first["three"] < 3_150


def test_a_weight_of_zero_takes_a_channel_out_of_use() -> None:
    assert names([channel("idle", weight=0), channel("main", weight=1)]) == ["main"]


@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(0, 9)), max_size=8), st.randoms(use_true_random=False))
def test_every_able_channel_is_named_once_in_the_order_of_priority(rows: list[tuple[int, int]], dice: Random) -> None:
    numbers = count()
    channels = [channel(f"c{next(numbers)}", priority=priority, weight=weight) for priority, weight in rows]
    found = candidates(channels, "m", livemode=True, draw=dice.random)
    assert sorted(one.name for one in found) == sorted(one.name for one in channels if one.weight)
    assert [one.priority for one in found] == sorted((one.priority for one in found), reverse=True)
