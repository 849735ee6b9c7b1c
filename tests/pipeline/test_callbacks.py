"""A vendor's callback is a hint: it must be ours and signed, and the state is taken from a poll."""

import pytest
from tests.app.rigs import Rig

from halley.testing.wire import Break
from halley.vendors.replicate.signature import signed_headers

DEV = "black-forest-labs/flux-dev"


async def _running(rig: Rig) -> tuple[str, str]:
    """A task that runs long, and the address that its vendor was given."""
    await rig.client.replicate(DEV, "success; delay=3600")
    task = await rig.last_task()
    [job] = await rig.jobs("replicate")
    assert job.callback_url is not None

    async def polled() -> bool:
        return (await rig.task(task.id)).polls > 0

    await rig.settle(polled)
    return task.id, job.callback_url


async def test_an_unsigned_or_wrongly_signed_callback_is_refused_and_changes_nothing(rig: Rig) -> None:
    identity, url = await _running(rig)
    before = await rig.task(identity)
    wrong = signed_headers("whsec_d3Jvbmc=", "msg_1", rig.clock.now() // 1_000_000, b"{}")
    for headers in ({}, wrong, {**wrong, "webhook-signature": ""}):
        reply = await rig.client.call("POST", url, data=b"{}", headers=headers)
        assert reply.status == 401, headers
    assert (await rig.task(identity)).due_at == before.due_at


@pytest.mark.parametrize("change", ["mac", "task", "vendor", "no mac"])
async def test_an_address_that_we_did_not_make_is_not_there(rig: Rig, change: str) -> None:
    identity, url = await _running(rig)
    base, _, token = url.rpartition("/")
    other = {
        "mac": f"{base}/{identity}.{'0' * 26}",
        "task": f"{base}/01m82dcpkqfaqtr7ejkpvxhv7a.{token.partition('.')[2]}",
        "vendor": url.replace("/replicate/", "/bfl/"),
        "no mac": f"{base}/{identity}",
    }[change]
    assert (await rig.client.call("POST", other, data=b"{}")).status == 404


async def test_a_signed_callback_makes_the_task_due_at_once(rig: Rig) -> None:
    identity, url = await _running(rig)
    secret = await rig.vendor_secret("replicate")
    headers = signed_headers(secret, "msg_1", rig.clock.now() // 1_000_000, b'{"status":"succeeded"}')
    polls = (await rig.task(identity)).polls
    reply = await rig.client.call("POST", url, data=b'{"status":"succeeded"}', headers=headers)
    assert reply.status == 200

    async def polled() -> bool:
        return (await rig.task(identity)).polls > polls

    await rig.settle(polled, within_s=0.5, step_s=0.01)
    # What it said does not count: the vendor, asked, says that it still runs.
    assert (await rig.task(identity)).state == "running"


async def test_an_old_callback_is_refused(rig: Rig) -> None:
    _, url = await _running(rig)
    secret = await rig.vendor_secret("replicate")
    headers = signed_headers(secret, "msg_1", rig.clock.now() // 1_000_000 - 3_600, b"{}")
    assert (await rig.client.call("POST", url, data=b"{}", headers=headers)).status == 401


async def test_when_the_secret_cannot_be_had_the_vendor_is_told_to_come_again(rig: Rig) -> None:
    identity, url = await _running(rig)
    rig.world.callback_secrets.clear()
    rig.wire.fail(Break.BROKEN, lambda _, path: path.endswith("/secret"))
    reply = await rig.client.call("POST", url, data=b"{}", headers={"webhook-id": "msg_1"})
    assert reply.status >= 500
    assert (await rig.task(identity)).state == "running"


async def test_a_callback_after_the_end_is_taken_and_changes_nothing(rig: Rig) -> None:
    await rig.client.replicate(DEV)
    task = await rig.ended((await rig.last_task()).id)
    [job] = await rig.jobs("replicate")
    assert job.callback_url is not None
    secret = await rig.vendor_secret("replicate")
    headers = signed_headers(secret, "msg_1", rig.clock.now() // 1_000_000, b"{}")
    assert (await rig.client.call("POST", job.callback_url, data=b"{}", headers=headers)).status == 200
    assert await rig.task(task.id) == task
