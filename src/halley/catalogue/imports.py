"""Decides which prices of a read map become which models' prices. Pure: what is in the database comes in as values."""

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum

import msgspec

from halley.catalogue.meters import with_tools
from halley.catalogue.model import Catalogue
from halley.catalogue.price_map import Reading
from halley.catalogue.units import charged_as

_PLAIN, _PREFIXED, _ALIAS = 0, 1, 2
"""How an entry is named: as the model, as the model behind its vendor, by an alias."""


class Outcome(StrEnum):
    """What becomes of a model's price."""

    ADDED = "added"
    CHANGED = "changed"
    SAME = "same"
    SKIPPED = "skipped"


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of one model's price, and why."""

    model: str
    outcome: Outcome
    vendor: str
    """Whose entry was taken or looked at."""
    reason: str = ""
    meters: Mapping[str, int] = {}
    before: Mapping[str, int] = {}


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """How entries of a price map are told apart here."""

    catalogue: Catalogue
    vendors: Mapping[str, str]
    """What price lists call a vendor → its name here."""
    only: frozenset[str] = frozenset()
    """Vendors whose entries alone are taken, also for models that another vendor prices; empty: each model's home."""


class Current(msgspec.Struct, frozen=True, kw_only=True):
    """What holds before the import."""

    prices: Mapping[str, Mapping[str, int]]
    in_file: frozenset[str]
    """Models that halley.toml prices."""


class _Offer(msgspec.Struct, frozen=True, kw_only=True):
    model: str
    vendor: str
    exactness: int
    reading: Reading


def decide(readings: Mapping[str, Reading], names: Names, current: Current) -> list[Line]:
    """Decide on every model that one of our vendors sells by this map, in order of their ids."""
    offers: dict[str, list[_Offer]] = {}
    index = _index(names.catalogue)
    for key, reading in readings.items():
        offer = _offer(key, reading, names, index)
        if offer is not None:
            offers.setdefault(offer.model, []).append(offer)
    return [_line(model, found, names, current) for model, found in sorted(offers.items())]


def foreign(readings: Iterable[Reading], names: Names) -> dict[str, int]:
    """Count the entries of vendors that are none of ours, or that were not asked for."""
    counts: dict[str, int] = {}
    for reading in readings:
        vendor = names.vendors.get(reading.provider)
        if vendor is None or (names.only and vendor not in names.only):
            counts[reading.provider or "(none)"] = counts.get(reading.provider or "(none)", 0) + 1
    return dict(sorted(counts.items(), key=lambda each: (-each[1], each[0])))


def unknown_fields(readings: Iterable[Reading], names: Names) -> dict[str, int]:
    """Count the fields of our vendors' entries that look like prices and are none of ours."""
    counts: dict[str, int] = {}
    for reading in readings:
        if _wanted(reading, names) is not None:
            for field in reading.unknown:
                counts[field] = counts.get(field, 0) + 1
    return dict(sorted(counts.items(), key=lambda each: (-each[1], each[0])))


def _wanted(reading: Reading, names: Names) -> str | None:
    vendor = names.vendors.get(reading.provider)
    return None if vendor is None or (names.only and vendor not in names.only) else vendor


def _index(catalogue: Catalogue) -> dict[tuple[str, str], str]:
    """Give the public model of each name at each vendor."""
    rows = [row for each in catalogue.models.values() for row in each.values()]
    return {(row.vendor, name): row.id for row in rows for name in (row.vendor_model, row.id)}


def _offer(key: str, reading: Reading, names: Names, index: Mapping[tuple[str, str], str]) -> _Offer | None:
    vendor = _wanted(reading, names)
    if vendor is None:
        return None
    name = key.removeprefix(f"{reading.provider}/")
    known = index.get((vendor, name))
    model = known or names.catalogue.public_id(name)
    named = _PLAIN if name == key else _PREFIXED
    exactness = named if known is not None or model == name else _ALIAS
    return _Offer(model=model, vendor=vendor, exactness=exactness, reading=reading)


def _line(model: str, offers: list[_Offer], names: Names, current: Current) -> Line:
    home = _home(model, names)
    chosen = [each for each in offers if names.only or home is None or each.vendor == home]
    if not chosen:
        reason = f"`{home}` is where it has its price; `--vendor {offers[0].vendor}` takes this one"
        return Line(model=model, outcome=Outcome.SKIPPED, vendor=offers[0].vendor, reason=reason)
    best = list(_best(chosen))
    if len({tuple(sorted(each.reading.prices.items())) for each in best}) > 1:
        sellers = sorted({each.vendor for each in best})
        reason = f"entries of {', '.join(sellers)} differ; choose with `--vendor`, or set it under [[prices]]"
        return Line(model=model, outcome=Outcome.SKIPPED, vendor=sellers[0], reason=reason)
    return _compared(model, best[0], _with_tools(best[0], model, names), current)


def _best(offers: list[_Offer]) -> Iterator[_Offer]:
    """Prefer entries that have prices, then those under the plain name: an alias may be a dated snapshot."""
    able = [each for each in offers if not each.reading.problem] or offers
    closest = min(each.exactness for each in able)
    return (each for each in able if each.exactness == closest)


def _with_tools(offer: _Offer, model: str, names: Names) -> dict[str, int]:
    """Give the entry's prices, and ours of the tools that its vendor runs: no price map has those of a model."""
    row = names.catalogue.at_vendor(model, offer.vendor)
    return with_tools(offer.reading.prices, row.tools if row else {})


def _compared(model: str, offer: _Offer, prices: dict[str, int], current: Current) -> Line:
    before = current.prices.get(model, {})
    outcome, reason = Outcome.CHANGED if before else Outcome.ADDED, ""
    if offer.reading.problem:
        outcome, reason = Outcome.SKIPPED, offer.reading.problem
    elif model in current.in_file:
        outcome, reason = Outcome.SKIPPED, "halley.toml sets its price, which wins; take it out there first"
    elif dict(before) == prices:
        outcome = Outcome.SAME
    elif lost := _lost(before, prices):
        lacking = ", ".join(f"`{meter}`" for meter in lost)
        outcome, reason = Outcome.SKIPPED, f"it lacks {lacking}, priced until now; set all of it under [[prices]]"
    return Line(model=model, outcome=outcome, vendor=offer.vendor, reason=reason, meters=prices, before=before)


def _lost(before: Mapping[str, int], after: Mapping[str, int]) -> list[str]:
    """Name the meters that cost something and would be free."""
    meters = {key.partition("@")[0] for key, price in before.items() if price}
    return sorted(meter for meter in meters if charged_as(meter, after) is None)


def _home(model: str, names: Names) -> str | None:
    rows = names.catalogue.models.get(model, {})
    return next((row.vendor for row in rows.values() if row.price), None)
