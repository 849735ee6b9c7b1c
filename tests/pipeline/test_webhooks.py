"""What callers' webhooks are told, in each format, signed, in order, and again until they are taken."""

import hashlib
import hmac
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook
from tests.app.rigs import Rig, opened_gateway

from halley.testing.gateway import settings_for
from halley.testing.receiver import Receiver, receiving


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as started:
        yield started


@pytest.fixture
async def told(folder: Path, receiver: Receiver) -> AsyncIterator[Rig]:
    """A gateway that may call the receiver."""
    del receiver
    async with opened_gateway(settings_for(folder, fetch_allow=("127.0.0.1",))) as rig:
        yield rig
        assert await rig.differences() == ()


async def _hooks(rig: Rig, receiver: Receiver, number: int, within_s: float = 120) -> None:
    async def came() -> bool:
        return len(receiver.hooks) >= number

    await rig.settle(came, within_s=within_s)


async def test_a_flux_webhook_is_told_the_end_with_the_vendors_signature(told: Rig, receiver: Receiver) -> None:
    accepted = await told.client.flux(webhook_url=receiver.url, webhook_secret="hush")
    assert accepted.json["webhook_url"] == receiver.url
    await _hooks(told, receiver, 1)
    [hook] = receiver.hooks
    assert (hook.json["id"], hook.json["status"]) == (accepted.json["id"], "Ready")
    assert hook.json["result"]["sample"].startswith(told.client.url)
    right = hmac.new(b"hush", hook.body, hashlib.sha256).hexdigest()
    assert hook.headers["x-bfl-signature"] == f"sha256={right}"


async def test_a_replicate_webhook_is_told_each_event_once_with_its_signature(told: Rig, receiver: Receiver) -> None:
    secret = (await told.client.call("GET", "/replicate/v1/webhooks/default/secret")).json["key"]
    accepted = await told.client.replicate(outer={"webhook": receiver.url})
    await _hooks(told, receiver, 3)
    await told.pass_time(60)
    words = [hook.json["status"] for hook in receiver.hooks]
    assert words[0] in ("starting", "processing")
    assert words[1:] == ["succeeded", "succeeded"]
    for hook in receiver.hooks:
        assert hook.json["id"] == accepted.json["id"]
        assert hook.json["webhook"] == receiver.url
        signature = Webhook(secret)
        expected = signature.sign(
            hook.headers["webhook-id"], _moment(hook.headers["webhook-timestamp"]), hook.body.decode()
        )
        assert hook.headers["webhook-signature"] == expected
    assert len({hook.headers["webhook-id"] for hook in receiver.hooks}) == 3


async def test_a_replicate_webhook_is_signed_though_nobody_asked_for_the_secret(told: Rig, receiver: Receiver) -> None:
    await told.client.replicate(outer={"webhook": receiver.url, "webhook_events_filter": ["completed"]})
    await _hooks(told, receiver, 1)
    assert receiver.hooks[0].headers["webhook-signature"].startswith("v1,")


async def test_only_the_events_that_were_asked_for_are_told(told: Rig, receiver: Receiver) -> None:
    await told.client.replicate(outer={"webhook": receiver.url, "webhook_events_filter": ["completed"]})
    await _hooks(told, receiver, 1)
    await told.pass_time(60)
    assert [hook.json["status"] for hook in receiver.hooks] == ["succeeded"]


@pytest.mark.parametrize("ending", ["content_moderated", "vendor_error", "expired_link"])
async def test_a_failure_is_told_too(told: Rig, receiver: Receiver, ending: str) -> None:
    await told.client.flux("flux-pro-1.1", ending, webhook_url=receiver.url)
    await _hooks(told, receiver, 1)
    hook = receiver.hooks[0]
    assert hook.json["status"] in ("Content Moderated", "Error")
    assert "x-bfl-signature" not in hook.headers


async def test_a_webhook_that_is_not_taken_comes_again_with_the_same_id(told: Rig, receiver: Receiver) -> None:
    receiver.answers.extend((500, 302))
    await told.client.flux(webhook_url=receiver.url)
    await _hooks(told, receiver, 3, within_s=600)
    await told.pass_time(3_600, step_s=60)
    assert len(receiver.hooks) == 3
    assert len({(hook.headers["webhook-id"], hook.body) for hook in receiver.hooks}) == 1


async def test_a_receiver_that_is_gone_is_left_alone(told: Rig, receiver: Receiver) -> None:
    receiver.answers.append(410)
    await told.client.flux(webhook_url=receiver.url)
    await _hooks(told, receiver, 1)
    await told.pass_time(3_600, step_s=60)
    assert len(receiver.hooks) == 1


async def test_a_webhook_is_given_up_after_the_schedule(told: Rig, receiver: Receiver) -> None:
    receiver.answers.extend([500] * 20)
    await told.client.flux(webhook_url=receiver.url)
    await told.pass_time(6 * 86_400, step_s=1_800)
    assert len(receiver.hooks) == 10
    await told.pass_time(3 * 86_400, step_s=7_200)
    assert len(receiver.hooks) == 10


async def test_a_webhook_survives_a_restart(folder: Path, receiver: Receiver) -> None:
    settings = settings_for(folder, fetch_allow=("127.0.0.1",))
    receiver.answers.append(500)
    async with opened_gateway(settings) as rig:
        await rig.client.flux(webhook_url=receiver.url)
        await _hooks(rig, receiver, 1)
        key, clock = rig.key, rig.clock
    async with opened_gateway(settings, key=key, clock=clock) as rig:
        await _hooks(rig, receiver, 2, within_s=600)


async def test_a_webhook_into_the_private_network_is_refused_at_once(rig: Rig) -> None:
    refused = await rig.client.flux(webhook_url="http://127.0.0.1:9/hook")
    assert refused.status in (400, 422)
    assert refused.json["error"]["param"] == "webhook_url"
    assert await rig.open_holds() == 0


async def test_a_refused_order_tells_nothing_but_its_end(told: Rig, receiver: Receiver) -> None:
    refused = await told.client.replicate(
        "black-forest-labs/flux-dev", "invalid", outer={"webhook": receiver.url, "webhook_events_filter": ["start"]}
    )
    assert refused.status == 422
    await told.pass_time(60)
    assert receiver.hooks == []


def _moment(seconds: str) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)
