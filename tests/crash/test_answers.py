"""The server dies on the way of an answer: it is lost and free, or it was paid, once; nothing stays on hold."""

from collections.abc import Iterator
from random import Random

import pytest
from tests.crash.books import AnswerRow
from tests.crash.chats import Heard
from tests.crash.house import House

pytestmark = pytest.mark.crash
LEAN = {"HALLEY_SANDBOX": "false"}
NOTHING, LOST, PAID = "nothing is written", "lost", "succeeded"
# By place: what must stand in the books after the restart.
PLACES = {
    "writer.in_unit.hold_answer": NOTHING,
    "writer.before_commit.hold_answer": NOTHING,
    "writer.after_commit.hold_answer": LOST,
    "vendor.before.answer": LOST,
    "vendor.after.answer": LOST,
    "writer.in_unit.settle_answer": LOST,
    "writer.before_commit.settle_answer": LOST,
    "writer.after_commit.settle_answer": PAID,
}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    made = House(tmp_path_factory.mktemp("house"), Random(1), LEAN)
    yield made
    made.close()


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("place", PLACES)
async def test_death_on_the_way_of_an_answer_costs_nobody_twice(house: House, place: str, stream: bool):
    heard, added = await _die(house, place, stream=stream)
    if PLACES[place] is NOTHING:
        assert added == []
    else:
        assert [answer.outcome for answer in added] == [PLACES[place]]
    # An answer is booked once it has been sent; whatever else is cut was heard by nobody.
    assert heard.whole == ("settle_answer" in place)
    await house.check()


async def test_a_lost_answer_is_free_and_listed_with_what_the_vendor_may_bill(house: House):
    _, added = await _die(house, "vendor.after.answer", stream=True)
    (lost,) = added
    assert (lost.price, lost.posted, lost.voided, lost.open) == (0, 0, True, False)
    assert lost.exposure == lost.held > 0
    shown = await house.command("ledger.lost", {})
    assert lost.id in str(shown)


async def test_an_answer_cut_in_the_middle_of_its_stream_is_lost(house: House):
    await _be_up(house)
    before = await _answers(house)
    tag = house.chats.new_tag()
    async with house.chats.begun(house.gateway.url, tag, words="[[halley outcome=stall_stream]]"):
        house.gateway.kill(whole_tree=True)
    await _be_up(house)
    added = await _added(house, before)
    assert [(answer.outcome, answer.posted, answer.exposure == answer.held) for answer in added] == [("lost", 0, True)]
    await house.check()


@pytest.mark.parametrize(
    ("place", "paid"),
    [
        pytest.param("writer.before_commit.settle_answer", 1, id="before it is booked"),
        pytest.param("writer.after_commit.settle_answer", 1, id="after it is booked"),
    ],
)
async def test_a_keyed_repeat_after_a_crash_is_answered_and_paid_once(house: House, place: str, paid: int):
    await _be_up(house)
    before = await _answers(house)
    tag = house.chats.new_tag()
    house.gateway.aim(place)
    await house.chats.send(house.gateway.url, tag, keyed=True)
    await house.gateway.died()
    await _be_up(house)
    again = await house.chats.send(house.gateway.url, tag, keyed=True)
    assert again.whole
    assert sum(answer.outcome == PAID for answer in await _added(house, before)) == paid
    await house.check()


async def _die(house: House, place: str, *, stream: bool) -> tuple[Heard, list[AnswerRow]]:
    await _be_up(house)
    before = await _answers(house)
    house.gateway.aim(place)
    heard = await house.chats.send(house.gateway.url, house.chats.new_tag(), stream=stream)
    await house.gateway.died()
    await _be_up(house)
    return heard, await _added(house, before)


async def _be_up(house: House) -> None:
    house.gateway.aim("")
    if house.gateway.is_dead():
        await house.gateway.start()
        await house.settle()


async def _answers(house: House) -> set[str]:
    return {answer.id for answer in (await house.books()).answers}


async def _added(house: House, before: set[str]) -> list[AnswerRow]:
    return [answer for answer in (await house.books()).answers if answer.id not in before]
