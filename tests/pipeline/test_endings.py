"""Endings where more than one channel may take an order, and the two faces of an unknown outcome."""

from collections.abc import Awaitable, Callable

import pytest
from tests.app.rigs import Rig

from halley.testing.gateway import leaks
from halley.testing.wire import Break
from halley.worker.leases import ROUND_EVERY_S


@pytest.mark.parametrize("ending", ["unauthorized", "out_of_credit", "connect_refused"])
async def test_when_every_channel_fails_each_was_tried_once_and_the_hold_is_given_back(rig: Rig, ending: str) -> None:
    refused = await rig.client.flux("flux-pro-1.1", ending, width=512, height=512)
    assert refused.status == 503
    task = await rig.last_task()
    assert (task.state, task.attempts) == ("failed", 2)
    assert await rig.open_holds() == 0
    assert await rig.jobs("bfl") == await rig.jobs("replicate") == []


async def test_when_every_channel_is_busy_the_caller_is_told_when_to_come_again(rig: Rig) -> None:
    refused = await rig.client.flux("flux-pro-1.1", "rate_limited", width=512, height=512)
    assert refused.status == 429
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.json["error"]["code"] == "vendor_rate_limited"
    assert (await rig.last_task()).attempts == 2


@pytest.mark.parametrize(
    "how", [Break.REFUSED, Break.UNAUTHORIZED, Break.RATE_LIMITED, Break.BROKEN, Break.OUT_OF_CREDIT]
)
async def test_a_channel_that_did_not_take_it_is_followed_by_the_next(rig: Rig, how: Break) -> None:
    rig.wire.fail(how, lambda method, _: method == "POST")
    accepted = await rig.client.flux(width=512, height=512)
    assert accepted.status == 200
    task = await rig.ended(accepted.json["id"])
    assert (task.state, task.attempts, task.vendor) == ("succeeded", 2, "replicate")
    assert len(await rig.jobs("replicate")) == 1
    assert await rig.jobs("bfl") == []


@pytest.mark.parametrize("how", [Break.HANGS, Break.RESET, Break.GARBAGE])
async def test_an_order_that_may_have_been_taken_is_never_sent_again(rig: Rig, how: Break) -> None:
    rig.wire.fail(how, lambda method, _: method == "POST")
    accepted = await rig.client.flux(width=512, height=512)
    assert accepted.status == 200
    task = await rig.last_task()
    assert (task.state, task.attempts) == ("unknown", 1)
    assert await rig.open_holds() == 1
    assert (await rig.client.get_result(task.id))["status"] == "Pending"
    assert (await rig.client.prediction(task.id)).json["status"] in ("starting", "processing")
    assert await rig.jobs("replicate") == []
    await rig.pass_time(600 + 3_600, step_s=100)
    task = await rig.ended(task.id)
    assert task.failure is not None
    assert task.failure.code == "outcome_unknown"
    assert (await rig.client.get_result(task.id))["status"] == "Error"
    assert await rig.open_holds() == 0


async def test_a_caller_fault_is_sent_to_no_other_channel(rig: Rig) -> None:
    refused = await rig.client.flux("flux-pro-1.1", "invalid", width=512, height=512)
    assert refused.status == 422
    assert refused.json["detail"][0]["loc"] == ["body", "prompt"]
    assert (await rig.last_task()).attempts == 1


async def test_the_prompt_orders_an_ending_as_the_header_does(rig: Rig) -> None:
    accepted = await rig.client.flux(prompt="a cat [[halley outcome=content_moderated delay=1]]")
    task = await rig.ended(accepted.json["id"])
    assert task.failure is not None
    assert task.failure.code == "content_moderated"


@pytest.mark.parametrize("directive", ["nonsense", "success; delay=x", "success; size=3"])
async def test_a_directive_that_cannot_be_read_is_refused(rig: Rig, directive: str) -> None:
    refused = await rig.client.flux("flux-pro-1.1", directive)
    assert refused.status in (400, 422)
    assert refused.json["error"]["param"] == "Halley-Test"
    assert await rig.open_holds() == 0


async def test_a_callback_lets_a_task_end_before_its_next_poll(rig: Rig) -> None:
    accepted = await rig.client.replicate("black-forest-labs/flux-dev", "success; delay=62.2")
    identity = accepted.json["id"]
    await rig.pass_time(61, step_s=0.5)
    await rig.pass_time(1.5, step_s=0.1)
    polled = (await rig.task(identity)).polls

    async def ended() -> bool:
        return (await rig.task(identity)).state == "succeeded"

    for _ in range(5):
        if await _comes_to_pass(rig, ended):
            break
        await rig.turn(ROUND_EVERY_S)  # otherwise the clock stands: what ends it is the callback
    assert polled < 20
    [job] = await rig.jobs("replicate")
    task = await rig.task(identity)
    assert task.ended_at is not None
    assert task.ended_at - job.ready_us < 1_000_000


async def _comes_to_pass(rig: Rig, until: Callable[[], Awaitable[bool]]) -> bool:
    """Whether it does while the clock stands."""
    for _ in range(200):
        if await until():
            return True
        await rig.turn(0)
    return False


async def test_a_link_of_one_vendor_is_never_shown_even_while_it_runs(rig: Rig) -> None:
    await rig.client.replicate("black-forest-labs/flux-dev", "success; delay=30")
    task = await rig.last_task()
    for _ in range(4):
        await rig.turn(5)
        await rig.client.prediction(task.id)
        await rig.client.get_result(task.id)
        await rig.client.call("GET", "/replicate/v1/predictions")
    [job] = await rig.jobs("replicate")
    assert leaks(rig.client, [job.id, "/callbacks/", "replicate.com"]) == []
