"""Settings → World: opens database, vendors, vault, objects and the ways out, and closes them again."""

import asyncio
import os
import random
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

from halley.assets import open_objects
from halley.catalogue import Catalogue, PriceBook, load_catalogue
from halley.console.schema import bring_up, check_schema
from halley.db import Wakeups, open_database
from halley.kernel.clock import Clock, SystemClock
from halley.kernel.failpoints import failpoints_from_environment
from halley.kernel.ids import SystemIds
from halley.kernel.vault import Vault
from halley.limits import Limits
from halley.pipeline.reload import reload
from halley.routing import Bounds, Health
from halley.settings import Settings, open_secrets
from halley.upstream.address import FetchPolicy
from halley.upstream.client import FastClient
from halley.upstream.guard import Guard
from halley.vendors import load_vendors
from halley.vendors.contract import Dialect, Vendor
from halley.world import Callers, Config, Metrics, World, load_config
from halley.world.boots import Still
from halley.world.seldom import Seldom


@asynccontextmanager
async def open_world(
    settings: Settings, *, clock: Clock | None = None, environ: Mapping[str, str] = os.environ, sync: bool = True
) -> AsyncGenerator[World]:
    """Open everything that does not listen.

    `sync` makes the database's channels and prices those of the settings; without it they are taken as they are.
    On SQLite the caller holds the lock on the data.
    """
    clock = clock or SystemClock()
    await asyncio.to_thread(prepare_database, settings)
    vendors = await asyncio.to_thread(load_vendors)
    catalogue = await asyncio.to_thread(load_catalogue, vendors.values())
    secrets = await asyncio.to_thread(open_secrets, settings)
    wakeups = Wakeups(asyncio.get_running_loop(), clock)
    keys = [secret.reveal().encode() for secret in secrets]
    world = await asyncio.to_thread(_world, settings, clock, vendors, catalogue, wakeups, keys)
    try:
        if sync:
            await reload(world, environ)
        else:
            world.config = await world.db.read(lambda tx: load_config(tx, world.clock.now(), ()))
        yield world
    finally:
        await world.upstream.aclose()
        await world.guard.aclose()
        await asyncio.to_thread(world.db.close)


def prepare_database(settings: Settings) -> None:
    """Bring SQLite's schema up to date, after a copy; PostgreSQL is only checked. Raises `SchemaMismatch`."""
    if settings.database_path is None:
        check_schema(settings)
    else:
        bring_up(settings, lambda _: None)


def _world(
    settings: Settings,
    clock: Clock,
    vendors: Mapping[str, Vendor],
    catalogue: Catalogue,
    wakeups: Wakeups,
    secrets: list[bytes],
) -> World:
    ids = SystemIds(clock)
    failpoints = failpoints_from_environment()
    return World(
        settings=settings,
        db=open_database(settings.database_url.reveal(), wakeups, failpoints),
        clock=clock,
        ids=ids,
        vault=Vault(secrets),
        draw=random.Random(os.urandom(32)).random,  # noqa: S311 - shares of channels and jitter, no secrets
        vendors=vendors,
        dialects=_dialects(vendors),
        catalogue=catalogue,
        upstream=FastClient(clock),
        guard=Guard(FetchPolicy(allow=settings.fetch_allow)),
        objects=open_objects(settings.objects_url),
        health=Health(),
        bounds=Bounds(),
        limits=Limits(),
        metrics=Metrics(),
        told=Seldom(),
        failpoints=failpoints,
        boot_id=f"boot_{ids.new()}",
        still=Still() if settings.database_path is None else None,
        callers=Callers(),
        config=Config(channels=(), by_id={}, prices=PriceBook(sets={}), generations={}),
        bound_url=settings.bound_url,
    )


def _dialects(vendors: Mapping[str, Vendor]) -> dict[str, Dialect]:
    return {vendor.dialect.name: vendor.dialect for vendor in vendors.values() if vendor.dialect is not None}
