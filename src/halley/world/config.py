"""Channels and prices as they stand in the database, in memory; replaced whole when either changes."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import msgspec

from halley.catalogue import PriceBook
from halley.catalogue.prices import current_prices
from halley.db import Tx
from halley.routing import Channel
from halley.routing.store import all_channels

ROUTES_MAX = 10_000


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """One consistent reading."""

    channels: tuple[Channel, ...]
    by_id: Mapping[str, Channel]
    prices: PriceBook
    generations: Mapping[str, int]
    opened: dict[str, tuple[tuple[str, str], ...]] = {}
    """Channel id → the headers that hold its credentials, once they were needed. Not to be logged."""
    routes: dict[Hashable, Any] = {}
    """What the pipeline has worked out from this reading and nothing else, by what it was worked out for; it is
    forgotten with this reading."""

    def remember(self, case: Hashable, worked_out: Any) -> None:
        """Keep it in `routes`, which holds so many and begins anew when it is full."""
        if len(self.routes) >= ROUTES_MAX:
            self.routes.clear()
        self.routes[case] = worked_out


def load_config(tx: Tx, now: int, sandbox: Sequence[Channel]) -> Config:
    """Read all; the simulators' channels are not in the database."""
    channels = (*all_channels(tx), *sandbox)
    return Config(
        channels=channels,
        by_id={channel.id: channel for channel in channels},
        prices=current_prices(tx, now),
        generations=read_generations(tx),
    )


def read_generations(tx: Tx) -> dict[str, int]:
    """Read how often each topic has changed."""
    return {row["topic"]: row["value"] for row in tx.all("SELECT topic, value FROM generations")}
