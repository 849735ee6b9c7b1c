"""Prices are immutable rows, grouped in sets: the newest set of a model that is valid now is its price."""

from collections.abc import Mapping
from functools import cached_property

import msgspec

from halley.catalogue.tariff import Tariff
from halley.db import Tx
from halley.kernel.ids import Ids

TOPIC = "prices"
FILE = "file"
"""Source of prices from `[[prices]]` in halley.toml: they win over all others."""
CATALOGUE = "catalogue"
"""Source of the vendors' seed prices: all others win over them."""
IMPORT_PREFIX = "import:"
"""What the source of an imported price begins with; the name of the imported file follows."""


class PriceSet(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """What a model costs a caller."""

    id: str
    model: str
    source: str
    valid_from: int
    meters: dict[str, int]
    """Meter → nano-dollars per million base units."""

    @cached_property
    def tariff(self) -> Tariff:
        """The same, ready to charge by; not to be asked for before `meters` is complete."""
        return Tariff(self.meters)


class PriceBook(msgspec.Struct, frozen=True, kw_only=True):
    """All prices that are valid now, in memory."""

    sets: Mapping[str, PriceSet]

    def of(self, model: str) -> PriceSet | None:
        """Give a model's price."""
        return self.sets.get(model)


def current_prices(tx: Tx, now: int, *, without: str = "") -> PriceBook:
    """Read each model's newest valid set, leaving out those of one source."""
    rows = tx.all(
        "SELECT price_set, model, meter, nanos_per_million, source, valid_from FROM prices"
        " WHERE valid_from <= :now AND source <> :without ORDER BY valid_from, price_set",
        {"now": now, "without": without},
    )
    sets: dict[str, PriceSet] = {}
    for row in rows:
        known = sets.get(row["model"])
        if known is None or known.id != row["price_set"]:
            sets[row["model"]] = known = PriceSet(
                id=row["price_set"], model=row["model"], source=row["source"], valid_from=row["valid_from"], meters={}
            )
        known.meters[row["meter"]] = row["nanos_per_million"]
    return PriceBook(sets=sets)


def sync_prices(tx: Tx, wanted: Mapping[str, tuple[str, Mapping[str, int]]], ids: Ids, now: int) -> int:
    """Add a set for each model whose price is not the wanted (source, meters); give how many. No row is changed.

    A seed price never replaces one that was imported, even if a price of the file stood between them.
    """
    book, lasting = current_prices(tx, now), current_prices(tx, now, without=FILE)
    changed = 0
    for model, (source, meters) in wanted.items():
        imported = lasting.of(model) if source == CATALOGUE else None
        if imported is not None and imported.source.startswith(IMPORT_PREFIX):
            chosen = imported
        else:
            chosen = PriceSet(id="", model=model, source=source, valid_from=now, meters=dict(meters))
        known = book.of(model)
        if known is None or known.meters != chosen.meters:
            _add_set(tx, msgspec.structs.replace(chosen, id=f"price_{ids.new()}", valid_from=now), ids)
            changed += 1
    return changed


def _add_set(tx: Tx, prices: PriceSet, ids: Ids) -> None:
    tx.many(
        "INSERT INTO prices (id, price_set, model, meter, nanos_per_million, source, valid_from, created_at)"
        " VALUES (:id, :price_set, :model, :meter, :price, :source, :now, :now)",
        [
            {
                "id": f"row_{ids.new()}",
                "price_set": prices.id,
                "model": prices.model,
                "meter": meter,
                "price": price,
                "source": prices.source,
                "now": prices.valid_from,
            }
            for meter, price in prices.meters.items()
        ],
    )
