"""What a caller or an operator does so that the gateway passes a certain place. Each act goes through a public door.

An act that is cut by the gateway's death just ends.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable

import aiohttp
from tests.crash.house import House
from tests.crash.orders import (
    FLUX,
    FLUX_AFTER_REFUSED_CONNECT,
    REPLICATE,
    REPLICATE_WITH_IMAGE,
    Answered,
    Ending,
    Order,
)

from halley.console.client import ConnectionCut, NobodyAnswers
from halley.kernel.loose import as_object, as_text

Act = Callable[[House], Awaitable[None]]
_PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000" "1f15c4890000000d49444154789c63f8cfc0f01f0005"
    "0001ff56c72f0d0000000049454e44ae426082"
)  # fmt: skip


async def order_images(house: House) -> None:
    """One in each format, both told by webhook."""
    await house.send(house.orders.hooked(FLUX), house.orders.hooked(REPLICATE))


async def order_what_takes_longer(house: House) -> None:
    """So that the first poll finds it running."""
    await house.send(_ending(house, FLUX, Ending.SUCCESS, "outcome=success delay=2"))


async def order_and_wait(house: House) -> None:
    """With a key, held open until it has ended."""
    await house.send(house.orders.order(REPLICATE, keyed=True, wait_s=5))


async def order_what_is_refused(house: House) -> None:
    await house.send(_ending(house, FLUX, Ending.REFUSED, "outcome=invalid"))


async def order_what_fails(house: House) -> None:
    await house.send(_ending(house, REPLICATE, Ending.FAILURE, "outcome=vendor_error"))


async def lose_a_reply(house: House) -> None:
    """Of a vendor that cannot be asked, so that the task stays unknown."""
    await house.send(_ending(house, FLUX, Ending.LOST, "outcome=reset_after_send"))


async def order_where_one_channel_refuses(house: House) -> None:
    await house.send(house.orders.order(FLUX_AFTER_REFUSED_CONNECT, keyed=True))


async def be_late_with_a_webhook(house: House) -> None:
    await house.send(house.orders.hooked(FLUX, late=True))


async def cancel(house: House) -> None:
    """Where the vendor can, with a key."""
    answer = await _first(house, _ending(house, REPLICATE, Ending.CANCELLED, "outcome=success delay=3"))
    if answer is not None:
        await _post(house, f"/replicate/v1/predictions/{answer.task_id}/cancel", key=f"cancel {answer.order.tag}")


async def cancel_again_after_a_crash(house: House) -> None:
    """A cancel was begun when the process died; its repeat goes on with it."""
    place = house.gateway.aimed()
    house.gateway.aim("")
    answer = await _first(house, _ending(house, REPLICATE, Ending.CANCELLED, "outcome=success delay=3"))
    assert answer is not None
    path, key = f"/replicate/v1/predictions/{answer.task_id}/cancel", f"cancel {answer.order.tag}"
    house.gateway.aim("writer.after_commit.begin")
    await _post(house, path, key=key)
    await house.gateway.died()
    house.gateway.aim(place)
    await house.gateway.start()
    await _post(house, path, key=key)


async def cancel_what_can_not_be(house: House) -> None:
    """Refused, so its key may be used again."""
    answer = await _first(house, house.orders.order(FLUX))
    if answer is not None:
        await _post(house, f"/v1/tasks/{answer.task_id}/cancel", key=f"cancel {answer.order.tag}")


async def order_with_own_file(house: House) -> None:
    """Upload a file, order with it, delete it."""
    form = aiohttp.FormData()
    form.add_field("content", _PIXEL, filename="pixel.png", content_type="image/png")
    async with house.orders.session() as session:
        try:
            async with session.post(f"{house.gateway.url}/replicate/v1/files", data=form) as reply:
                file = await reply.json()
            await house.orders.send(
                session, house.gateway.url, house.orders.order(REPLICATE_WITH_IMAGE, image=file["urls"]["get"])
            )
            async with session.delete(f"{house.gateway.url}/replicate/v1/files/{file['id']}") as reply:
                assert reply.status == 204, await reply.text()
        except aiohttp.ClientError:
            return


async def ask_for_the_webhook_secret(house: House) -> None:
    """Of a new project, which has none yet."""
    project = house.orders.order(FLUX).tag
    made = await _command(house, "keys.create", {"account": "default", "project": project, "livemode": True})
    assert isinstance(made, dict)
    headers = {"authorization": f"Bearer {made['key']}"}
    async with house.orders.session() as session:
        try:
            url = f"{house.gateway.url}/replicate/v1/webhooks/default/secret"
            async with session.get(url, headers=headers) as reply:
                assert reply.status == 200
        except aiohttp.ClientError:
            return


async def replace_a_webhook_secret(house: House) -> None:
    await _command(house, "webhooks.rotate", {"account": "default"})


async def make_and_revoke_a_key(house: House) -> None:
    made = await _command(house, "keys.create", {"account": "default", "livemode": True})
    if isinstance(made, dict):
        await _command(house, "keys.revoke", {"key": made["key"]})


async def make_and_credit_an_account(house: House) -> None:
    name = house.orders.order(FLUX).tag
    await _command(house, "accounts.create", {"name": name, "kind": "prepaid"})
    credited = as_object(await _command(house, "accounts.credit", {"account": name, "amount_nanos": 1}))
    if corrects := as_text(credited.get("transfer_id")):
        wrong: dict[str, object] = {"account": name, "amount_nanos": -1, "corrects": corrects, "reason": "twice"}
        await _command(house, "accounts.adjust", wrong)


async def give_an_account_another_limit(house: House) -> None:
    name = house.orders.order(FLUX).tag
    await _command(house, "accounts.create", {"name": name, "kind": "postpaid", "limit_nanos": 1})
    await _command(house, "accounts.update", {"account": name, "limit_nanos": 2})


async def send_a_webhook_again(house: House) -> None:
    """One that came and was written down as delivered."""
    await house.send(house.orders.hooked(FLUX))
    await house.settle()
    await _command(house, "webhooks.redeliver", {"id": house.receiver.received()[-1].id})


async def send_given_up_webhooks_again(house: House) -> None:
    """None was given up: what is written is that somebody asked."""
    await _command(house, "webhooks.redeliver_failed", {})


async def reload(house: House) -> None:
    await _command(house, "reload", {})


async def order_after_a_reload(house: House) -> None:
    """A reload forgets the vendors' signing secrets, so that they are asked for again."""
    await reload(house)
    await order_images(house)


async def be_asked_after_a_crash(house: House) -> None:
    """A reply is on its way when the process dies; the next one asks the vendor what became of the order."""
    house.gateway.aim("vendor.after.submit")
    await house.send(house.orders.order(REPLICATE))
    await house.gateway.died()


async def chat(house: House) -> None:
    """Streamed and not, both at once."""
    chats, url = house.chats, house.gateway.url
    await asyncio.gather(*(chats.send(url, chats.new_tag(), stream=stream) for stream in (True, False)))


async def chat_with_little_left(house: House) -> None:
    """With a key whose budget does not cover the longest answer, but an answer."""
    key = await _new_key(house, budget_nanos=1_000_000)
    await house.chats.send(house.gateway.url, house.chats.new_tag(), key=key)


async def limit_a_key(house: House) -> None:
    await _command(house, "keys.update", {"key": await _new_key(house), "requests_per_minute": 60})


async def import_prices(house: House) -> None:
    """Of a model that nothing else here uses, each time another price."""
    path = house.folder / "prices.json"
    cost = int(house.chats.new_tag().rpartition("-")[2])
    rates = {"input_cost_per_token": cost / 1e6, "output_cost_per_token": cost / 1e6}
    path.write_text(json.dumps({"gpt-4o": {"litellm_provider": "openai", "mode": "chat"} | rates}))
    await _command(house, "prices.import", {"path": str(path)})


def _ending(house: House, path: str, ending: Ending, directive: str) -> Order:
    return house.orders.order(path, ending=ending, directive=f"[[halley {directive}]]", keyed=True)


async def _first(house: House, order: Order) -> Answered | None:
    return (await house.send(order))[0]


async def _post(house: House, path: str, *, key: str) -> None:
    async with house.orders.session() as session:
        try:
            async with session.post(house.gateway.url + path, headers={"idempotency-key": key}) as reply:
                await reply.read()
        except aiohttp.ClientError:
            return


async def _command(house: House, name: str, args: dict[str, object]) -> object:
    try:
        return await house.command(name, args)
    except (ConnectionCut, NobodyAnswers):
        return None


async def _new_key(house: House, **terms: object) -> str:
    made = await _command(house, "keys.create", {"account": "default", "livemode": True, **terms})
    return as_text(as_object(made).get("key"))


async def resolve_a_lost_one(house: House, place: str) -> None:
    """The operator gives the money of an unknown task back, and the gateway dies at a place on the way."""
    answer = await _first(house, _ending(house, FLUX, Ending.RESOLVED, "outcome=reset_after_send"))
    assert answer is not None
    house.gateway.aim(place)
    await _command(house, "tasks.resolve", {"id": str(answer.task_id), "void": True})
