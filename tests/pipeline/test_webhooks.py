"""What callers' webhooks are told, in each format, signed, in order, and again until they are taken."""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from standardwebhooks.webhooks import Webhook
from tests.app.rigs import Rig, opened_gateway
from tests.assets.rows import insert_task_row

from halley.console.commands.world import NewWebhookSecret, new_webhook_secret
from halley.db import Tx
from halley.kernel.clock import MICROSECONDS
from halley.kernel.ids import TaskId
from halley.kernel.vault import Vault
from halley.pipeline.task import webhook_secret
from halley.testing.gateway import settings_for
from halley.testing.receiver import Hook, Receiver, receiving
from halley.webhooks import NewDelivery
from halley.webhooks.store import enqueue


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
        assert hook.headers["webhook-signature"] == _signed(hook, secret)
    assert len({hook.headers["webhook-id"] for hook in receiver.hooks}) == 3


async def test_a_replicate_webhook_is_signed_though_nobody_asked_for_the_secret(told: Rig, receiver: Receiver) -> None:
    await told.client.replicate(outer={"webhook": receiver.url, "webhook_events_filter": ["completed"]})
    await _hooks(told, receiver, 1)
    assert receiver.hooks[0].headers["webhook-signature"].startswith("v1,")


async def test_a_webhook_whose_secret_was_lost_goes_out_with_a_new_one(told: Rig, receiver: Receiver) -> None:
    await told.client.call("GET", "/replicate/v1/webhooks/default/secret")
    told.world.vault = Vault(b"another secret of the gateway, of a restore without it")
    await told.client.replicate(outer={"webhook": receiver.url, "webhook_events_filter": ["completed"]})
    await told.pass_time(60)
    assert receiver.hooks == []
    made = await new_webhook_secret(told.world, NewWebhookSecret(account="default"), lambda _: None)
    await _hooks(told, receiver, 1, within_s=3_600)
    [hook] = receiver.hooks
    assert hook.headers["webhook-signature"] == _signed(hook, made.test_secret)


async def test_each_mode_signs_with_a_secret_of_its_own(told: Rig, receiver: Receiver) -> None:
    made = await new_webhook_secret(told.world, NewWebhookSecret(account="default"), lambda _: None)
    [project] = await told.world.db.read(lambda tx: tx.all("SELECT id FROM projects WHERE webhook_secret IS NOT NULL"))
    changes = {"project_id": project["id"], "livemode": True, "dialect": "replicate"}
    await told.world.db.write("test", lambda tx: _enqueue(tx, "live", "acct_1", receiver.url, **changes))
    await told.client.replicate(outer={"webhook": receiver.url, "webhook_events_filter": ["completed"]})
    await _hooks(told, receiver, 2)
    signed = {hook.headers["webhook-id"] == "msg_live": hook for hook in receiver.hooks}
    for live, secret in ((True, made.secret), (False, made.test_secret)):
        assert signed[live].headers["webhook-signature"] == _signed(signed[live], secret)


async def test_a_webhook_on_its_way_does_not_bring_back_a_secret_that_was_replaced(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, account = rig.world, NewWebhookSecret(account="default")
    world.vault = Vault(b"o" * 32)
    leaked = (await new_webhook_secret(world, account, lambda _: None)).secret
    [project] = await world.db.read(lambda tx: tx.all("SELECT id FROM projects WHERE webhook_secret IS NOT NULL"))
    world.vault = Vault((b"n" * 32, b"o" * 32))
    write, begun, goes_on = world.db.write, asyncio.Event(), asyncio.Event()

    async def write_late(name: str, unit: Callable[[Tx], Any]) -> Any:
        begun.set()
        await goes_on.wait()
        return await write(name, unit)

    async with asyncio.TaskGroup() as group:
        with monkeypatch.context() as patched:
            patched.setattr(world.db, "write", write_late)
            on_its_way = group.create_task(webhook_secret(world, project["id"], livemode=True))
            await begun.wait()
        made = (await new_webhook_secret(world, account, lambda _: None)).secret
        goes_on.set()
    assert {await on_its_way, await webhook_secret(world, project["id"], livemode=True)} == {made}
    assert made != leaked


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


async def test_a_webhook_is_taken_by_its_status_however_large_the_answer(told: Rig, receiver: Receiver) -> None:
    receiver.says = b"x" * 200_000
    await told.client.flux(webhook_url=receiver.url)
    await _hooks(told, receiver, 1)
    await told.pass_time(60)
    assert len(receiver.hooks) == 1


async def test_the_end_is_told_soon_though_the_start_is_not_taken(told: Rig, receiver: Receiver) -> None:
    receiver.takes_only = b'"completed_at"'
    await told.client.replicate(outer={"webhook": receiver.url, "webhook_events_filter": ["start", "completed"]})
    await told.ended((await told.last_task()).id)

    async def completed() -> bool:
        return any(hook.json["status"] == "succeeded" for hook in receiver.hooks)

    await told.settle(completed, within_s=30)


async def test_a_receiver_that_is_gone_is_left_alone(told: Rig, receiver: Receiver) -> None:
    receiver.answers.append(410)
    await told.client.flux(webhook_url=receiver.url)
    await _hooks(told, receiver, 1)
    await told.pass_time(3_600, step_s=60)
    assert len(receiver.hooks) == 1


async def test_a_webhook_is_given_up_after_the_schedule(told: Rig, receiver: Receiver) -> None:
    receiver.answers.extend([500] * 20)
    await told.client.flux(webhook_url=receiver.url)
    await told.ended((await told.last_task()).id)
    world = told.world

    async def tries() -> tuple[int, int, int | None]:
        (row,) = await world.db.read(lambda tx: tx.all("SELECT attempts, fence, due_at FROM outbox"))
        return row["attempts"], row["fence"], row["due_at"]

    made, leased, due_at = await tries()
    while due_at is not None:
        # Small steps while a try is under way: a large one would end its lease, and it would be made twice.
        if leased == made:
            told.clock.advance(max(0, due_at - world.clock.now()) / MICROSECONDS)
        before = made
        async with asyncio.timeout(20):
            while made == before:
                await told.turn(0.05)
                made, leased, due_at = await tries()
    assert world.clock.now() - (await told.last_task()).created_at > 3 * 86_400 * MICROSECONDS
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


@pytest.mark.parametrize("head", [pytest.param(256, id="in sight"), pytest.param(8, id="behind the head of the queue")])
async def test_receivers_of_one_account_that_never_answer_hold_up_no_other_account(
    told: Rig, receiver: Receiver, head: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("halley.webhooks.store.HEAD_MAX", head)
    async with _silence(told) as url:
        await told.world.db.write("test", lambda tx: [_enqueue(tx, f"{n:03}", "acct_1", url) for n in range(100)])
        await told.pass_time(2, step_s=0.1)
        await told.world.db.write("test", lambda tx: _enqueue(tx, "100", "acct_2", receiver.url))
        await _hooks(told, receiver, 1, within_s=20)


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


@asynccontextmanager
async def _silence(rig: Rig) -> AsyncGenerator[str]:
    """A receiver that takes connections and says nothing until it is left; the clock does not stand still for it."""
    taken: list[asyncio.StreamWriter] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.append(writer)
        rig.wire.busy -= 1
        try:
            await reader.read()
        finally:
            rig.wire.busy += 1

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    finally:
        server.close()
        for writer in taken:
            writer.close()


def _enqueue(tx: Tx, number: str, account: str, url: str, **changes: Any) -> None:
    """A webhook of a task of its own."""
    insert_task_row(tx, f"task-{number}")
    delivery = NewDelivery(
        id=f"msg_{number}",
        task_id=TaskId(f"task-{number}"),
        account_id=account,
        project_id="proj_1",
        livemode=False,
        dialect="flux",
        event="completed",
        url=url,
        body=b"{}",
        created_at=1,
    )
    assert enqueue(tx, msgspec.structs.replace(delivery, **changes))


def _signed(hook: Hook, secret: str) -> str:
    """What signs it rightly."""
    when = _moment(hook.headers["webhook-timestamp"])
    return Webhook(secret).sign(hook.headers["webhook-id"], when, hook.body.decode())


def _moment(seconds: str) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)
