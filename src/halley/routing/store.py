"""Channels in the database."""

import json
from collections.abc import Iterable, Sequence

from halley.db import Row, Tx
from halley.routing.model import Channel

TOPIC = "channels"


def all_channels(tx: Tx) -> list[Channel]:
    """Read every channel, by name."""
    return [_channel(row) for row in tx.all("SELECT * FROM channels ORDER BY name")]


def sync_channels(tx: Tx, wanted: Sequence[Channel], now: int) -> None:
    """Make the managed channels exactly these, by name. One that is gone is disabled: tasks may still run on it."""
    known = {channel.name: channel for channel in all_channels(tx)}
    for channel in wanted:
        _put(tx, channel, now)
    for gone in known.keys() - {channel.name for channel in wanted}:
        tx.run(
            "UPDATE channels SET state = 'disabled', updated_at = :now WHERE name = :name", {"name": gone, "now": now}
        )


def ids_by_name(tx: Tx) -> dict[str, str]:
    """Give the ids that names already have, so that a channel keeps its id when the file is read again."""
    return {row["name"]: row["id"] for row in tx.all("SELECT id, name FROM channels")}


def _put(tx: Tx, channel: Channel, now: int) -> None:
    tx.run(
        "INSERT INTO channels (id, name, vendor, base_url, credential, models, model_map, priority, weight,"
        " at_once_max, per_minute_max, headers, managed, state, created_at, updated_at)"
        " VALUES (:id, :name, :vendor, :base_url, :credential, :models, :model_map, :priority, :weight,"
        " :at_once_max, :per_minute_max, :headers, :managed, 'enabled', :now, :now)"
        " ON CONFLICT (name) DO UPDATE SET vendor = excluded.vendor, base_url = excluded.base_url,"
        " credential = excluded.credential, models = excluded.models, model_map = excluded.model_map,"
        " priority = excluded.priority, weight = excluded.weight, at_once_max = excluded.at_once_max,"
        " per_minute_max = excluded.per_minute_max, headers = excluded.headers, managed = excluded.managed,"
        " state = 'enabled', updated_at = excluded.updated_at",
        {
            "id": channel.id,
            "name": channel.name,
            "vendor": channel.vendor,
            "base_url": channel.base_url,
            "credential": channel.credential,
            "models": json.dumps(channel.models),
            "model_map": json.dumps(dict(channel.model_map)),
            "priority": channel.priority,
            "weight": channel.weight,
            "at_once_max": channel.at_once_max,
            "per_minute_max": channel.per_minute_max,
            "headers": channel.headers,
            "managed": channel.managed,
            "now": now,
        },
    )


def _channel(row: Row) -> Channel:
    models: Iterable[str] = json.loads(row["models"])
    return Channel(
        id=row["id"],
        name=row["name"],
        vendor=row["vendor"],
        base_url=row["base_url"],
        credential=None if row["credential"] is None else bytes(row["credential"]),
        models=tuple(models),
        model_map=json.loads(row["model_map"]),
        priority=row["priority"],
        weight=row["weight"],
        at_once_max=row["at_once_max"],
        per_minute_max=row["per_minute_max"],
        headers=None if row["headers"] is None else bytes(row["headers"]),
        managed=row["managed"],
        enabled=row["state"] == "enabled",
    )
