"""Orders keep a channel's bounds and rests as calls that are answered at once do.

One that finds no room goes to the next channel, or back to its caller. Polls are not bounded.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.app.rigs import Rig, opened_gateway

from halley.settings import ChannelConfig, Secret
from halley.testing.gateway import settings_for
from halley.testing.wire import Break

LIVE = "sk-a-live-key-of-the-first-start"
CHAT = {"model": "gpt-5.4-mini", "messages": [{"role": "user", "content": "hi"}]}
POLLS = 3
MINUTE_S = 60
ENDS = {
    Break.REFUSED: 503,
    Break.HANGS: 200,
    Break.RESET: 200,
    Break.GARBAGE: 200,
    Break.INVALID: 422,
    Break.BROKEN: 502,
}


class House:
    """Makes a gateway whose channels lead to another one, on one clock."""

    def __init__(self, behind: Rig, folder: Path) -> None:
        self.behind = behind
        self.folder = folder

    @asynccontextmanager
    async def opened(self, *channels: dict[str, Any]) -> AsyncGenerator[Rig]:
        """A gateway with these channels, the first preferred."""
        configured = tuple(self._channel(number, bounds) for number, bounds in enumerate(channels))
        settings = settings_for(self.folder, channels=configured, bootstrap_key=Secret(LIVE))
        async with opened_gateway(settings, clock=self.behind.clock, key=LIVE) as rig:
            yield rig
            assert await rig.differences() == ()

    def _channel(self, number: int, bounds: dict[str, Any]) -> ChannelConfig:
        url, key = self.behind.gateway.url, Secret(self.behind.key)
        return ChannelConfig(
            name=f"{number}", vendor="gateway", base_url=url, api_key=key, models=("*",), priority=-number, **bounds
        )


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        yield House(await stack.enter_async_context(opened_gateway(settings_for(tmp_path / "b"))), tmp_path / "a")


def _is_order(method: str, _path: str) -> bool:
    return method == "POST"


async def _asked(rig: Rig) -> tuple[str, int]:
    """The name of the channel that the last order went to, and how many were asked."""
    task = await rig.last_task()
    found = rig.world.channel(task.channel_id)
    assert found is not None
    return found.name, task.attempts


async def test_an_order_above_the_bound_of_a_minute_is_refused_as_a_chat_is_until_the_minute_has_room(
    house: House,
) -> None:
    async with house.opened({"per_minute_max": 1}) as rig:
        taken = await rig.client.flux()
        order, chat = await rig.client.flux(), await rig.client.call("POST", "/v1/chat/completions", CHAT)
        assert (order.status, order.json["error"]["code"]) == (429, "vendor_rate_limited")
        assert (chat.status, chat.headers["retry-after"]) == (order.status, order.headers["retry-after"])
        assert (await rig.last_task()).state == "failed"
        await rig.pass_time(int(order.headers["retry-after"]))
        await rig.ended(taken.json["id"])
        assert await rig.open_holds() == 0
        assert (await rig.client.flux()).status == 200


async def test_an_order_above_the_bound_of_calls_at_once_is_refused(house: House) -> None:
    async with house.opened({"at_once_max": 1}) as rig:
        rig.wire.fail(Break.HANGS, _is_order)
        replies = await asyncio.gather(rig.client.flux(), rig.client.flux())
        assert sorted(reply.status for reply in replies) == [200, 429]
        assert (await rig.client.flux()).status == 200


async def test_an_order_that_finds_a_channel_full_goes_to_the_next(house: House) -> None:
    async with house.opened({"per_minute_max": 1}, {}) as rig:
        for name in ("0", "1"):
            assert (await rig.client.flux()).status == 200
            assert await _asked(rig) == (name, 1)


@pytest.mark.parametrize("how", ENDS)
async def test_an_order_leaves_its_place_however_it_ended(house: House, how: Break) -> None:
    async with house.opened({"at_once_max": 1}) as rig:
        rig.wire.fail(how, _is_order)
        assert (await rig.client.flux()).status == ENDS[how]
        [channel] = (one for one in rig.world.config.channels if not one.simulated)
        assert rig.world.bounds.running(channel.id) == 0
        assert (await rig.client.flux()).status == 200


async def test_a_channel_whose_vendor_asked_for_a_rest_is_left_alone_for_so_long(house: House) -> None:
    async with house.opened({}, {}) as rig:
        rig.wire.fail(Break.RATE_LIMITED, _is_order)
        for asked in (("1", 2), ("1", 1)):
            assert (await rig.client.flux()).status == 200
            assert await _asked(rig) == asked
        await rig.pass_time(1, step_s=0.5)
        assert (await rig.client.flux()).status == 200
        assert await _asked(rig) == ("0", 1)


async def test_an_order_that_a_resting_channel_does_not_get_takes_no_place_of_its_minute(house: House) -> None:
    async with house.opened({"per_minute_max": 2}) as rig:
        rig.wire.fail(Break.RATE_LIMITED, _is_order)
        assert [(await rig.client.flux()).status for _ in range(3)] == [429, 429, 429]
        await rig.pass_time(1, step_s=0.5)
        assert (await rig.client.flux()).status == 200


async def test_polls_go_on_where_orders_find_no_room(house: House) -> None:
    async with house.opened({"per_minute_max": 1, "at_once_max": 1}) as rig:
        rig.wire.fail(Break.BROKEN, lambda method, _path: method == "GET", times=POLLS)

        async def polled() -> bool:
            return len(rig.wire.broken) == POLLS

        assert (await rig.client.flux()).status == 200
        await rig.settle(polled, within_s=MINUTE_S - 10)
        assert (await rig.ended((await rig.last_task()).id)).state == "succeeded"
