"""Until the first byte another channel may answer: which failures lead on to it, and which are the caller's own."""

from pathlib import Path
from typing import Any

import pytest
from tests.answers.house import MODEL, PRICES, channel, chunk, completion, one, opened, two
from tests.answers.vendor import (
    NESTED,
    Exchange,
    Script,
    Vendor,
    answer,
    cut,
    events,
    hang,
    refuse,
    reset,
    stream,
)

from halley.kernel.vault import Vault
from halley.settings import ChannelConfig, PriceConfig
from halley.world import load_config

BAD_FRAME = b"data: {this is no json\n\n"


async def silent(exchange: Exchange) -> None:
    await hang(exchange)


async def head_alone(exchange: Exchange) -> None:
    await exchange.head()
    await hang(exchange)


async def nonsense(exchange: Exchange) -> None:
    await exchange.head(content_type="text/html")
    await exchange.piece(b"<html>\n\n<p>Sign in</p></html>")
    await exchange.end()


REFUSALS: dict[str, Script] = {
    "bad key": refuse(401),
    "no credit": refuse(402),
    "forbidden": refuse(403),
    "no such model": refuse(404, "The model `gpt-4o-mini` does not exist"),
    "busy": refuse(429),
    "no quota": refuse(429, "You exceeded your current quota"),
    "failed": refuse(500),
    "down": refuse(503),
    "overloaded": refuse(529),
    "redirect": refuse(302, location="https://example.com/"),
}
LOST: dict[str, Script] = {
    "no reply": cut,
    "reset": reset,
    "silence": silent,
    "garbage": answer(b'{"choices": ['),
    "nested too deeply": answer(NESTED),
    "a page": nonsense,
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_a_refusal_that_is_not_the_callers_leads_to_the_next_channel(folder: Path, name: str) -> None:
    async with opened(folder, two) as house:
        house.vendor.will(REFUSALS[name])
        house.second.will(answer(completion()), stream(*events(chunk("Hi"), chunk(finish="stop"))))
        for count, streams in enumerate((False, True), 1):
            assert (await house.chat(stream=streams)).status == 200
            usage = await house.usage(count)
            assert (usage.outcome, usage.attempts, usage.exposure_nanos) == ("succeeded", 2, 0)
            assert await house.channel_of(usage) == "second"
        assert house.second.last.header("authorization") == ["Bearer key-of-second"]


@pytest.mark.parametrize("name", LOST)
async def test_a_lost_reply_is_asked_for_elsewhere_and_is_the_operators_exposure(folder: Path, name: str) -> None:
    async with opened(folder, two, total_timeout_s=0.4) as house:
        house.vendor.will(LOST[name])
        house.second.will(answer(completion()))
        assert (await house.chat(max_tokens=50)).json["choices"][0]["message"]["content"] == "Hi."
        usage = await house.usage()
        assert (usage.outcome, usage.attempts, usage.price_nanos) == ("succeeded", 2, 140_000)
        assert 100_000 <= usage.exposure_nanos <= 300_000


@pytest.mark.parametrize("kind", ["text/html", "Text/HTML; charset=utf-8", "TEXT/HTML"])
async def test_a_page_is_no_speech_however_its_type_is_spelled(folder: Path, kind: str) -> None:
    price = PriceConfig(model="tts-1", meters={"character": "15"})
    async with opened(folder, two, prices=(*PRICES, price)) as house:
        house.vendor.will(answer(b"<html>Sign in</html>", content_type=kind))
        house.second.will(answer(b"sound", content_type="audio/mpeg"))
        said = await house.post("/v1/audio/speech", {"model": "tts-1", "input": "Hello", "voice": "alloy"})
        assert said.body == b"sound"
        assert (await house.usage()).attempts == 2


LOST_STREAMS: dict[str, Script] = {
    "ended before any frame": stream(),
    "cut before any frame": stream(then=cut),
    "no head": silent,
    "head alone": head_alone,
    "malformed first frame": stream(BAD_FRAME),
    "first frame nested too deeply": stream(b"data: " + NESTED + b"\n\n"),
    "no stream, nested too deeply": answer(NESTED),
    "a page": nonsense,
}


@pytest.mark.parametrize("name", LOST_STREAMS)
async def test_a_stream_that_breaks_before_its_first_frame_leads_on(folder: Path, name: str) -> None:
    async with opened(folder, two, stall_timeout_s=0.2, first_byte_timeout_s=0.2) as house:
        house.vendor.will(LOST_STREAMS[name])
        frames = events(chunk("Hi"), chunk(finish="stop"))
        house.second.will(stream(*frames))
        assert (await house.chat(stream=True)).body == b"".join(frames)
        usage = await house.usage()
        assert (usage.outcome, usage.attempts) == ("succeeded", 2)
        assert usage.exposure_nanos > 0


async def test_an_error_as_the_first_frame_leads_on(folder: Path) -> None:
    async with opened(folder, two) as house:
        house.vendor.will(stream(*events({"error": {"message": "overloaded", "code": 503}}, done=False)))
        house.second.will(stream(*events(chunk("Hi"), chunk(finish="stop"))))
        assert b"overloaded" not in (await house.chat(stream=True)).body
        assert (await house.usage()).attempts == 2


@pytest.mark.parametrize(
    "reseal",
    [
        "UPDATE channels SET credential = :foreign WHERE name = 'first'",
        "UPDATE channels SET headers = :foreign WHERE name = 'first'",
    ],
    ids=["credential", "headers"],
)
async def test_credentials_that_do_not_open_lead_on(folder: Path, reseal: str) -> None:
    async with opened(folder, two) as house:
        world = house.rig.world
        first = next(each for each in world.config.channels if each.name == "first")
        foreign = Vault(b"the-secret-of-another-process-0123456789").seal(b"x", context=f"channel:{first.id}")
        await world.db.write("reseal", lambda tx: tx.run(reseal, {"foreign": foreign}))
        world.config = await world.db.read(lambda tx: load_config(tx, world.clock.now(), ()))
        house.second.will(answer(completion()), stream(*events(chunk("Hi"), chunk(finish="stop"))))
        for count, streams in enumerate((False, True), 1):
            assert (await house.chat(stream=streams)).status == 200
            assert await house.channel_of(await house.usage(count)) == "second"
        await world.db.write("drop", lambda tx: tx.run("UPDATE channels SET state = 'disabled' WHERE name = 'second'"))
        world.config = await world.db.read(lambda tx: load_config(tx, world.clock.now(), ()))
        alone = await house.chat()
        assert (alone.status, alone.json["error"]["code"]) == (503, "vendor_account_unusable")
        assert house.vendor.seen == []


async def test_a_refused_connect_leads_on_and_exposes_nothing(folder: Path) -> None:
    def channels(first: Vendor, second: Vendor) -> tuple[ChannelConfig, ...]:
        return channel(first, priority=1, base_url="http://127.0.0.1:1/v1"), channel(second, "second")

    async with opened(folder, channels) as house:
        house.second.will(answer(completion()))
        assert (await house.chat()).status == 200
        usage = await house.usage()
        assert (usage.attempts, usage.exposure_nanos) == (2, 0)


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_what_the_vendor_refuses_of_the_order_is_told_and_asked_of_nobody_else(folder: Path, status: int) -> None:
    async with opened(folder, two) as house:
        error = {"message": "`temperature` is too high", "type": "invalid_request_error", "param": "temperature"}
        house.vendor.will(answer({"error": error}, status=status))
        refused = await house.chat(temperature=9)
        assert (refused.status, refused.json["error"]["param"]) == (status, "temperature")
        assert "too high" in refused.json["error"]["message"]
        assert house.second.seen == []
        usage = await house.usage()
        assert (usage.outcome, usage.price_nanos, usage.attempts) == ("failed", 0, 1)


ALL_FAIL: dict[str, tuple[Script, int, str]] = {
    "bad key": (refuse(401), 503, "vendor_account_unusable"),
    "busy": (refuse(429), 429, "vendor_rate_limited"),
    "failed": (refuse(500), 502, "vendor_failed"),
    "lost": (cut, 502, "vendor_failed"),
}


@pytest.mark.parametrize("name", ALL_FAIL)
async def test_when_all_fail_the_last_word_is_told_and_nothing_charged(folder: Path, name: str) -> None:
    script, status, code = ALL_FAIL[name]
    async with opened(folder, two) as house:
        house.vendor.will(script)
        house.second.will(script)
        refused = await house.chat(max_tokens=10)
        assert (refused.status, refused.json["error"]["code"]) == (status, code)
        assert "key-of" not in refused.text
        usage = await house.usage()
        assert (usage.attempts, usage.price_nanos, usage.meters) == (2, 0, {})
        assert (usage.outcome, usage.exposure_nanos > 0) == (("lost", True) if name == "lost" else ("failed", False))


async def test_no_more_channels_are_asked_than_attempts_are_allowed(folder: Path) -> None:
    def channels(first: Vendor, second: Vendor) -> tuple[ChannelConfig, ...]:
        return (*(channel(first, f"ill-{n}", priority=1) for n in range(3)), channel(second, "well"))

    async with opened(folder, channels, attempts_max=3) as house:
        house.vendor.will(refuse(500))
        house.second.will(answer(completion()))
        assert (await house.chat()).status == 502
        assert (len(house.vendor.seen), len(house.second.seen)) == (3, 0)


REFUSED_BY_US: dict[str, tuple[dict[str, Any], int, str]] = {
    "unknown model": ({"model": "gpt-of-tomorrow"}, 503, "model_not_found"),
    "model of another kind": ({"model": "text-embedding-3-small"}, 400, "invalid_request"),
    "no model": ({"model": None}, 400, "invalid_request"),
}


@pytest.mark.parametrize("name", REFUSED_BY_US)
async def test_a_model_that_cannot_answer_is_refused_before_any_vendor(folder: Path, name: str) -> None:
    fields, status, code = REFUSED_BY_US[name]
    async with opened(folder) as house:
        refused = await house.chat(**fields)
        assert (refused.status, refused.json["error"]["code"], refused.json["error"]["param"]) == (
            status,
            code,
            "model",
        )
        assert house.vendor.seen == []


async def test_an_unknown_model_is_404_in_anthropics_words(folder: Path) -> None:
    async with opened(folder) as house:
        body = {"model": "claude-of-tomorrow", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
        refused = await house.post("/v1/messages", body)
        assert (refused.status, refused.json["error"]["type"]) == (404, "not_found_error")


async def test_an_alias_is_the_model_and_reaches_the_vendor_by_its_name(folder: Path) -> None:
    async with opened(folder) as house:
        house.vendor.will(answer(completion()))
        assert (await house.chat(model="gpt-4o-mini-2024-07-18")).status == 200
        assert house.vendor.last.json["model"] == MODEL
        assert (await house.usage()).model == MODEL


async def test_a_model_of_the_operators_own_is_served_by_the_channel_that_names_it(folder: Path) -> None:
    prices = (PriceConfig(model="house-model", meters={"input_token": "1", "output_token": "2"}),)
    async with opened(folder, one(model_map={"house-model": "llama:70b"}), prices=prices) as house:
        house.vendor.will(answer(completion()))
        reply = await house.chat(model="house-model")
        assert (reply.status, reply.headers["halley-cost"]) == (200, "0.00014")
        assert house.vendor.last.json["model"] == "llama:70b"
