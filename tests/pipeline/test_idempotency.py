import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.app.rigs import Rig, opened_gateway

from halley.db import DatabaseUnavailable
from halley.testing.conformance.drive import PNG
from halley.testing.gateway import settings_for
from halley.testing.wire import Break

FLUX = "/flux/v1/flux-pro-1.1"


async def test_the_same_request_gives_the_first_answer_and_orders_once(rig: Rig) -> None:
    first = await rig.client.flux(key="one")
    again = await rig.client.flux(key="one")
    assert (again.status, again.json) == (first.status, first.json)
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert len(await rig.jobs("bfl")) == 1


async def test_the_order_of_fields_and_spaces_do_not_make_another_request(rig: Rig) -> None:
    headers = {"idempotency-key": "one", "content-type": "application/json"}
    first = await rig.client.call("POST", FLUX, data=b'{"prompt":"a","seed":1}', headers=headers)
    again = await rig.client.call("POST", FLUX, data=b'{ "seed": 1, "prompt": "a" }', headers=headers)
    assert again.json == first.json


async def test_another_body_or_path_is_refused(rig: Rig) -> None:
    await rig.client.flux(key="one")
    for other in (
        await rig.client.flux(key="one", prompt="another"),
        await rig.client.flux("flux-dev", key="one"),
        await rig.client.replicate(key="one"),
    ):
        assert other.status == 422
        assert other.json["error"]["code"] == "idempotency_key_reused"
    assert len(await rig.jobs("bfl")) == 1


async def test_of_many_at_once_one_orders_and_all_hear_the_same(rig: Rig) -> None:
    orders = asyncio.gather(*[rig.client.flux(key="one") for _ in range(8)])
    replies = await rig.while_ticking(orders)
    assert len({reply.body for reply in replies}) == 1
    assert sum("idempotency-replayed" in reply.headers for reply in replies) == 7
    assert len(await rig.jobs("bfl")) == 1


async def test_keys_of_different_callers_do_not_meet(rig: Rig) -> None:
    first = await rig.client.flux(key="one")
    async with rig.stranger() as stranger:
        assert (await stranger.flux(key="one")).json["id"] != first.json["id"]


async def test_a_repeat_while_the_first_waits_is_answered_with_it(rig: Rig) -> None:
    wait = {"prefer": "wait=20"}
    ending = "success; delay=5"
    both = asyncio.gather(
        *[rig.client.replicate("black-forest-labs/flux-dev", ending, key="one", headers=wait) for _ in range(2)]
    )
    first, again = await rig.while_ticking(both)
    assert first.json["status"] == again.json["status"] == "succeeded"
    assert first.json["id"] == again.json["id"]


async def test_a_repeat_of_what_takes_too_long_is_told_to_come_again(rig: Rig) -> None:
    wait = {"prefer": "wait=60"}
    ending = "never_finishes"
    first = asyncio.gather(rig.client.replicate("black-forest-labs/flux-dev", ending, key="one", headers=wait))

    async def ordered() -> bool:
        return len(await rig.jobs("replicate")) > 0

    await rig.settle(ordered)
    again = await rig.while_ticking(rig.client.replicate("black-forest-labs/flux-dev", ending, key="one", headers=wait))
    assert again.status == 409
    assert again.json["error"]["code"] == "idempotency_key_in_use"
    [waited] = await rig.while_ticking(first)
    assert waited.json["status"] == "starting"


async def test_a_refusal_for_good_is_replayed_and_one_that_may_pass_is_not(rig: Rig) -> None:
    refused = await rig.client.flux("flux-pro-1.1", "invalid", key="one")
    again = await rig.client.flux("flux-pro-1.1", "invalid", key="one")
    assert (again.status, again.json["detail"]) == (refused.status, refused.json["detail"])
    assert again.headers["idempotency-replayed"] == "true"
    await rig.serve_only("bfl")
    rig.wire.fail(Break.RATE_LIMITED, lambda method, _: method == "POST")
    assert (await rig.client.flux(key="two")).status == 429
    assert (await rig.client.flux(key="two")).status == 200


async def test_a_lost_reply_is_not_ordered_again_by_a_repeat(rig: Rig) -> None:
    first = await rig.client.flux("flux-pro-1.1", "reset_after_send", key="one")
    again = await rig.client.flux("flux-pro-1.1", "reset_after_send", key="one")
    assert again.json == first.json
    assert len(await rig.jobs("bfl")) == 1


async def test_a_repeat_is_answered_though_nobody_serves_the_model_any_more(rig: Rig) -> None:
    first = await rig.client.flux(key="one")
    await rig.serve_only("nobody")
    again = await rig.client.flux(key="one")
    assert (again.status, again.json) == (first.status, first.json)


async def test_a_repeat_is_answered_though_its_input_file_is_gone(rig: Rig) -> None:
    form = aiohttp.FormData()
    form.add_field("content", PNG, filename="in.png", content_type="image/png")
    made = (await rig.client.call("POST", "/replicate/v1/files", data=form)).json
    model = "black-forest-labs/flux-dev"
    first = await rig.client.replicate(model, key="one", image=made["urls"]["get"])
    assert first.status == 201
    assert (await rig.client.call("DELETE", f"/replicate/v1/files/{made['id']}")).status == 204
    again = await rig.client.replicate(model, key="one", image=made["urls"]["get"])
    assert again.json["id"] == first.json["id"]


async def test_a_key_is_free_again_after_a_day(rig: Rig) -> None:
    first = await rig.client.flux(key="one")
    await rig.ended(first.json["id"])
    await rig.pass_time(24 * 3_600 + 60, step_s=3_600)
    again = await rig.client.flux(key="one", prompt="another")
    assert again.status == 200
    assert again.json["id"] != first.json["id"]


async def test_a_cancel_is_done_once_and_repeated(rig: Rig) -> None:
    await rig.client.replicate("black-forest-labs/flux-dev", "success; delay=60")
    task = await rig.last_task()
    await rig.turn(1)
    path, headers = f"/replicate/v1/predictions/{task.id}/cancel", {"idempotency-key": "one"}
    first = await rig.while_ticking(rig.client.call("POST", path, headers=headers))
    again = await rig.client.call("POST", path, headers=headers)
    assert first.json["status"] == again.json["status"] == "canceled"
    assert again.headers["idempotency-replayed"] == "true"


async def test_a_repeat_after_a_restart_is_answered_with_the_first(folder: Path) -> None:
    settings = settings_for(folder)
    async with opened_gateway(settings) as rig:
        first = await rig.client.flux(key="one")
        key, clock = rig.key, rig.clock
    async with opened_gateway(settings, key=key, clock=clock) as rig:
        again = await rig.client.flux(key="one")
        assert again.json["id"] == first.json["id"]
        assert len(await rig.jobs("bfl")) == 1


async def test_a_key_is_free_again_when_what_was_asked_for_failed_whyever(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, away = rig.world.db.write, ["insert_file"]

    async def failing(name: str, unit: Any) -> Any:
        if name in away:
            away.remove(name)
            raise DatabaseUnavailable
        return await write(name, unit)

    monkeypatch.setattr(rig.world.db, "write", failing)
    statuses: list[int] = []
    for _ in range(2):
        form = aiohttp.FormData()
        form.add_field("content", PNG, filename="a.png", content_type="image/png")
        headers = {"idempotency-key": "one"}
        statuses.append((await rig.client.call("POST", "/replicate/v1/files", data=form, headers=headers)).status)
    assert statuses == [503, 201]
