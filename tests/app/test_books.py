"""No answer that was given is lost to the books: not by a stop, and not by a database that somebody else has locked."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
import structlog
from structlog.testing import capture_logs
from tests.answers.house import (
    LIVE,
    PER_INPUT,
    PER_OUTPUT,
    PRICES,
    USAGE,
    channel,
    chat_body,
    chunk,
    completion,
    opened,
    soon,
    usage_chunk,
)
from tests.answers.vendor import Exchange, Vendor, answer, events, hang, stream
from tests.app.rigs import opened_gateway

from halley.app import gateway
from halley.db import sqlite
from halley.pipeline.answers import settle
from halley.settings import Secret, Settings
from halley.testing.gateway import settings_for
from halley.worker.sweep import sweep

WORDS = 50
PATIENCE_S = 5.0


@pytest.fixture
async def vendor() -> AsyncGenerator[Vendor]:
    async with Vendor() as running:
        yield running


def live_settings(folder: Path, vendor: Vendor) -> Settings:
    return settings_for(
        folder, channels=(channel(vendor),), prices=PRICES, bootstrap_key=Secret(LIVE), sandbox=False, drain_s=1.0
    )


@asynccontextmanager
async def locked(path: Path) -> AsyncGenerator[None]:
    """Somebody else, such as a backup, keeps the database to themselves."""
    other = await asyncio.to_thread(sqlite3.connect, path, isolation_level=None, check_same_thread=False)
    await asyncio.to_thread(other.execute, "BEGIN IMMEDIATE")
    try:
        yield
    finally:
        await asyncio.to_thread(other.close)


async def test_a_stream_that_a_stop_cuts_is_charged_for_what_came(folder: Path, vendor: Vendor) -> None:
    vendor.will(stream(*events(*[chunk("word ")] * WORDS, done=False), then=hang))
    settings, headers = live_settings(folder, vendor), {"authorization": f"Bearer {LIVE}"}
    async with aiohttp.ClientSession() as session:
        async with opened_gateway(settings, key=LIVE) as rig:
            url = f"{rig.gateway.url}/v1/chat/completions"
            response = await session.post(url, json=chat_body(stream=True), headers=headers)
            got = b""
            while got.count(b"word") < WORDS:
                got += await asyncio.wait_for(response.content.readany(), PATIENCE_S)
        response.close()
    async with opened_gateway(settings, key=LIVE) as rig:
        row = await rig.world.db.read(lambda tx: tx.one("SELECT outcome, price_nanos FROM usage"))
        assert row is not None
        assert row["outcome"] == "cut"
        assert row["price_nanos"] >= WORDS * PER_OUTPUT
        assert await rig.open_holds() == 0
        assert await rig.differences() == ()


@pytest.mark.parametrize("pours", [True, False], ids=["piece by piece", "at once"])
async def test_a_stream_that_a_stop_cuts_ends_with_the_words_for_it(
    folder: Path, vendor: Vendor, *, pours: bool
) -> None:
    frames = events(chunk("word "), chunk("word "), done=False)
    vendor.will(stream(*(frames if pours else [b"".join(frames)]), then=hang))
    settings, headers = live_settings(folder, vendor), {"authorization": f"Bearer {LIVE}"}
    async with aiohttp.ClientSession() as session:
        async with opened_gateway(settings, key=LIVE) as rig:
            url = f"{rig.gateway.url}/v1/chat/completions"
            response = await session.post(url, json=chat_body(stream=True), headers=headers)
            got = await asyncio.wait_for(response.content.readany(), PATIENCE_S)
        got += await asyncio.wait_for(response.content.read(), PATIENCE_S)
    last = json.loads(got.strip().rpartition(b"data: ")[2])
    assert (last["error"]["code"], b"[DONE]" in got) == ("not_ready", False)


async def test_a_stop_does_not_wait_for_ever_for_books_that_cannot_be_closed(
    folder: Path, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "BOOKS_S_MAX", 0.05)
    # A logger of its own: one that was used before, in another test, may have kept where it wrote to.
    monkeypatch.setattr(gateway, "_log", structlog.get_logger())
    with capture_logs() as lines:
        async with opened_gateway(live_settings(folder, vendor), key=LIVE) as rig:
            rig.world.answering.add("ans_that_is_never_booked")
    assert [line["answers"] for line in lines if line["event"] == "books_left_open"] == [1]


async def test_an_answer_is_charged_once_whoever_has_locked_the_database_is_done(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.05)
    asked, go = asyncio.Event(), asyncio.Event()

    async def slowly(exchange: Exchange) -> None:
        asked.set()
        await go.wait()
        await answer(completion())(exchange)

    async with opened(folder) as house:
        house.vendor.will(slowly)
        call = asyncio.gather(house.chat())
        await asked.wait()
        async with locked(folder / "halley.db"):
            go.set()
            [reply] = await call
            refused = await house.chat()
            assert (reply.status, refused.status) == (200, 503)
            assert len(house.vendor.seen) == 1
            assert await house.usages() == []
        await house.rig.turn(10)
        row = await house.usage()
        expected = USAGE["prompt_tokens"] * PER_INPUT + USAGE["completion_tokens"] * PER_OUTPUT
        assert (row.outcome, row.price_nanos) == ("succeeded", expected)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_an_answer_whose_hold_was_given_back_meanwhile_is_told_in_the_log(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, streamed: bool
) -> None:
    monkeypatch.setattr(settle, "_log", structlog.get_logger())
    asked, go = asyncio.Event(), asyncio.Event()
    replies = stream(*events(chunk("Hi."), chunk(finish="stop"), usage_chunk())) if streamed else answer(completion())

    async def slowly(exchange: Exchange) -> None:
        asked.set()
        await go.wait()
        await replies(exchange)

    with capture_logs() as lines:
        async with opened(folder) as house:
            house.vendor.will(slowly)
            call = asyncio.gather(house.chat(stream=streamed))
            await asked.wait()
            # To whoever sweeps, a process that was frozen for long is one that died.
            order = house.rig.world.answering.pop()
            house.rig.clock.advance(10)
            await sweep(house.rig.world)
            lost = await house.usage()
            go.set()
            [reply] = await call
            assert (reply.status, lost.outcome, lost.order_id) == (200, "lost", order)

            async def told() -> bool:
                return any(line["event"] == "answer_given_uncharged" for line in lines)

            await soon(told)
            assert await house.rig.differences() == ()
    [line] = [line for line in lines if line["event"] == "answer_given_uncharged"]
    assert (line["log_level"], line["order"], line["amount"]) == ("warning", order, "0.00014")
