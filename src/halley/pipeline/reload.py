"""Puts channels and prices of the file, the environment and the catalogues into the database: all or nothing."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from halley.accounts import store as accounts
from halley.catalogue.meters import read_prices
from halley.catalogue.prices import TOPIC as PRICES_TOPIC
from halley.catalogue.prices import sync_prices
from halley.db import Tx
from halley.kernel.ids import Ids
from halley.kernel.vault import Vault
from halley.routing import Channel, credential_context, opens, seal_headers
from halley.routing import store as routing
from halley.settings import ChannelConfig, Settings, SettingsError, reload_file
from halley.tasks import store as tasks
from halley.world import World, load_config
from halley.world.boots import DEAD_AFTER_S, recent_boots


class Synced(msgspec.Struct, frozen=True, kw_only=True):
    """What a reload did."""

    channels: tuple[str, ...]
    """Names, all of them."""
    prices_changed: int


async def reload(world: World, environ: Mapping[str, str]) -> Synced:
    """Read the file again, and make the database and this process agree with it.

    Raises `SettingsError`: then nothing has changed.
    """
    settings = await asyncio.to_thread(reload_file, world.settings, environ)
    wanted = _wanted_prices(world, settings)
    configs = _channel_configs(world, settings, environ)
    now = world.clock.now()

    def unit(tx: Tx) -> Synced:
        channels = _channels(world, configs, routing.ids_by_name(tx), world.ids)
        if problems := [*_moved(tx, channels), *locked_out(tx, world.vault, world.boot_id, now)]:
            raise SettingsError(problems)
        routing.sync_channels(tx, channels, now)
        changed = sync_prices(tx, wanted, world.ids, now)
        for topic in (routing.TOPIC, PRICES_TOPIC):
            accounts.bump_generation(tx, topic)
            tx.wake(topic)
        return Synced(channels=tuple(channel.name for channel in channels), prices_changed=changed)

    synced = await world.db.write("reload", unit)
    world.callback_secrets.clear()
    world.config = await world.db.read(lambda tx: load_config(tx, world.clock.now(), world.sandbox))
    return synced


def locked_out(tx: Tx, vault: Vault, boot_id: str, now: int) -> Iterator[str]:
    """Tell that what another process has sealed does not open here: what this one sealed would not open there."""
    if tx.kind == "sqlite" or not recent_boots(tx, now) - {boot_id}:
        return
    locked = [each.name for each in routing.all_channels(tx) if each.enabled and not opens(vault, each)]
    if locked:
        yield (
            f"`HALLEY_SECRET`: another process works on this database, and what it sealed (channel `{locked[0]}`) does"
            f" not open with the secret of this one; give all processes the same. One that was killed counts for"
            f" {DEAD_AFTER_S} s"
        )


def _wanted_prices(world: World, settings: Settings) -> dict[str, tuple[str, Mapping[str, int]]]:
    wanted: dict[str, tuple[str, Mapping[str, int]]] = {
        model: ("catalogue", meters) for model, meters in world.catalogue.seed_prices().items()
    }
    twice = _twice(world, [config.model for config in settings.prices])
    problems = [f"[[prices]]: `{first}` and `{again}` are one model; drop one" for first, again in twice]
    for config in settings.prices:
        try:
            wanted[world.catalogue.public_id(config.model)] = ("file", read_prices(config.meters))
        except ValueError as error:
            problems.append(f"[[prices]] of `{config.model}`: {error}")
    if problems:
        raise SettingsError(problems)
    return wanted


def _channel_configs(
    world: World, settings: Settings, environ: Mapping[str, str]
) -> list[tuple[ChannelConfig, str, str]]:
    """List (config, key, where it comes from). A key in the environment counts only if no channel names its vendor."""
    known = ", ".join(sorted(world.vendors))
    problems = [
        f"[[channels]] `{config.name}`: there is no vendor `{config.vendor}`; known are {known}"
        for config in settings.channels
        if config.vendor not in world.vendors
    ]
    problems += [
        f"[[channels]] `{config.name}`: `{config.vendor}` has no address of its own; set `base_url`"
        for config in settings.channels
        if config.vendor in world.vendors and not (config.base_url or world.vendors[config.vendor].base_url)
    ]
    for config in settings.channels:
        problems += [
            f"[[channels]] `{config.name}`: `{first}` and `{again}` in `model_map` are one model; drop one"
            for first, again in _twice(world, config.model_map)
        ]
        problems += _two_credentials(world, config)
    if problems:
        raise SettingsError(problems)
    found = [(config, config.api_key.reveal() if config.api_key else "", "file") for config in settings.channels]
    named = {config.vendor for config in settings.channels}
    for vendor in world.vendors.values():
        key = next((environ[name] for name in vendor.environment if environ.get(name)), None)
        if key is not None and vendor.name not in named:
            models = tuple(sorted(model for model, rows in world.catalogue.models.items() if vendor.name in rows))
            config = ChannelConfig(name=f"{vendor.name}-environment", vendor=vendor.name, models=models)
            found.append((config, key, "environment"))
    return found


def _twice(world: World, models: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Give the names that mean one model, once by an alias: which one would hold is anybody's guess."""
    seen: dict[str, str] = {}
    for model in models:
        first = seen.setdefault(world.catalogue.public_id(model), model)
        if first != model:
            yield first, model


def _two_credentials(world: World, config: ChannelConfig) -> Iterator[str]:
    vendor = world.vendors.get(config.vendor)
    if vendor is not None and config.api_key and vendor.auth_header.lower() in config.headers:
        name = vendor.auth_header.lower()
        yield f"[[channels]] `{config.name}`: `api_key` is sent as `{name}`, which is in `headers` too; drop one"


def _channels(
    world: World, configs: list[tuple[ChannelConfig, str, str]], known: Mapping[str, str], ids: Ids
) -> list[Channel]:
    channels: list[Channel] = []
    for config, key, managed in configs:
        identity = known.get(config.name) or f"ch_{ids.new()}"
        channels.append(
            Channel(
                id=identity,
                name=config.name,
                vendor=config.vendor,
                base_url=(config.base_url or world.vendors[config.vendor].base_url).rstrip("/"),
                credential=world.vault.seal(key.encode(), context=credential_context(identity)) if key else None,
                models=config.models,
                model_map={world.catalogue.public_id(model): name for model, name in config.model_map.items()},
                priority=config.priority,
                weight=config.weight,
                at_once_max=config.at_once_max,
                per_minute_max=config.per_minute_max,
                headers=seal_headers(world.vault, identity, _revealed(config)),
                managed="file" if managed == "file" else "environment",
            )
        )
    return channels


def _moved(tx: Tx, channels: Iterable[Channel]) -> Iterator[str]:
    """Name the channels that leave a vendor which has tasks of theirs: those would be asked for at the new one."""
    vendors = {channel.id: channel.vendor for channel in routing.all_channels(tx)}
    for channel in channels:
        before = vendors.get(channel.id, channel.vendor)
        count = 0 if before == channel.vendor else tasks.open_elsewhere(tx, channel.id, channel.vendor)
        if count:
            yield (
                f"[[channels]] `{channel.name}` is at `{before}`, where {count} of its tasks"
                f" {'has' if count == 1 else 'have'} not ended; give the channel to `{channel.vendor}` another name,"
                f" and `{channel.name}` is disabled while its tasks go on being polled"
            )


def _revealed(config: ChannelConfig) -> tuple[tuple[str, str], ...]:
    return tuple((name, value.reveal()) for name, value in config.headers.items())
