"""Which channel is asked: order of preference, shares, affinity, rests, probes, bounds."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.answers.house import (
    CLAUDE,
    HELLO,
    House,
    channel,
    chat_body,
    chunk,
    completion,
    one,
    opened,
    soon,
    three,
    two,
)
from tests.answers.odd import candidate
from tests.answers.vendor import Exchange, Script, Vendor, answer, cut, events, hang, refuse, stream

from halley.routing.health import FAILURES_MAX, REST_S
from halley.settings import ChannelConfig

OK = answer(completion())
MESSAGE: dict[str, Any] = {
    "type": "message",
    "content": [{"type": "text", "text": "Hi."}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 3, "output_tokens": 1},
}
CONTENT = candidate("Hi.", finishReason="STOP")
RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "37s"}
QUOTA = {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "Quota exceeded", "details": [RETRY]}


async def _wait_for(vendor: Vendor, count: int) -> None:
    async def seen() -> bool:
        return len(vendor.seen) >= count

    await soon(seen)


def shared(first: Vendor, second: Vendor) -> tuple[ChannelConfig, ...]:
    return channel(first, weight=3), channel(second, "second"), channel(second, "spare", priority=-1)


async def test_keys_are_shared_by_weight_and_each_keeps_its_channel(folder: Path) -> None:
    async with opened(folder, shared) as house:
        house.vendor.will(OK)
        house.second.will(OK)
        for _ in range(24):
            key = await house.rig.make_key(livemode=True)
            for _ in range(2):
                assert (await house.chat(key=key)).status == 200
        channels: dict[str, list[str]] = {}
        for usage in await house.usages():
            channels.setdefault(usage.key_id, []).append(await house.channel_of(usage))
        assert all(first == second for first, second in channels.values())
        share = Counter(first for first, _ in channels.values())
        assert share["first"] > share["second"] > 0
        assert share["spare"] == 0


async def test_a_channel_that_speaks_the_callers_format_goes_before_one_that_must_be_translated(folder: Path) -> None:
    def channels(first: Vendor, second: Vendor) -> tuple[ChannelConfig, ...]:
        mapped = {CLAUDE: CLAUDE}
        return channel(first, weight=1000, model_map=mapped), channel(
            second, "second", vendor="anthropic", base_url=second.url
        )

    async with opened(folder, channels) as house:
        reply: dict[str, Any] = {"type": "message", "content": [], "usage": {"input_tokens": 3, "output_tokens": 1}}
        house.second.will(answer(reply))
        body = {"model": CLAUDE, "max_tokens": 5, "messages": HELLO}
        assert (await house.post("/v1/messages", body)).json == reply
        assert (house.second.last.path, house.vendor.seen) == ("/v1/messages", [])


async def test_a_channel_rests_after_failures_and_one_probe_goes_through_when_it_has(folder: Path) -> None:
    async with opened(folder, two) as house:
        house.vendor.will(refuse(500))
        house.second.will(OK)
        for _ in range(FAILURES_MAX + 3):
            assert (await house.chat()).status == 200
        assert len(house.vendor.seen) == FAILURES_MAX
        house.rig.clock.advance(REST_S + 1)
        await house.chat()
        await house.chat()
        assert len(house.vendor.seen) == FAILURES_MAX + 1
        house.rig.clock.advance(REST_S + 1)
        house.vendor.will(OK)
        await house.chat()
        await house.chat()
        assert len(house.vendor.seen) == FAILURES_MAX + 3
        assert await house.channel_of((await house.usages())[-1]) == "first"


async def test_a_vendor_that_breaks_every_stream_off_rests_too(folder: Path) -> None:
    async with opened(folder, two) as house:
        house.vendor.will(stream(*events(*[chunk("Hi ")] * 3, done=False), then=cut))
        house.second.will(stream(*events(chunk("Hi."), chunk(finish="stop"))))
        for count in range(FAILURES_MAX + 3):
            await house.chat(stream=True)
            await house.usage(count + 1)
        assert (len(house.vendor.seen), len(house.second.seen)) == (FAILURES_MAX, 3)
        house.rig.clock.advance(REST_S + 1)
        await house.chat(stream=True)
        await house.usage(FAILURES_MAX + 4)
        await house.chat(stream=True)
        assert (len(house.vendor.seen), len(house.second.seen)) == (FAILURES_MAX + 1, 4)


async def test_a_stream_that_goes_well_to_its_end_forgets_the_failures(folder: Path) -> None:
    broken = stream(*events(chunk("Hi "), done=False), then=cut)
    async with opened(folder, two) as house:
        house.vendor.will(*[broken] * (FAILURES_MAX - 1), stream(*events(chunk("Hi."), chunk(finish="stop"))), broken)
        for count in range(2 * FAILURES_MAX - 1):
            await house.chat(stream=True)
            await house.usage(count + 1)
        assert (len(house.vendor.seen), house.second.seen) == (2 * FAILURES_MAX - 1, [])


async def test_a_probe_whose_stream_has_begun_keeps_nobody_waiting_for_its_end(folder: Path) -> None:
    async with opened(folder) as house:
        house.vendor.will(refuse(500))
        for _ in range(FAILURES_MAX):
            await house.chat()
        house.rig.clock.advance(REST_S + 1)
        house.vendor.will(stream(*events(chunk("Hi "), done=False), then=hang), OK)
        async with house.posting("/v1/chat/completions", chat_body(stream=True)) as probe:
            await probe.content.readany()
            assert (await house.chat()).status == 200


async def test_a_rest_is_the_channels_for_that_operation_alone(folder: Path) -> None:
    async with opened(folder) as house:
        house.vendor.will(refuse(500))
        for _ in range(FAILURES_MAX):
            await house.chat()
        resting = await house.chat()
        assert (resting.status, int(resting.headers["retry-after"]) >= 1) == (503, True)
        house.vendor.will(answer({"data": [], "usage": {"prompt_tokens": 2, "total_tokens": 2}}))
        assert (await house.post("/v1/embeddings", {"model": "text-embedding-3-small", "input": "x"})).status == 200


async def test_a_model_that_the_vendor_does_not_have_makes_no_channel_rest(folder: Path) -> None:
    async with opened(folder, two) as house:
        house.vendor.will(*[refuse(404)] * (FAILURES_MAX + 1), OK)
        house.second.will(OK)
        for _ in range(FAILURES_MAX + 1):
            assert (await house.chat()).status == 200
        assert len(house.second.seen) == FAILURES_MAX + 1
        assert (await house.chat()).status == 200
        assert (len(house.vendor.seen), len(house.second.seen)) == (FAILURES_MAX + 2, FAILURES_MAX + 1)


BUSY: dict[str, tuple[str, str, Script, Any]] = {
    "openai": ("gpt-4o-mini", "gpt-5.4", refuse(429, retry_after="37"), completion()),
    "anthropic": ("claude-opus-4-6", "claude-haiku-4-5", refuse(429, retry_after="37"), MESSAGE),
    "gemini": ("gemini-2.5-pro", "gemini-2.5-flash", answer({"error": QUOTA}, status=429), CONTENT),
}


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", BUSY)
async def test_a_limit_of_one_model_rests_that_model_alone_and_is_told_as_its_vendor_would(
    folder: Path, name: str, *, streams: bool
) -> None:
    busy, free, refusal, reply = BUSY[name]
    async with opened(folder, three) as house:
        house.vendor.will(refusal)
        assert (await house.chat(model=busy, stream=streams)).status == 429
        house.vendor.will(answer(reply))
        house.rig.clock.advance(10)
        other = await house.funded(10**9)
        refused = await house.chat(model=busy, stream=streams, key=other)
        assert (refused.status, refused.json["error"]["code"]) == (429, "vendor_rate_limited")
        assert refused.headers["retry-after"] == "27"
        assert (await house.chat(model=free, key=other)).status == 200
        assert len(house.vendor.seen) == 2
        house.rig.clock.advance(28)
        assert (await house.chat(model=busy)).status == 200


async def test_of_several_rests_the_first_to_be_over_is_told(folder: Path) -> None:
    async with opened(folder, two) as house:
        house.vendor.will(refuse(429, retry_after="60"))
        house.second.will(refuse(429, retry_after="20"))
        assert (await house.chat()).status == 429
        for path, body in (("/v1/chat/completions", chat_body()), ("/v1/chat/completions", chat_body(stream=True))):
            refused = await house.post(path, body)
            assert (refused.status, refused.headers["retry-after"]) == (429, "20")


async def test_a_vendor_that_is_busy_again_and_again_without_saying_for_how_long_rests_for_that_model(
    folder: Path,
) -> None:
    async with opened(folder) as house:
        house.vendor.will(refuse(429))
        for _ in range(FAILURES_MAX):
            await house.chat()
        refused = await house.chat()
        assert (refused.status, refused.headers["retry-after"]) == (429, f"{REST_S:.0f}")
        house.vendor.will(OK)
        assert (await house.chat(model="gpt-5.4")).status == 200
        assert len(house.vendor.seen) == FAILURES_MAX + 1


async def test_what_is_left_of_a_rest_after_failures_is_told(folder: Path) -> None:
    async with opened(folder) as house:
        house.vendor.will(refuse(500))
        for _ in range(FAILURES_MAX):
            await house.chat()
        house.rig.clock.advance(REST_S - 4)
        resting = await house.chat()
        assert (resting.status, resting.json["error"]["code"]) == (503, "vendor_unreachable")
        assert resting.headers["retry-after"] == "4"


async def test_a_model_that_rests_does_not_take_its_channel_down_in_the_metrics(folder: Path) -> None:
    async with opened(folder) as house:
        house.vendor.will(refuse(429, retry_after="40"))
        await house.chat()
        async with house.session.get(house.rig.gateway.url + "/metrics") as response:
            said = await response.text()
        listed = {line for line in said.splitlines() if line.startswith("halley_channel_up{")}
        assert any('operation="openai.chat"' in line for line in listed)
        assert not [line for line in listed if 'operation="submit"' in line or "sandbox" in line]
        assert not [
            line for line in said.splitlines() if line.startswith("halley_channel_up{") and line.endswith(" 0.0")
        ]


async def test_a_channel_is_left_alone_for_as_long_as_its_vendor_asked(folder: Path) -> None:
    async with opened(folder, two) as house:
        house.vendor.will(refuse(429, retry_after="40"), OK)
        house.second.will(OK)
        for _ in range(2):
            assert (await house.chat()).status == 200
        house.rig.clock.advance(39)
        await house.chat()
        assert (len(house.vendor.seen), len(house.second.seen)) == (1, 3)
        house.rig.clock.advance(2)
        await house.chat()
        assert (len(house.vendor.seen), len(house.second.seen)) == (2, 3)


async def test_calls_that_a_resting_channel_does_not_get_take_no_place_of_its_minute(folder: Path) -> None:
    def channels(first: Vendor, second: Vendor) -> tuple[ChannelConfig, ...]:
        return channel(first, priority=1, per_minute_max=2), channel(second, "second")

    async with opened(folder, channels) as house:
        house.vendor.will(refuse(429, retry_after="5"), OK)
        house.second.will(OK)
        for _ in range(4):
            assert (await house.chat()).status == 200
        house.rig.clock.advance(6)
        await house.chat()
        assert (len(house.vendor.seen), len(house.second.seen)) == (2, 4)


async def test_a_vendor_that_is_down_may_ask_for_a_rest_too(folder: Path) -> None:
    async with opened(folder, two) as house:
        house.vendor.will(refuse(503, retry_after="20"), OK)
        house.second.will(OK)
        await house.chat()
        await house.chat()
        assert (len(house.vendor.seen), len(house.second.seen)) == (1, 2)


async def test_the_wait_that_the_only_vendor_asked_for_is_told(folder: Path) -> None:
    async with opened(folder) as house:
        house.vendor.will(refuse(429, retry_after="7"))
        refused = await house.chat()
        assert (refused.status, refused.headers["retry-after"]) == (429, "7")


async def test_a_full_channel_gives_way_and_when_all_are_full_the_caller_waits(folder: Path) -> None:
    def channels(first: Vendor, second: Vendor) -> tuple[ChannelConfig, ...]:
        return channel(first, priority=1, at_once_max=1), channel(second, "second", at_once_max=1)

    go_on = asyncio.Event()

    async def slow(exchange: Exchange) -> None:
        await go_on.wait()
        await OK(exchange)

    async with opened(folder, channels) as house:
        house.vendor.will(slow)
        house.second.will(slow)
        async with asyncio.TaskGroup() as group:
            calls = [group.create_task(house.chat())]
            await _wait_for(house.vendor, 1)
            calls.append(group.create_task(house.chat()))
            await _wait_for(house.second, 1)
            refused = await house.chat()
            assert (refused.status, refused.json["error"]["code"]) == (429, "vendor_rate_limited")
            assert int(refused.headers["retry-after"]) >= 1
            go_on.set()
        assert [call.result().status for call in calls] == [200, 200]
        assert (await house.chat()).status == 200


async def test_a_stream_takes_its_place_until_it_has_ended(folder: Path) -> None:
    go_on = asyncio.Event()

    async def slow(exchange: Exchange) -> None:
        await exchange.head()
        for frame in events(chunk("Hi"), chunk(finish="stop")):
            await exchange.piece(frame)
            await go_on.wait()
        await exchange.end()

    async with opened(folder, one(at_once_max=1)) as house:
        house.vendor.will(slow)
        async with house.posting("/v1/chat/completions", chat_body(stream=True)) as response:
            await response.content.readany()
            assert (await house.chat()).status == 429
            go_on.set()
            await response.read()
        await house.usage(2)
        assert (await house.chat(stream=True)).status == 200


async def test_no_more_calls_a_minute_than_the_channel_may_have(folder: Path) -> None:
    async with opened(folder, one(per_minute_max=2)) as house:
        house.vendor.will(OK)
        assert [(await house.chat()).status for _ in range(2)] == [200, 200]
        refused = await house.chat()
        assert (refused.status, refused.headers["retry-after"]) == (429, "30")
        house.rig.clock.advance(31)
        assert (await house.chat()).status == 200
        assert len(house.vendor.seen) == 3


async def test_only_an_operators_key_is_told_the_channel(folder: Path) -> None:
    async with opened(folder) as house:
        house.vendor.will(OK, OK, stream(*events(chunk("Hi"), chunk(finish="stop"))))
        assert "halley-channel" not in (await house.chat()).headers
        key = await house.rig.make_key(livemode=True, operator=True)
        assert (await house.chat(key=key)).headers["halley-channel"] == "first"
        assert (await house.chat(key=key, stream=True)).headers["halley-channel"] == "first"


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
async def test_times_and_tries_stand_in_the_usage_row(house: House, *, streams: bool) -> None:
    clock, frames = house.rig.clock, events(chunk("Hi"), chunk(finish="stop"))

    async def slow(exchange: Exchange) -> None:
        clock.advance(0.5)
        await (stream(*frames, then=ended) if streams else OK)(exchange)

    async def ended(exchange: Exchange) -> None:
        await asyncio.sleep(0.05)
        clock.advance(0.25)
        await exchange.end()

    house.vendor.will(slow)
    assert (await house.chat(stream=streams)).status == 200
    usage = await house.usage()
    assert usage.first_byte_us == 500_000
    assert usage.total_us == (750_000 if streams else 500_000)
    assert usage.attempts == 1
