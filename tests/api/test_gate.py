import asyncio
from typing import Any

import pytest
from tests.api.client import Client, Owner, Response
from tests.server.rig import until

from halley.api.body import BodyReader
from halley.api.gate import (
    LARGE_BYTES_IN_ALL,
    LARGE_FROM_BYTES,
    SMALL_BYTES_IN_ALL,
    WAIT_S,
    WAITING_MAX,
    BodyGates,
    Gate,
    Share,
)
from halley.kernel.faults import Draining

LARGE = LARGE_FROM_BYTES + 1


async def queued(*taking: "asyncio.Future[int]") -> None:
    for _ in range(3):
        await asyncio.sleep(0)
    assert not any(each.done() for each in taking)


async def test_who_fits_comes_in_and_the_rest_waits_its_turn():
    gate = Gate(10)
    assert await gate.take(6, "a") == 6
    large = asyncio.ensure_future(gate.take(8, "b"))  # noqa: TID251 - awaited below
    small = asyncio.ensure_future(gate.take(1, "c"))  # noqa: TID251 - awaited below
    await queued(large, small)
    assert not gate.take_now(1)
    gate.give(6, "a")

    assert (await large, await small) == (8, 1)
    assert gate.free == 1
    assert gate.take_now(1)


async def test_no_owner_takes_more_than_it_leaves_free_and_who_would_is_passed_over():
    gate = Gate(16)
    for owner, size in (("a", 4), ("a", 4), ("b", 4)):
        await gate.take(size, owner)
    mine = asyncio.ensure_future(gate.take(1, "a"))  # noqa: TID251 - awaited below
    await queued(mine)
    assert gate.take_now(1)
    await gate.take(1, "c")
    await queued(mine)
    gate.give(4, "a")

    assert await mine == 1
    assert gate.free == 5


async def test_owners_who_wait_come_in_by_turns():
    gate = Gate(16, wait_s=0.01)
    await gate.take(16, "a")
    order: list[str] = []

    async def enter(owner: str) -> None:
        await gate.take(3, owner)
        order.append(owner)

    async with asyncio.TaskGroup() as group:
        for owner in ("b", "b", "b", "c"):
            group.create_task(enter(owner))
        await asyncio.sleep(0)
        gate.give(16, "a")
        await asyncio.sleep(0)
        gate.give(3, "b")

    assert order == ["b", "c", "b", "b"]


async def test_an_owner_leaves_places_in_the_queue_to_others():
    gate = Gate(4)
    await gate.take(4, "a")
    waiting = [asyncio.ensure_future(gate.take(1, "a")) for _ in range(WAITING_MAX)]  # noqa: TID251 - awaited below
    other = asyncio.ensure_future(gate.take(1, "b"))  # noqa: TID251 - awaited below
    await queued(other)
    gate.give(4, "a")

    assert await other == 1
    for each in waiting:
        each.cancel()
    ended = await asyncio.gather(*waiting, return_exceptions=True)
    assert sum(isinstance(each, Draining) for each in ended) == WAITING_MAX // 2


async def test_who_waits_too_long_is_told_when_to_come_again_and_holds_up_nobody():
    gate = Gate(10, wait_s=0.01)
    await gate.take(6, "a")
    small = asyncio.ensure_future(gate.take(1, "c"))  # noqa: TID251 - awaited below
    with pytest.raises(Draining) as refused:
        await asyncio.gather(gate.take(5, "b"), small)
    await asyncio.wait((small,))

    assert refused.value.retry_after_s
    assert gate.free == 10 - 6 - small.result()


@pytest.mark.parametrize("is_in", [False, True], ids=["while it waits", "when it has just come in"])
async def test_a_call_that_is_cut_gives_its_place_back(is_in: bool):
    gate = Gate(10)
    await gate.take(6, "a")
    waiting = asyncio.ensure_future(gate.take(5, "b"))  # noqa: TID251 - awaited below
    await queued(waiting)
    if is_in:
        gate.give(6, "a")
    waiting.cancel()
    await asyncio.wait((waiting,))
    if not is_in:
        gate.give(6, "a")

    assert waiting.cancelled()
    assert gate.free == 10


async def test_a_body_larger_than_all_comes_in_alone():
    gate = Gate(10)
    assert await gate.take(99, "a") == 10
    gate.give(10, "a")
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


@pytest.mark.parametrize("size", [LARGE_FROM_BYTES, 1024 * 1024], ids=["small", "large"])
async def test_a_key_that_takes_all_the_room_it_can_get_leaves_some_to_others(
    client: Client, owner: Owner, stranger: Owner, size: int
):
    in_all = LARGE_BYTES_IN_ALL if size > LARGE_FROM_BYTES else SMALL_BYTES_IN_ALL
    async with asyncio.TaskGroup() as group:
        # Nothing of these bodies ever comes.
        stalled = [group.create_task(ordered(client, owner, size)) for _ in range(in_all // size + 1)]
        async with asyncio.timeout(WAIT_S / 2):
            await until(lambda: client.api.running == len(stalled))
            answer = await ordered(client, stranger, size, b"{", b"}".ljust(size - 1))
        for each in stalled:
            each.cancel()

    assert answer.status == 422


async def ordered(client: Client, owner: Owner, size: int, *pieces: bytes) -> Response:
    headers = {**owner.bearer, "content-length": str(size)}
    return await Client(client.api).send("POST", "/flux/v1/flux-dev", headers, pieces)
