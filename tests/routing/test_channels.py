"""What `[[channels]]` say, as it reaches the running gateway."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.app.rigs import journal_may_block, opened_gateway

from halley.routing import Channel, open_headers
from halley.settings import Settings, SettingsError, load_settings
from halley.testing.gateway import settings_for

__all__ = ["journal_may_block"]

FILE = """
[[channels]]
name = "main"
vendor = "replicate"
api_key = "k"
models = ["sdxl"]
model_map = { "black-forest-labs/flux-dev" = "our/dev", "house-model" = "our/own" }
at_once_max = 7
per_minute_max = 70
headers = { x-team = "${TEAM}" }
"""
ENVIRON = {"TEAM": "blue-secret"}


def settings(folder: Path, text: str) -> Settings:
    (folder / "halley.toml").write_text(text)
    found = load_settings({}, ENVIRON, folder)
    return settings_for(folder / "data", config=found.config, channels=found.channels)


async def opened(folder: Path, text: str) -> tuple[Channel, tuple[Any, ...], bytes]:
    """Give the channel, its headers, and everything that the data folder holds."""
    known = await asyncio.to_thread(settings, folder, text)
    async with opened_gateway(known, environ=ENVIRON) as rig:
        found = next(one for one in rig.world.config.channels if one.name == "main")
        headers = open_headers(rig.world.vault, found)
        kept = await rig.world.db.read(lambda tx: tx.one("SELECT * FROM channels WHERE name = 'main'"))
    assert kept is not None
    return found, headers, repr([kept[name] for name in ("model_map", "headers", "credential", "models")]).encode()


async def test_names_bounds_and_headers_reach_the_gateway_and_headers_are_sealed(tmp_path: Path) -> None:
    channel, headers, kept = await opened(tmp_path, FILE)
    # Aliases are resolved: callers' models are looked up by their public ids.
    assert channel.model_map == {"flux-dev": "our/dev", "house-model": "our/own"}
    assert (channel.at_once_max, channel.per_minute_max) == (7, 70)
    assert headers == (("x-team", "blue-secret"),)
    assert b"blue-secret" not in kept
    assert "blue-secret" not in repr(channel)


async def test_a_model_that_is_mapped_twice_by_its_alias_is_named(tmp_path: Path) -> None:
    text = FILE.replace('"house-model"', '"flux-dev"')
    with pytest.raises(SettingsError, match="`black-forest-labs/flux-dev` and `flux-dev` in `model_map` are one model"):
        await opened(tmp_path, text)


async def test_a_header_that_the_key_is_sent_in_is_not_given_twice(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="`api_key` is sent as `authorization`, which is in `headers` too"):
        await opened(tmp_path, FILE.replace("x-team", "Authorization"))
    _, headers, _ = await opened(tmp_path, FILE.replace("x-team", "Authorization").replace('api_key = "k"', ""))
    assert headers == (("authorization", "blue-secret"),)


async def test_an_order_goes_to_the_vendor_under_the_mapped_name(tmp_path: Path) -> None:
    known = await asyncio.to_thread(settings, tmp_path, "")
    async with opened_gateway(known) as rig:
        world = rig.world
        world.sandbox = tuple(
            msgspec.structs.replace(one, model_map={"house-pro": "flux-pro-1.1"}, models=())
            for one in world.sandbox
            if one.vendor == "bfl"
        )
        world.config = msgspec.structs.replace(world.config, channels=world.sandbox)
        await rig.client.flux("house-pro")
        task = await rig.last_task()
        assert (task.model, task.vendor_model) == ("house-pro", "flux-pro-1.1")
