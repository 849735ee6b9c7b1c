"""Live keys and configured channels: order of preference, rest after failures, money, and what test mode may not do."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs
from tests.app.rigs import Rig, opened_gateway

from halley.app.simulators import open_outside, simulator_of
from halley.console.commands import accounts, usage
from halley.kernel.vault import Vault
from halley.pipeline.reload import reload
from halley.routing.health import FAILURES_MAX
from halley.settings import ChannelConfig, Secret, Settings, SettingsError, load_settings
from halley.testing.clock import FakeClock
from halley.testing.gateway import settings_for
from halley.testing.wire import Break
from halley.vendors import load_vendors
from halley.vendors.simulate.host import SimulatorSettings
from halley.vendors.simulate.server import SimulatorServer
from halley.world import load_config

LIVE = "sk-a-live-key-of-the-first-start"


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[Any]:
    """A vendor as a configured channel reaches it: a simulator of its own."""
    clock = FakeClock()
    settings = SimulatorSettings(clock=clock, open_outside=lambda: open_outside(()), delay_s=0.0)
    vendor = load_vendors()["bfl"]
    server = simulator_of(vendor, settings, journal=tmp_path / "upstream.db", folder=None)
    server.start()
    yield server, clock
    server.stop()


def _channel(server: SimulatorServer, name: str, **changed: Any) -> ChannelConfig:
    values: dict[str, Any] = {"name": name, "vendor": "bfl", "base_url": server.url, "api_key": Secret("their-key")}
    return ChannelConfig(**values | changed)


@asynccontextmanager
async def _live(folder: Path, clock: FakeClock, *channels: ChannelConfig) -> AsyncGenerator[Rig]:
    settings = settings_for(folder, channels=channels, bootstrap_key=Secret(LIVE))
    async with opened_gateway(settings, clock=clock, key=LIVE) as rig:
        yield rig
        assert await rig.differences() == ()


def _is_order(method: str, _path: str) -> bool:
    return method == "POST"


async def _channel_of_last(rig: Rig) -> str:
    found = rig.world.channel((await rig.last_task()).channel_id)
    assert found is not None
    return found.name


async def test_a_live_order_is_run_by_the_configured_channel_and_charged(folder: Path, upstream: Any) -> None:
    server, clock = upstream
    async with _live(folder, clock, _channel(server, "main")) as rig:
        task = await rig.ended((await rig.client.flux()).json["id"])
        assert (task.state, task.livemode, await rig.posted(task)) == ("succeeded", True, 40_000_000)
        assert await _channel_of_last(rig) == "main"
        assert await rig.jobs("bfl") == []
        shown = await usage.show(rig.world, usage.ShowUsage(order=task.id), lambda _: None)
        assert (shown.price_nanos, shown.channel, set(shown.transfers)) == ("40000000", "main", {"post"})


async def test_a_channel_whose_credentials_do_not_open_is_passed_over(folder: Path, upstream: Any) -> None:
    server, clock = upstream
    async with _live(folder, clock, _channel(server, "main", priority=1), _channel(server, "spare")) as rig:
        world = rig.world
        foreign = Vault(b"the-secret-of-another-process-0123456789").seal(b"x", context="any")
        await world.db.write(
            "reseal", lambda tx: tx.run("UPDATE channels SET credential = :it WHERE name = 'main'", {"it": foreign})
        )
        world.config = await world.db.read(lambda tx: load_config(tx, world.clock.now(), world.sandbox))
        assert (await rig.ended((await rig.client.flux()).json["id"])).state == "succeeded"
        assert await _channel_of_last(rig) == "spare"


async def test_a_live_key_never_reaches_a_simulator(folder: Path, upstream: Any) -> None:
    _, clock = upstream
    async with _live(folder, clock) as rig:
        refused = await rig.client.flux()
        assert (refused.status, refused.json["error"]["code"]) == (503, "model_not_found")
        assert refused.headers["x-should-retry"] == "false"


async def test_a_test_directive_on_a_live_key_is_refused_by_header_and_text_in_the_prompt(
    folder: Path, upstream: Any
) -> None:
    server, clock = upstream
    async with _live(folder, clock, _channel(server, "main")) as rig:
        refused = await rig.client.flux("flux-pro-1.1", "success")
        assert refused.status in (400, 422)
        assert refused.json["error"]["param"] == "Halley-Test"
        assert (await rig.client.flux(prompt="a [[halley nonsense=1]] cat")).status == 422
        # That was the vendor, which happens to be a simulator and reads its own text; the gateway passed it on.
        assert (await rig.last_task()).state == "failed"


async def test_the_preferred_channel_is_asked_first_and_the_other_when_it_fails(folder: Path, upstream: Any) -> None:
    server, clock = upstream
    channels = (_channel(server, "second", priority=1), _channel(server, "first", priority=2))
    async with _live(folder, clock, *channels) as rig:
        await rig.client.flux()
        assert await _channel_of_last(rig) == "first"
        rig.wire.fail(Break.BROKEN, _is_order)
        await rig.client.flux()
        assert await _channel_of_last(rig) == "second"
        assert (await rig.last_task()).attempts == 2


async def test_a_channel_that_fails_again_and_again_rests_and_is_tried_once_it_has(folder: Path, upstream: Any) -> None:
    server, clock = upstream
    async with _live(folder, clock, _channel(server, "main")) as rig:
        rig.wire.fail(Break.REFUSED, _is_order, times=5)
        for _ in range(5):
            assert (await rig.client.flux()).status == 503
        resting = await rig.client.flux()
        assert resting.status == 503
        assert int(resting.headers["retry-after"]) >= 1
        assert len(rig.wire.broken) == 5
        await rig.pass_time(16, step_s=1)
        assert (await rig.client.flux()).status == 200
        assert (await rig.client.flux()).status == 200


async def test_refusals_of_orders_never_make_a_channel_rest(folder: Path, upstream: Any) -> None:
    server, clock = upstream
    async with _live(folder, clock, _channel(server, "main")) as rig:
        for _ in range(8):
            assert (await rig.client.flux(width=257)).status == 422
        assert (await rig.client.flux()).status == 200


async def test_a_model_that_the_vendor_does_not_have_never_makes_a_channel_rest(folder: Path, upstream: Any) -> None:
    server, clock = upstream
    async with _live(folder, clock, _channel(server, "main")) as rig:
        rig.wire.fail(Break.GONE, lambda _, path: path.endswith("/flux-pro-1.1"), times=1_000)
        for _ in range(FAILURES_MAX + 1):
            assert (await rig.client.flux("flux-pro-1.1")).json["error"]["code"] == "vendor_account_unusable"
        assert (await rig.client.flux("flux-dev")).status == 200


async def test_the_operators_key_goes_to_the_vendor_and_the_callers_does_not(folder: Path, upstream: Any) -> None:
    server, clock = upstream
    async with _live(folder, clock, _channel(server, "main")) as rig:
        await rig.ended((await rig.client.flux()).json["id"])
        [job] = server.host.journal.all()
        assert job.account == server.host.account_of("their-key")
        assert LIVE.encode() not in bytes(job.request)


async def test_a_bad_key_of_the_operators_is_no_fault_of_the_callers(folder: Path, upstream: Any) -> None:
    server, clock = upstream
    async with _live(folder, clock, _channel(server, "main", api_key=Secret("bad-key"))) as rig:
        refused = await rig.client.flux()
        assert (refused.status, refused.json["error"]["code"]) == (503, "vendor_account_unusable")
        assert "bad-key" not in refused.text


async def test_an_empty_account_is_refused_before_the_vendor_is_asked(folder: Path, upstream: Any) -> None:
    server, clock = upstream
    async with _live(folder, clock, _channel(server, "main")) as rig:
        create = accounts.CreateAccount(name="poor", kind=accounts.AccountKind.PREPAID)
        await accounts.create(rig.world, create, lambda _: None)
        key = await rig.make_key(account="poor", livemode=True)
        headers = {"authorization": f"Bearer {key}"}
        refused = await rig.client.call("POST", "/flux/v1/flux-pro-1.1", {"prompt": "x"}, headers=headers)
        assert refused.status == 402
        assert "0.04" in refused.json["error"]["message"]
        assert server.host.journal.all() == []


MOVED = "`main` is at `bfl`, where 1 of its tasks has not ended; give the channel to `replicate` another name"


def _filed(folder: Path, *channels: tuple[str, str, str]) -> Settings:
    """Settings with a file of these channels: name, vendor, address."""
    file = folder.parent / "halley.toml"
    table = '[[channels]]\nname = "{}"\nvendor = "{}"\nbase_url = "{}"\napi_key = "their-key"\n'
    file.write_text("".join(table.format(*each) for each in channels), encoding="utf-8")
    loaded = load_settings({"config": str(file)}, {}, folder.parent)
    return settings_for(folder, config=file, channels=loaded.channels, bootstrap_key=Secret(LIVE))


async def test_a_channel_stays_at_its_vendor_while_its_tasks_run(folder: Path, upstream: Any) -> None:
    server, clock = upstream
    settings = await asyncio.to_thread(_filed, folder, ("main", "bfl", server.url))
    async with opened_gateway(settings, clock=clock, key=LIVE) as rig:
        identity = (await rig.client.flux(prompt="a [[halley outcome=success delay=30]]")).json["id"]
        await asyncio.to_thread(_filed, folder, ("main", "replicate", server.url))
        before = rig.world.config.channels
        with pytest.raises(SettingsError, match=MOVED):
            await reload(rig.world, {})
        assert rig.world.config.channels == before
        assert (await rig.ended(identity)).state == "succeeded"
        await reload(rig.world, {})
        assert {one.name: one.vendor for one in rig.world.config.channels if not one.simulated} == {"main": "replicate"}


async def test_a_vendor_under_another_name_leaves_the_old_channel_its_tasks(folder: Path, upstream: Any) -> None:
    server, clock = upstream
    settings = await asyncio.to_thread(_filed, folder, ("main", "bfl", server.url))
    async with opened_gateway(settings, clock=clock, key=LIVE) as rig:
        identity = (await rig.client.flux(prompt="a [[halley outcome=success delay=30]]")).json["id"]
        await asyncio.to_thread(_filed, folder, ("other", "replicate", server.url))
        await reload(rig.world, {})
        await asyncio.to_thread(_filed, folder, ("main", "replicate", server.url))
        with pytest.raises(SettingsError, match=MOVED):
            await reload(rig.world, {})
        assert (await rig.ended(identity)).state == "succeeded"


async def test_a_start_that_moves_a_channel_whose_tasks_run_is_refused(folder: Path, upstream: Any) -> None:
    server, clock = upstream
    settings = await asyncio.to_thread(_filed, folder, ("main", "bfl", server.url))
    async with opened_gateway(settings, clock=clock, key=LIVE) as rig:
        identity = (await rig.client.flux(prompt="a [[halley outcome=success delay=30]]")).json["id"]
    moved = await asyncio.to_thread(_filed, folder, ("main", "replicate", server.url))
    with pytest.raises(SettingsError, match=MOVED):
        async with opened_gateway(moved, clock=clock, key=LIVE):
            pass
    settings = await asyncio.to_thread(_filed, folder, ("main", "bfl", server.url))
    async with opened_gateway(settings, clock=clock, key=LIVE) as rig:
        assert (await rig.ended(identity)).state == "succeeded"


async def test_a_task_is_never_asked_for_at_another_vendor(folder: Path, upstream: Any) -> None:
    server, clock = upstream
    async with _live(folder, clock, _channel(server, "main")) as rig:
        identity = (await rig.client.flux(prompt="a [[halley outcome=success delay=1]]")).json["id"]
        [main] = [one for one in rig.world.config.channels if one.name == "main"]
        before = rig.world.config
        # As a reload leaves it which looked a moment before the order was written.
        moved = msgspec.structs.replace(main, vendor="replicate")
        rig.world.config = msgspec.structs.replace(before, by_id={**before.by_id, main.id: moved})
        rig.wire.fail(Break.REFUSED, lambda _method, _path: True)
        await rig.pass_time(5, step_s=1)
        assert rig.wire.broken == []
        rig.world.config = before
        assert (await rig.ended(identity)).state == "succeeded"


async def test_a_poll_url_on_another_site_is_never_sent_our_credentials(folder: Path, upstream: Any) -> None:
    server, clock = upstream
    async with _live(folder, clock, _channel(server, "main")) as rig:
        await rig.client.flux(prompt="a [[halley outcome=success delay=30]]")
        task = await rig.last_task()
        await rig.set_poll_url(task.id, "http://169.254.169.254/latest")
        await rig.pass_time(20, step_s=1)
        seen = await rig.task(task.id)
        assert seen.state == "running"
        assert seen.polls > 1


def _told(lines: list[Any]) -> list[tuple[Any, ...]]:
    names = ("event", "operation", "code", "status", "left_out", "seconds")
    return [tuple(line.get(name) for name in names) for line in lines if line.get("channel") == "main"]


async def test_failures_of_orders_the_rest_they_earn_and_its_end_are_told(folder: Path, upstream: Any) -> None:
    server, clock = upstream
    async with _live(folder, clock, _channel(server, "main")) as rig:
        rig.wire.fail(Break.BROKEN, _is_order, times=FAILURES_MAX)
        with capture_logs() as lines:
            for _ in range(FAILURES_MAX - 1):
                await rig.client.flux()
            clock.advance(1)
            reply = await rig.client.flux()
            await rig.pass_time(16, step_s=1)
            assert (await rig.client.flux()).status == 200
        assert _told(lines) == [
            ("vendor_call_failed", "submit", "vendor_failed", 500, None, None),
            ("vendor_call_failed", "submit", "vendor_failed", 500, FAILURES_MAX - 2, None),
            ("channel_rests", "submit", "vendor_failed", None, None, 15.0),
            ("channel_back", "submit", None, None, None, None),
        ]
        last = next(line for line in reversed(lines) if line["event"] == "vendor_call_failed")
        assert (last["request_id"], last["model"]) == (reply.headers["halley-request-id"], "flux-pro-1.1")
        assert last["task"]


async def test_a_poll_that_fails_and_an_answer_that_cannot_be_read_are_told(folder: Path, upstream: Any) -> None:
    server, clock = upstream
    async with _live(folder, clock, _channel(server, "main")) as rig:
        await rig.client.flux()
        task = await rig.last_task()
        rig.wire.fail(Break.UNAUTHORIZED, lambda method, _path: method == "GET")
        with capture_logs() as lines:
            await rig.ended(task.id)
        assert _told(lines) == [("vendor_call_failed", "poll", "vendor_account_unusable", 401, None, None)]
        [line] = [line for line in lines if line["event"] == "vendor_call_failed"]
        assert (line["task"], line["request_id"], line["model"]) == (task.id, task.request_id, task.vendor_model)
        rig.wire.fail(Break.GARBAGE, _is_order)
        with capture_logs() as lines:
            await rig.client.flux()
        assert [one[:3] for one in _told(lines)] == [("vendor_call_failed", "submit", "outcome_unknown")]


async def test_a_rest_that_a_vendor_asks_for_is_told(folder: Path, upstream: Any) -> None:
    server, clock = upstream
    async with _live(folder, clock, _channel(server, "main")) as rig:
        rig.wire.fail(Break.RATE_LIMITED, _is_order)
        with capture_logs() as lines:
            assert (await rig.client.flux()).status == 429
        assert _told(lines)[1] == ("channel_rests", "submit", "vendor_rate_limited", None, None, 1.0)
