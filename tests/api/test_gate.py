import asyncio
from typing import Any

import pytest

from halley.api.body import BodyReader
from halley.api.gate import LARGE_FROM_BYTES, BodyGates, Gate, Share
from halley.kernel.faults import Draining

LARGE = LARGE_FROM_BYTES + 1


async def queued(*taking: "asyncio.Future[int]") -> None:
    for _ in range(3):
        await asyncio.sleep(0)
    assert not any(each.done() for each in taking)


async def test_who_fits_comes_in_and_the_rest_waits_its_turn():
    gate = Gate(10)
    assert await gate.take(6) == 6
    large = asyncio.ensure_future(gate.take(8))  # noqa: TID251 - awaited below
    small = asyncio.ensure_future(gate.take(1))  # noqa: TID251 - awaited below
    await queued(large, small)
    gate.give(6)

    assert (await large, await small) == (8, 1)
    assert gate.free == 1


async def test_who_waits_too_long_is_told_when_to_come_again_and_holds_up_nobody():
    gate = Gate(10, wait_s=0.01)
    await gate.take(6)
    small = asyncio.ensure_future(gate.take(1))  # noqa: TID251 - awaited below
    with pytest.raises(Draining) as refused:
        await asyncio.gather(gate.take(5), small)
    await asyncio.wait((small,))

    assert refused.value.retry_after_s
    assert gate.free == 10 - 6 - small.result()


@pytest.mark.parametrize("is_in", [False, True], ids=["while it waits", "when it has just come in"])
async def test_a_call_that_is_cut_gives_its_place_back(is_in: bool):
    gate = Gate(10)
    await gate.take(6)
    waiting = asyncio.ensure_future(gate.take(5))  # noqa: TID251 - awaited below
    await queued(waiting)
    if is_in:
        gate.give(6)
    waiting.cancel()
    await asyncio.wait((waiting,))
    if not is_in:
        gate.give(6)

    assert waiting.cancelled()
    assert gate.free == 10


async def test_a_body_larger_than_all_comes_in_alone():
    gate = Gate(10)
    assert await gate.take(99) == 10
    gate.give(10)
    assert gate.free == 10


async def test_a_small_body_never_waits_for_large_ones():
    gates = BodyGates(small=LARGE_FROM_BYTES, large=LARGE)
    large, small = Share(gates), Share(gates)
    await large.need(LARGE)
    await small.need(100)

    assert (gates.large.free, gates.small.free) == (0, LARGE_FROM_BYTES - 100)
    large.release()
    small.release()
    assert (gates.large.free, gates.small.free) == (LARGE, LARGE_FROM_BYTES)


@pytest.mark.parametrize("headers", [{"content-length": "300000"}, {}], ids=["with a length", "without one"])
async def test_a_body_holds_its_size_until_its_call_ends(headers: dict[str, str]):
    gates = BodyGates(large=1_000_000)
    share = Share(gates)
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": b"x" * 150_000, "more_body": more} for more in (True, False)
    ]

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    await BodyReader(receive, headers, bytes_max=900_000, share=share).read()

    assert gates.large.free == 700_000
    share.release()
    assert gates.large.free == 1_000_000
