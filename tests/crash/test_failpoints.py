"""The server dies at every place that it can be told to die at, and comes back with nothing lost or doubled."""

import asyncio
from collections.abc import Iterator
from random import Random

import pytest
from tests.crash import acts
from tests.crash.house import House
from tests.crash.places import BY_ACT, BY_MOMENT, NOT_DRIVEN, named_in_the_source, places_of

pytestmark = pytest.mark.crash
LEAN = {"HALLEY_SANDBOX": "false"}
"""Without the built-in simulators a start is quicker; the kills at random moments run with them."""
DELAY_S = 0.05
"""Short, for each of many deaths waits for what it leaves behind."""
DRIVEN = {place for name in (*BY_ACT, *BY_MOMENT) for place in places_of(name)}


class _Shared:
    """One house for many tests of this process; a failed test leaves it behind."""

    def __init__(self, folders: pytest.TempPathFactory) -> None:
        self._folders = folders
        self.house: House | None = None

    def take(self) -> House:
        if self.house is not None and not self.house.healthy:
            self.close()
        if self.house is None:
            self.house = House(self._folders.mktemp("house"), Random(1), LEAN, delay_s=DELAY_S)
        self.house.healthy = False
        return self.house

    def close(self) -> None:
        if self.house is not None:
            self.house.close()
            self.house = None


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Shared]:
    made = _Shared(tmp_path_factory)
    yield made
    made.close()


@pytest.mark.parametrize("name", BY_ACT)
async def test_death_around_what_a_caller_or_operator_does(shared: _Shared, name: str):
    house = shared.take()
    for place in places_of(name):
        await _be_up(house)
        house.gateway.aim(place)
        await BY_ACT[name](house)
        await house.gateway.died()
    await _come_back(house)
    house.healthy = True


@pytest.mark.parametrize("name", [name for name, when in BY_MOMENT.items() if when == "start"])
async def test_death_at_the_start(shared: _Shared, name: str):
    house = shared.take()
    await _be_up(house)
    await acts.order_images(house)
    await acts.order_with_own_file(house)
    house.gateway.kill(whole_tree=True)
    for place in places_of(name):
        house.gateway.aim(place)
        await house.gateway.start_and_die()
    await _come_back(house)
    house.healthy = True


@pytest.mark.parametrize("name", [name for name, when in BY_MOMENT.items() if when == "after a crash"])
async def test_death_while_coming_back_from_a_crash(shared: _Shared, name: str):
    house = shared.take()
    for place in places_of(name):
        await _be_up(house)
        await acts.be_asked_after_a_crash(house)
        house.gateway.aim(place)
        await house.gateway.start_and_die()
    await _come_back(house)
    house.healthy = True


@pytest.mark.parametrize("name", [name for name, when in BY_MOMENT.items() if when == "stop"])
async def test_death_while_stopping(shared: _Shared, name: str):
    house = shared.take()
    for place in places_of(name):
        await _be_up(house)
        await acts.order_images(house)
        house.gateway.aim(place)
        house.gateway.terminate()
        await house.gateway.died()
    await _come_back(house)
    house.healthy = True


@pytest.mark.parametrize("name", ["begin_boot", "reload", "welcome"])
async def test_death_at_the_first_start(house: House, name: str):
    for place in places_of(name):
        house.gateway.aim(place)
        await house.gateway.start_and_die()
    await _be_up(house)
    await acts.order_images(house)
    await _come_back(house)


async def test_operators_word_survives_a_crash(shared: _Shared):
    house = shared.take()
    for place in (*places_of("resolve"), *places_of("tasks.resolve")):
        await _be_up(house)
        await acts.resolve_a_lost_one(house, place)
        await house.gateway.died()
    await _come_back(house)
    house.healthy = True


async def test_a_run_passes_every_place_that_is_known(house: House):
    await _be_up(house)
    await acts.cancel_again_after_a_crash(house)
    await acts.be_asked_after_a_crash(house)
    await _be_up(house)
    rest = set(BY_ACT.values()) - {acts.cancel_again_after_a_crash}
    await asyncio.gather(*(act(house) for act in rest))
    await house.settle()
    house.gateway.stop()
    passed = set(house.gateway.passed())
    print(f"{len(passed)} failpoints passed:", *sorted(passed), sep="\n  ")
    assert DRIVEN - passed == set(), "never passed"
    assert passed - DRIVEN == set(), "passed and in no table"


def test_every_unit_and_operation_in_the_source_is_driven_or_excused():
    tables = {*BY_ACT, *BY_MOMENT, *NOT_DRIVEN} - {"put"}
    assert named_in_the_source() == tables


async def _be_up(house: House) -> None:
    house.gateway.aim("")
    if house.gateway.is_dead():
        await house.gateway.start()


async def _come_back(house: House) -> None:
    await _be_up(house)
    await house.settle()
    await house.check()
