"""Starting, stopping, starting again, and reading the file anew."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.app.rigs import Rig, opened_gateway
from tests.pipeline.test_seen_through import SlowVendor

from halley.app import Gateway
from halley.app.gateway import reload_or_tell
from halley.app.watch import ALIVE_EVERY_S
from halley.cli.checks import check_all
from halley.console.lock import DatabaseInUse, DataFolderInUse
from halley.db import DatabaseUnavailable, WriterOverloaded
from halley.pipeline.reload import reload
from halley.routing.store import all_channels
from halley.settings import ChannelConfig, Secret, SettingsError, load_settings
from halley.tasks import TaskState
from halley.testing.clock import FakeClock
from halley.testing.gateway import settings_for

FILE = """
[[channels]]
name = "main"
vendor = "bfl"
api_key = "${KEY}"
models = ["flux-*"]

[[prices]]
model = "flux-pro-1.1"
call = "0.05"
"""
ENVIRON = {"KEY": "a-key-of-the-vendor"}


async def test_a_second_start_in_the_same_folder_is_refused_and_names_the_first(rig: Rig) -> None:
    with pytest.raises(DataFolderInUse, match=rig.client.url):
        async with Gateway(rig.world.settings, environ={}):
            pass
    assert (await rig.client.call("GET", "/health/readiness")).status == 200


async def test_a_second_start_on_the_same_database_is_refused_and_names_the_first(rig: Rig, tmp_path: Path) -> None:
    database = Secret(rig.world.settings.database_url.reveal())
    other = msgspec.structs.replace(rig.world.settings, data_dir=tmp_path / "other", configured_database=database)
    with pytest.raises(DatabaseInUse, match=rig.client.url):
        async with Gateway(other, environ={}):
            pass


@pytest.mark.parametrize("database_url", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True)
async def test_a_start_that_would_lock_another_process_out_is_refused(folder: Path, database_url: str) -> None:
    channel = ChannelConfig(name="main", vendor="openai", api_key=Secret("k"), models=("gpt-*",))
    shared = {"configured_database": Secret(database_url), "channels": (channel,), "sandbox": False}
    other = settings_for(folder.with_name("o"), **shared)
    async with opened_gateway(settings_for(folder, **shared)) as rig:
        before = await rig.world.db.read(all_channels)
        with pytest.raises(SettingsError, match=r"`HALLEY_SECRET`.*`main`"):
            async with Gateway(other, clock=rig.clock, environ={}):
                pass
        with pytest.raises(SettingsError, match="`HALLEY_SECRET`"):
            async with Gateway(other, clock=rig.clock, environ={}, api=False):
                pass
        # The doctor looks at the machine's clock.
        await rig.world.db.write("see", lambda tx: tx.run("UPDATE boots SET seen_at = :then", {"then": 2**62}))
        told = await asyncio.to_thread(check_all, other, {})
        assert "`main`" in next(each.detail for each in told if each.name == "shared secret" and each.remedy)
        assert await rig.world.db.read(all_channels) == before
        key, clock = rig.key, rig.clock
    async with opened_gateway(other, key=key, clock=clock):
        pass


async def test_a_stopped_gateway_leaves_the_folder_to_the_next(folder: Path) -> None:
    for _ in range(2):
        async with opened_gateway(settings_for(folder)) as rig:
            assert (await rig.client.call("GET", "/health/readiness")).status == 200


async def test_a_task_that_runs_goes_on_after_a_restart(folder: Path) -> None:
    settings = settings_for(folder)
    async with opened_gateway(settings) as rig:
        names = [(await rig.client.flux("flux-pro-1.1", "success; delay=30")).json["id"]]
        names += [(await rig.client.replicate("black-forest-labs/flux-dev", "success; delay=30")).json["id"]]
        await rig.turn(3)
        key, clock = rig.key, rig.clock
    async with opened_gateway(settings, key=key, clock=clock) as rig:
        for name in names:
            assert (await rig.ended(name)).state == "succeeded"
        assert len(await rig.jobs("bfl")) == len(await rig.jobs("replicate")) == 1
        assert await rig.differences() == ()


async def test_a_lost_reply_is_still_looked_for_after_a_restart(folder: Path) -> None:
    settings = settings_for(folder)
    async with opened_gateway(settings) as rig:
        await rig.client.replicate("black-forest-labs/flux-dev", "reset_after_send")
        identity, key, clock = (await rig.last_task()).id, rig.key, rig.clock
    # On another port: the address that the vendor was given is not ours any more, but its token is.
    async with opened_gateway(settings, key=key, clock=clock) as rig:
        assert (await rig.ended(identity)).state == "succeeded"
        assert len(await rig.jobs("replicate")) == 1


async def test_the_first_key_is_shown_once(folder: Path) -> None:
    async with opened_gateway(settings_for(folder)) as rig:
        assert rig.gateway.welcome.test_key
        assert rig.gateway.welcome.setup_secret
        key = rig.key
    async with opened_gateway(settings_for(folder), key=key) as rig:
        assert rig.gateway.welcome.test_key is None
        assert rig.gateway.welcome.setup_secret is None
        assert (await rig.client.call("GET", "/v1/tasks")).status == 200


async def test_a_call_that_runs_ends_before_the_gateway_does_and_new_ones_are_refused(folder: Path) -> None:
    async with opened_gateway(settings_for(folder, drain_s=10.0)) as rig:
        accepted = await rig.client.flux("flux-pro-1.1", "success; delay=60")
        waiting = asyncio.gather(rig.client.task(accepted.json["id"], wait_s=60))
        await rig.turn(2)
        rig.world.draining = True
        [shown] = await rig.while_ticking(waiting)
        assert shown["state"] in ("starting", "running")
        refused = await rig.client.flux()
        assert (refused.status, refused.json["error"]["code"]) == (503, "not_ready")
        assert (await rig.client.call("GET", "/health/readiness")).status == 503
        assert (await rig.client.call("GET", "/health/liveness")).status == 200


# --- reload ---


def _settings(folder: Path, text: str, environ: dict[str, str], **changed: Any) -> Any:
    file = folder.parent / "halley.toml"
    file.write_text(text, encoding="utf-8")
    loaded = load_settings({"config": str(file)}, environ, folder.parent)
    known = settings_for(folder, config=loaded.config, channels=loaded.channels, prices=loaded.prices)
    return msgspec.structs.replace(known, **changed)


async def _write(rig: Rig, text: str) -> None:
    file = rig.world.settings.config
    assert file is not None
    await asyncio.to_thread(file.write_text, text, "utf-8")


@pytest.fixture
def filed(folder: Path) -> Any:
    """Settings with a file."""
    folder.mkdir()
    return _settings(folder, FILE, ENVIRON)


async def test_channels_and_prices_of_the_file_are_there_from_the_start(filed: Any) -> None:
    async with opened_gateway(filed, environ=ENVIRON) as rig:
        channels = {one.name: one for one in rig.world.config.channels}
        assert channels["main"].managed == "file"
        credential = channels["main"].credential
        assert credential is not None
        assert b"a-key-of-the-vendor" not in credential
        task = await rig.ended((await rig.client.flux()).json["id"])
        assert task.cost == 50_000_000


async def test_a_reload_takes_effect_for_the_next_order_and_not_for_those_before(filed: Any) -> None:
    async with opened_gateway(filed, environ=ENVIRON) as rig:
        before = (await rig.client.flux("flux-pro-1.1", "success; delay=20")).json["id"]
        await _write(rig, FILE.replace("0.05", "0.07").replace('name = "main"', 'name = "other"'))
        synced = await reload(rig.world, ENVIRON)
        assert (synced.channels, synced.prices_changed) == (("other",), 1)
        after = (await rig.client.flux()).json["id"]
        assert (await rig.ended(before)).cost == 50_000_000
        assert (await rig.ended(after)).cost == 70_000_000
        enabled = {one.name: one.enabled for one in rig.world.config.channels if not one.simulated}
        assert enabled == {"main": False, "other": True}


@pytest.mark.parametrize(
    "text",
    [
        FILE.replace('vendor = "bfl"', 'vendor = "nobody"').replace("0.05", "0.07"),
        FILE.replace('call = "0.05"', 'parsec = "1"').replace('name = "main"', 'name = "other"'),
        FILE.replace("0.05", "-1").replace('name = "main"', 'name = "other"'),
        FILE.replace("call =", '"call@quality=hd" =').replace('name = "main"', 'name = "other"'),
        "[[channels]\n",
    ],
    ids=["vendor", "meter", "amount", "conditions only", "syntax"],
)
async def test_a_file_with_a_mistake_changes_nothing_at_all(filed: Any, text: str) -> None:
    async with opened_gateway(filed, environ=ENVIRON) as rig:
        before = rig.world.config
        await _write(rig, text)
        with pytest.raises(SettingsError):
            await reload(rig.world, ENVIRON)
        await rig.pass_time(5, step_s=1)
        assert rig.world.config.channels == before.channels
        assert rig.world.config.prices == before.prices


async def test_two_prices_of_one_model_are_refused_by_both_names(filed: Any) -> None:
    async with opened_gateway(filed, environ=ENVIRON) as rig:
        again = '[[prices]]\nmodel = "black-forest-labs/flux-1.1-pro"\ncall = "0.07"\n'
        await _write(rig, FILE + again)
        with pytest.raises(SettingsError, match=r"`flux-pro-1\.1` and `black-forest-labs/flux-1\.1-pro` are one model"):
            await reload(rig.world, ENVIRON)


DEEP = "deep = " + "[" * 5_000 + "]" * 5_000


@pytest.mark.parametrize("text", ["[[channels]\n", DEEP], ids=["syntax", "depth"])
async def test_whatever_is_wrong_with_the_file_the_gateway_goes_on(filed: Any, text: str) -> None:
    async with opened_gateway(filed, environ=ENVIRON) as rig:
        before = rig.world.config
        await _write(rig, text)
        await reload_or_tell(rig.world)
        assert rig.world.config is before


@pytest.mark.parametrize("error", [DatabaseUnavailable, WriterOverloaded])
async def test_a_database_that_is_away_or_behind_stops_nothing(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    asked: list[str] = []

    async def away(name: str, _unit: Any) -> Any:
        asked.append(name)
        raise error(name)

    with monkeypatch.context() as patched:
        patched.setattr(rig.world.db, "write", away)
        await reload_or_tell(rig.world)
        await rig.pass_time(60, step_s=1)
        assert "see_boot" in asked
    assert (await rig.ended((await rig.client.flux()).json["id"])).cost


@pytest.mark.parametrize("door", ["read", "write"])
async def test_a_gateway_is_not_ready_while_its_database_is_away_for_longer_than_a_moment(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, door: str
) -> None:
    async def away(*_: Any) -> Any:
        raise DatabaseUnavailable

    async def readiness() -> int:
        return (await rig.client.call("GET", "/health/readiness")).status

    async def is_ready() -> bool:
        return await readiness() == 200

    with monkeypatch.context() as patched:
        patched.setattr(rig.world.db, door, away)
        await rig.turn(ALIVE_EVERY_S)
        await rig.turn(2)
        assert await readiness() == 200
        await rig.turn(2)
        assert await readiness() == 503
        assert (await rig.client.call("GET", "/health/liveness")).status == 200
    await rig.settle(is_ready, within_s=5)


async def test_a_stop_waits_for_an_order_whose_caller_has_left(folder: Path) -> None:
    settings = settings_for(folder, drain_s=30.0)
    order = {"model": "flux-pro-1.1", "prompt": "x", "size": "1024x768"}
    async with opened_gateway(settings) as rig:
        await rig.serve_only("bfl")
        slow, key, clock = SlowVendor(rig.world.upstream), rig.key, rig.clock
        rig.world.upstream = slow
        async with asyncio.TaskGroup() as group:
            ordering = group.create_task(rig.client.call("POST", "/v1/images/generations", order))
            await slow.asked.wait()
            ordering.cancel()
            await asyncio.wait((ordering,))
            asyncio.get_running_loop().call_later(0.3, slow.may_answer.set)
        task = await rig.last_task()
    async with opened_gateway(settings, clock=clock, key=key) as rig:
        assert (await rig.reach(task.id, "succeeded", "unknown", "failed", within_s=30)).state is TaskState.SUCCEEDED


async def test_a_key_of_the_environment_lights_a_channel_up_only_if_none_names_the_vendor(filed: Any) -> None:
    keys = {"BFL_API_KEY": "one-key", "REPLICATE_API_TOKEN": "another-key"}
    async with opened_gateway(filed, environ={**ENVIRON, **keys}) as rig:
        managed = {one.name: one.managed for one in rig.world.config.channels if not one.simulated}
        assert managed == {"main": "file", "replicate-environment": "environment"}


async def test_two_clocks_are_never_mixed(folder: Path) -> None:
    clock = FakeClock("2027-03-01T00:00:00Z")
    async with opened_gateway(settings_for(folder), clock=clock) as rig:
        task = await rig.ended((await rig.client.flux()).json["id"])
        assert (await rig.client.task(task.id))["created_at"].startswith("2027-03-01T00:00:00")
