"""The commonest call in one go: whatever the vendor says, it ends as it would have ended the general way."""

import asyncio
import gzip
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import pytest
from tests.answers.house import (
    LIVE,
    MODEL,
    Channels,
    House,
    channel,
    chat_body,
    completion,
    one,
    opened,
    soon,
    two,
)
from tests.answers.vendor import NESTED, Exchange, Script, Vendor, answer, cut, hang, refuse, reset

from halley.kernel.money import dollars
from halley.settings import ChannelConfig
from halley.testing.client import Reply
from halley.upstream.client import Prepared, UpstreamClient, UpstreamReply, UpstreamRequest, UpstreamStream, WholeReply
from halley.usage.model import Usage

PATH = "/v1/chat/completions"
OTHERWISE = {"idempotency-key": "once"}
"""Whoever sends this goes the general way."""
OWN = frozenset(("date", "halley-request-id", "x-request-id", "request-id"))
"""Headers that differ from answer to answer."""
DETAILS = {
    "prompt_tokens": 1_000,
    "completion_tokens": 500,
    "total_tokens": 1_500,
    "prompt_tokens_details": {"cached_tokens": 600, "audio_tokens": 50},
    "completion_tokens_details": {"reasoning_tokens": 300, "audio_tokens": 7},
}
ABOVE = {"prompt_tokens": 9_000, "completion_tokens": 90_000, "total_tokens": 99_000}


class Counting:
    """The client of vendors, which counts what goes straight."""

    def __init__(self, inner: UpstreamClient) -> None:
        self._inner = inner
        self.straight = 0
        self.opened = 0

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        return await self._inner.send(request)

    async def open(self, request: UpstreamRequest) -> UpstreamStream:
        self.opened += 1
        return await self._inner.open(request)

    def prepare(self, request: UpstreamRequest) -> Prepared:
        return self._inner.prepare(request)

    def begin(self, prepared: Prepared, body: bytes) -> asyncio.Future[WholeReply] | None:
        begun = self._inner.begin(prepared, body)
        self.straight += begun is not None
        return begun

    async def aclose(self) -> None:
        await self._inner.aclose()


class Line:
    """A caller on one kept-alive connection, whose heads are the same byte by byte unless told otherwise."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str) -> None:
        self._reader = reader
        self._writer = writer
        self._key = key

    def send(self, fields: Mapping[str, Any]) -> None:
        body = json.dumps(fields).encode()
        lines = (
            f"POST {PATH} HTTP/1.1",
            "host: halley",
            f"authorization: Bearer {self._key}",
            "content-type: application/json",
            f"content-length: {len(body)}",
        )
        self._writer.write(("\r\n".join(lines) + "\r\n\r\n").encode() + body)

    async def ask(self, **fields: Any) -> tuple[int, Any]:
        """Chat; the status and the body."""
        self.send(chat_body(**fields))
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.lower().strip().split("\r\n")
        length = int(dict(line.split(": ", 1) for line in lines)["content-length"])
        return int(first.split(" ")[1]), json.loads(await self._reader.readexactly(length))

    def leave(self) -> None:
        self._writer.close()


@asynccontextmanager
async def line(house: House, key: str = LIVE) -> AsyncGenerator[Line]:
    host, port = house.rig.gateway.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield Line(reader, writer, key)
    finally:
        writer.close()


def counting(house: House) -> Counting:
    house.rig.world.upstream = client = Counting(house.rig.world.upstream)
    return client


async def warm(house: House, headers: Mapping[str, str] | None = None) -> None:
    """Leave an idle connection to the first vendor."""
    house.vendor.will(answer(completion()))
    again = None if headers is None else {name: f"{value}-before" for name, value in headers.items()}
    assert (await house.chat(headers=again)).status == 200
    await house.usage()


class Ending:
    """How a call ended, for its caller, for the vendors and in the books: all that does not differ by chance."""

    def __init__(self, reply: Reply, usage: Usage, channel: str, asked: list[Any]) -> None:
        self.next: tuple[int, int, int] = (0, 0, 0)
        text = reply.body.decode()
        for name in OWN:
            text = text.replace(reply.headers.get(name, "-" * 40), "")
        self.reply = (reply.status, text, {name: v for name, v in reply.headers.items() if name not in OWN})
        self.usage = {
            name: getattr(usage, name)
            for name in usage.__struct_fields__
            if name not in {"id", "order_id", "account_id", "project_id", "key_id", "channel_id", "total_us"}
        }
        self.channel = channel
        self.asked = asked

    @classmethod
    async def of(cls, house: House, reply: Reply) -> Self:
        usage = await house.usage(2)
        asked = [
            (one.path, sorted(pair for pair in one.headers if pair[0] != "host"), one.body)
            for one in house.vendor.seen[1:] + house.second.seen
        ]
        return cls(reply, usage, await house.channel_of(usage), asked)


async def cut_within(exchange: Exchange) -> None:
    await exchange.whole(200, "application/json", {"content-length": "500"}, b'{"id": "chatcmpl-1", "choi')
    exchange.hang_up()


async def in_chunks(exchange: Exchange) -> None:
    await exchange.head(content_type="application/json")
    for byte in (b'{"id": "1", "choices": [], "usage": {"prompt_tokens"', b": 7, ", b'"completion_tokens": 3}}'):
        await exchange.piece(byte)
    await exchange.end()


async def cut_between_chunks(exchange: Exchange) -> None:
    await exchange.head(content_type="application/json")
    await exchange.piece(b'{"id": "1"')
    exchange.hang_up()


def refused_and_cut(status: int) -> Script:
    async def script(exchange: Exchange) -> None:
        told = {"content-length": "500", "retry-after": "7"}
        await exchange.whole(status, "application/json", told, b'{"error": {"mess')
        exchange.hang_up()

    return script


async def refused_and_silent(exchange: Exchange) -> None:
    await exchange.whole(429, "application/json", {"content-length": "500"}, b'{"error": {"mess')
    await hang(exchange)


def zipped(value: Any) -> Script:
    return answer(gzip.compress(json.dumps(value).encode()), headers={"content-encoding": "gzip"})


REPLIES: dict[str, Script] = {
    "plain": answer(completion()),
    "details": answer(completion(usage=DETAILS)),
    "no usage": answer(completion(usage=None)),
    "usage of null": answer({**completion(), "usage": None}),
    "nonsense usage": answer(completion(usage={"prompt_tokens": "many"})),
    "more than was held": answer(completion(usage=ABOVE)),
    "nothing used": answer(completion(usage={"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0})),
    "no output told": answer(completion("word " * 40, usage={"prompt_tokens": 9})),
    "no input told": answer(completion(usage={"completion_tokens": 9})),
    "a total alone": answer(completion("word " * 40, usage={"total_tokens": 50})),
    "large": answer(completion("x" * 300_000)),
    "in chunks": in_chunks,
    "zipped": zipped(completion()),
    "said to be zipped": answer(completion(), headers={"content-encoding": "gzip"}),
    "other type": answer(completion(), content_type="application/json; charset=utf-8"),
    "no type": answer(completion(), content_type="text/plain"),
    "created": answer(completion(), status=201),
    "no content": answer(b"", status=204),
    "empty": answer(b""),
    "a list": answer([1, 2]),
    "garbage": answer(b'{"choices": ['),
    "nested too deeply": answer(NESTED),
    "a page": answer(b"<html><p>Sign in</p></html>", content_type="text/html"),
    "the caller's fault": refuse(400, "Unknown field"),
    "bad key": refuse(401),
    "no such model": refuse(404),
    "too large": refuse(413),
    "busy": refuse(429, retry_after="7"),
    "failed": refuse(500),
    "busy, in an encoding that nobody asked for": answer(
        b"abcde", status=429, headers={"content-encoding": "br", "retry-after": "7"}
    ),
    "busy, said to be zipped": answer(b"abcde", status=429, headers={"content-encoding": "gzip", "retry-after": "7"}),
    "busy, cut": refused_and_cut(429),
    "busy, then silent": refused_and_silent,
    "bad key, cut": refused_and_cut(401),
    "the caller's fault, cut": refused_and_cut(400),
    "redirect": refuse(302, location="https://example.com/"),
    "a page as error": answer(b"<html>Bad Gateway</html>", status=502, content_type="text/html"),
    "closed": cut,
    "reset": reset,
    "cut": cut_within,
    "cut between chunks": cut_between_chunks,
    "silent": hang,
}


async def ended(folder: Path, script: Script, channels: Channels, *, straight: bool) -> Ending:
    """Make a second call of one kind in a gateway of its own."""
    headers = None if straight else OTHERWISE
    async with opened(folder, channels, total_timeout_s=0.4) as house:
        await warm(house, headers)
        client = counting(house)
        house.vendor.will(script)
        house.second.will(answer(completion("The second says so.")))
        key = await house.rig.make_key(livemode=True, requests_per_minute=9, tokens_per_minute=999_999)
        reply = await house.chat(key=key, headers=headers, max_tokens=50)
        assert client.straight == straight
        assert client.opened == (len(house.vendor.seen) - 1 + len(house.second.seen)) - straight
        ending = await Ending.of(house, reply)
        # Whether the channel rests now is seen by who is asked next.
        following = await house.chat(key=key, headers={"idempotency-key": "next"}, max_tokens=50)
        await house.usage(3)
        ending.next = (following.status, len(house.vendor.seen), len(house.second.seen))
        return ending


@pytest.mark.parametrize("channels", [one(), two], ids=["one channel", "two channels"])
@pytest.mark.parametrize("name", REPLIES)
async def test_a_call_that_goes_straight_ends_as_one_that_goes_the_general_way(
    folder: Path, name: str, channels: Channels
) -> None:
    straight = await ended(folder / "s", REPLIES[name], channels, straight=True)
    general = await ended(folder / "g", REPLIES[name], channels, straight=False)
    assert straight.reply == general.reply
    assert straight.usage == general.usage
    assert straight.channel == general.channel
    assert straight.asked == general.asked
    assert straight.next == general.next


async def test_a_key_that_was_revoked_is_refused_at_the_next_request_of_its_connection(house: House) -> None:
    await warm(house)
    client, key = counting(house), await house.rig.make_key(livemode=True)
    async with line(house, key) as caller:
        for _ in range(3):
            assert (await caller.ask())[0] == 200
        assert client.straight == 3
        asked, epoch, callers = len(house.vendor.seen), house.rig.world.callers.epoch, house.rig.world.callers
        await house.rig.revoke(key)

        async def noticed() -> bool:
            return callers.epoch > epoch

        await house.rig.settle(noticed, within_s=2, step_s=0.1)
        status, body = await caller.ask()
        assert (status, body["error"]["type"]) == (401, "authentication_error")
        assert (client.straight, len(house.vendor.seen)) == (3, asked)
    await house.usage(4)


async def test_a_caller_who_leaves_ends_the_vendors_work_and_pays_nothing(house: House) -> None:
    await warm(house)
    client, left = counting(house), asyncio.Event()

    async def thinking(exchange: Exchange) -> None:
        await hang(exchange)
        left.set()

    house.vendor.will(thinking)
    async with line(house) as caller:
        caller.send(chat_body(max_tokens=50))

        async def asked() -> bool:
            return len(house.vendor.seen) == 2

        await soon(asked)
        assert client.straight == 1
        (held,) = await house.held()
        caller.leave()
        async with asyncio.timeout(1):
            await left.wait()
    usage = await house.usage(2)
    assert (usage.outcome, usage.attempts, usage.price_nanos) == ("cancelled", 1, 0)
    assert usage.exposure_nanos == held > 0
    assert house.rig.world.answering == set()


class Mistaken(Counting):
    """A client that has a defect."""

    def begin(self, prepared: Prepared, body: bytes) -> asyncio.Future[WholeReply] | None:
        del prepared, body
        raise RuntimeError


async def test_a_mistake_of_ours_while_a_vendor_is_asked_costs_nobody_and_holds_nothing(house: House) -> None:
    await warm(house)
    house.rig.world.upstream = Mistaken(house.rig.world.upstream)
    assert (await house.chat()).status == 500
    usage = await house.usage(2)
    assert (usage.outcome, usage.attempts, usage.price_nanos) == ("cancelled", 1, 0)
    assert await house.rig.open_holds() == 0
    assert house.rig.world.answering == set()


async def test_requests_of_one_head_are_answered_for_what_each_asks(folder: Path) -> None:
    async def echo(exchange: Exchange) -> None:
        asked = exchange.received.json
        usage = {"prompt_tokens": 1 + len(asked["messages"][0]["content"]), "completion_tokens": 1, "total_tokens": 0}
        value = completion(asked["messages"][0]["content"], usage, model=asked["model"])
        await exchange.whole(200, "application/json", {}, json.dumps(value).encode())

    async with opened(folder, one(models=("*",))) as house:
        house.vendor.will(echo)
        client = counting(house)
        texts = ["a" * 10, "b" * 10, "c", "d" * 70_000, "e" * 10, "", "f" * 9_999]
        models = [MODEL, "gpt-4o", MODEL, "gpt-4o", "gpt-4o", MODEL, MODEL]
        async with line(house) as caller:
            for count, (text, model) in enumerate(zip(texts, models, strict=True), 1):
                status, body = await caller.ask(model=model, messages=[{"role": "user", "content": text}])
                assert (status, body["model"]) == (200, model)
                assert body["choices"][0]["message"]["content"] == text
                usage = await house.usage(count)
                assert (usage.model, usage.meters["input_token"]) == (model, 1 + len(text))
        assert client.straight == len(texts) - 1


async def test_a_model_is_refused_to_a_key_that_may_not_use_it_whoever_asked_before(house: House) -> None:
    narrow = await house.rig.make_key(livemode=True, models=("gpt-4o",))
    house.vendor.will(answer(completion()))
    for _ in range(2):
        assert (await house.chat()).status == 200
    assert (await house.chat(key=narrow)).status == 403
    assert (await house.chat(key=narrow, model="gpt-4o")).status == 200
    refused = await house.chat(key=narrow)
    assert (refused.status, refused.json["error"]["code"]) == (403, "permission_denied")
    assert [one.json["model"] for one in house.vendor.seen] == [MODEL, MODEL, "gpt-4o"]
    await house.usage(3)


async def test_more_than_was_held_is_charged_as_far_as_there_is_money_and_told_so(house: House) -> None:
    await warm(house)
    client, key = counting(house), await house.funded(500_000)
    house.vendor.will(answer(completion(usage=ABOVE)))
    reply = await house.chat(key=key, max_tokens=50)
    usage = await house.usage(2)
    assert (reply.status, client.straight) == (200, 1)
    assert usage.price_nanos == 500_000
    assert reply.headers["halley-cost"] == dollars(usage.price_nanos)


async def test_a_full_first_channel_is_passed_over(folder: Path) -> None:
    def channels(first: Vendor, second: Vendor) -> tuple[ChannelConfig, ...]:
        return channel(first, priority=1, at_once_max=1), channel(second, "second")

    async with opened(folder, channels) as house:
        await warm(house)
        client, goes_on = counting(house), asyncio.Event()

        async def slow(exchange: Exchange) -> None:
            await goes_on.wait()
            await answer(completion("first"))(exchange)

        house.vendor.will(slow)
        house.second.will(answer(completion("second")))
        slowly = asyncio.ensure_future(house.chat())  # noqa: TID251 - awaited right here

        async def busy() -> bool:
            return len(house.vendor.seen) == 2

        await soon(busy)
        other = await house.chat()
        goes_on.set()
        replies = [(await slowly).json, other.json]
        assert [each["choices"][0]["message"]["content"] for each in replies] == ["first", "second"]
        assert client.straight == 1
        await house.usage(3)
        assert sorted([usage.attempts for usage in await house.usages()]) == [1, 1, 1]
