"""`Idempotency-Key` on answers: made and charged once, given again, refused for another request."""

import asyncio
import threading
from typing import Any

import pytest
from tests.answers.house import House, chunk, completion, soon
from tests.answers.vendor import Exchange, answer, events, refuse, stream

from halley.db import DatabaseUnavailable, Tx
from halley.pipeline import once

ONCE = {"idempotency-key": "once"}


async def test_a_repeat_gets_the_same_json_and_costs_nothing(house: House) -> None:
    house.vendor.will(answer(completion("first", x=1.0)), answer(completion("second")))
    first, second = await house.chat(headers=ONCE), await house.chat(headers=ONCE)
    assert (second.status, second.json) == (200, first.json)
    assert (second.headers["idempotency-replayed"], "idempotency-replayed" in first.headers) == ("true", False)
    assert second.headers["halley-cost"] == first.headers["halley-cost"]
    assert len(house.vendor.seen) == 1
    await house.usage(1)


async def test_another_request_with_the_key_is_refused(house: House) -> None:
    house.vendor.will(answer(completion()))
    await house.chat(headers=ONCE)
    refused = await house.chat(headers=ONCE, temperature=1)
    assert (refused.status, refused.json["error"]["code"]) == (422, "idempotency_key_reused")
    assert len(house.vendor.seen) == 1


async def test_the_key_of_another_caller_is_another(house: House) -> None:
    house.vendor.will(answer(completion("first")), answer(completion("second")))
    await house.chat(headers=ONCE)
    other = await house.rig.make_key(livemode=True)
    reply = await house.chat(headers=ONCE, key=other)
    assert reply.json["choices"][0]["message"]["content"] == "second"


async def test_a_stream_is_not_given_again(house: House) -> None:
    house.vendor.will(stream(*events(chunk("Hi"), chunk(finish="stop"))))
    assert (await house.chat(stream=True, headers=ONCE)).status == 200
    refused = await house.chat(stream=True, headers=ONCE)
    assert (refused.status, refused.json["error"]["code"]) == (409, "not_replayable")
    assert len(house.vendor.seen) == 1


async def test_a_repeat_waits_for_the_first(house: House) -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def slow(exchange: Exchange) -> None:
        asked.set()
        await go_on.wait()
        await answer(completion())(exchange)

    house.vendor.will(slow)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        first = group.create_task(house.chat(headers=ONCE))
        await asked.wait()
        second = group.create_task(house.chat(headers=ONCE))
        await asyncio.sleep(0.1)
        assert not second.done()
        go_on.set()
    assert first.result().json == second.result().json
    assert second.result().headers["idempotency-replayed"] == "true"
    assert len(house.vendor.seen) == 1


async def test_a_call_that_failed_may_be_made_again_with_its_key(house: House) -> None:
    house.vendor.will(refuse(500), answer(completion()))
    assert (await house.chat(headers=ONCE)).status == 502
    again = await house.chat(headers=ONCE)
    assert (again.status, "idempotency-replayed" in again.headers) == (200, False)


async def test_a_caller_that_left_may_ask_again(house: House) -> None:
    async def seen() -> bool:
        return bool(house.vendor.seen)

    house.vendor.will(Exchange.until_left, answer(completion()))
    leaving = asyncio.ensure_future(house.chat(headers=ONCE))  # noqa: TID251 - cancelled right here
    await soon(seen)
    leaving.cancel()
    await house.usage()
    assert (await house.chat(headers=ONCE)).status == 200


async def test_a_caller_who_leaves_while_the_key_is_claimed_has_claimed_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.vendor.will(answer(completion()))
    over, claim = asyncio.Event(), once.claim

    async def claiming(*asked: Any) -> Any:
        try:
            return await claim(*asked)
        finally:
            over.set()

    monkeypatch.setattr(once, "claim", claiming)
    db, begun, gate = house.rig.world.db, threading.Event(), threading.Event()

    def slow(_tx: Tx) -> None:
        begun.set()
        gate.wait(10)

    async def waiting() -> bool:
        return db.waiting > 0

    async with asyncio.TaskGroup() as group:
        writing = group.create_task(db.write("slow", slow))
        assert await asyncio.to_thread(begun.wait, 10)
        leaving = group.create_task(house.chat(headers=ONCE))
        await soon(waiting)
        leaving.cancel()
        await asyncio.wait((leaving,))
        gate.set()
        await writing
        await asyncio.wait_for(over.wait(), 10)
    reply = await house.chat(headers=ONCE)
    assert (reply.status, len(house.vendor.seen)) == (200, 1)


async def test_a_stream_whose_key_could_not_be_kept_may_be_asked_for_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.vendor.will(*[stream(*events(chunk("Hi"), chunk(finish="stop")))] * 2)
    away = ["finish"]
    write = house.rig.world.db.write

    async def failing(name: str, unit: Any) -> Any:
        if name in away:
            away.remove(name)
            raise DatabaseUnavailable
        return await write(name, unit)

    monkeypatch.setattr(house.rig.world.db, "write", failing)
    assert (await house.chat(stream=True, headers=ONCE)).status == 503
    assert (await house.chat(stream=True, headers=ONCE)).status == 200
