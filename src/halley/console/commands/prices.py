"""Prices, for the operator: listed, and imported from a price map that others keep."""

import asyncio
import os
from pathlib import Path
from typing import Annotated

import msgspec

from halley.accounts import store as accounts
from halley.catalogue import load_catalogue
from halley.catalogue.imports import Current, Line, Names, Outcome, decide, foreign, unknown_fields
from halley.catalogue.meters import dollars_per_unit
from halley.catalogue.model import read_sheet
from halley.catalogue.price_map import Reading, read_entry, read_map
from halley.catalogue.prices import IMPORT_PREFIX, TOPIC, PriceSet, current_prices, sync_prices
from halley.console.commands.common import Args, audit, moment
from halley.console.protocol import Progress
from halley.console.services import Services
from halley.db import Tx
from halley.kernel.faults import BadRequest, NotFound
from halley.settings import Settings, read_again
from halley.vendors import load_vendors

FILE_BYTES_MAX = 64 * 1024 * 1024


class ListPrices(Args, frozen=True, kw_only=True):
    model: Annotated[str, msgspec.Meta(max_length=200)] = ""
    """A model's id or alias; empty for all."""


class ImportPrices(Args, frozen=True, kw_only=True):
    path: str
    """Of the price map, absolute; the server reads it, as the same user."""
    vendors: tuple[str, ...] = ()
    """Take the entries of these vendors only; empty: of the vendor where each model has its price."""
    dry_run: bool = False


class PriceRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a model costs callers now, in US dollars per unit of each meter."""

    model: str
    source: str
    valid_from: str | None
    prices: dict[str, str]


class ImportRow(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one model's price."""

    model: str
    outcome: Outcome
    vendor: str
    reason: str
    prices: dict[str, str]
    before: dict[str, str]


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did, or would do."""

    source: str
    dry_run: bool
    rows: list[ImportRow]
    """All but those that stay as they are."""
    counts: dict[Outcome, int]
    unknown_fields: dict[str, int]
    """Fields that look like prices and are none of ours → in how many entries."""
    foreign: dict[str, int]
    """Vendors that are not here, or were not asked for → how many entries."""


async def list_all(services: Services, args: ListPrices, _progress: Progress) -> list[PriceRow]:
    """List what holds now, by model. Raises `NotFound` for a model without a price."""
    model = args.model and (await asyncio.to_thread(_names, ())).catalogue.public_id(args.model)
    book = await services.db.read(lambda tx: current_prices(tx, services.clock.now()))
    if model and book.of(model) is None:
        message = f"`{args.model}` has no price; set one under `[[prices]]` in halley.toml and run `halley reload`"
        raise NotFound(message, param="model")
    return [_row(each) for name, each in sorted(book.sets.items()) if not model or name == model]


async def import_map(services: Services, args: ImportPrices, _progress: Progress) -> Imported:
    """Take prices from a map of LiteLLM's format, all or nothing. Prices in halley.toml win."""
    readings = await asyncio.to_thread(_read, args.path)
    names = await asyncio.to_thread(_names, args.vendors)
    in_file = await asyncio.to_thread(_in_file, services.settings, names)
    source = f"{IMPORT_PREFIX}{Path(args.path).name}"
    now = services.clock.now()
    book = await services.db.read(lambda tx: current_prices(tx, now))
    current = Current(prices={name: each.meters for name, each in book.sets.items()}, in_file=in_file)
    lines = await asyncio.to_thread(decide, readings, names, current)
    wanted = {line.model: (source, line.meters) for line in lines if line.outcome in (Outcome.ADDED, Outcome.CHANGED)}

    def unit(tx: Tx) -> None:
        changed = sync_prices(tx, wanted, services.ids, now)
        accounts.bump_generation(tx, TOPIC)
        tx.wake(TOPIC)
        audit(tx, services, "prices.import", source, changed=changed, vendors=args.vendors)

    if wanted and not args.dry_run:
        await services.db.write("prices.import", unit)
    return Imported(
        source=source,
        dry_run=args.dry_run,
        rows=[_import_row(line) for line in lines if line.outcome is not Outcome.SAME],
        counts={outcome: sum(line.outcome is outcome for line in lines) for outcome in Outcome},
        unknown_fields=unknown_fields(readings.values(), names),
        foreign=foreign(readings.values(), names),
    )


def _read(path: str) -> dict[str, Reading]:
    try:
        return {key: read_entry(key, entry) for key, entry in read_map(_bytes(Path(path))).items()}
    except OSError as error:
        message = f"`{path}` cannot be read by the process that has the data: {error.strerror}"
        raise BadRequest(message, param="path") from error
    except ValueError as error:
        message = f"`{path}` cannot be used: {error}"
        raise BadRequest(message, param="path") from error


def _bytes(file: Path) -> bytes:
    if file.stat().st_size > FILE_BYTES_MAX:
        message = f"it is larger than {FILE_BYTES_MAX} bytes"
        raise ValueError(message)
    return file.read_bytes()


def _names(only: tuple[str, ...]) -> Names:
    vendors = load_vendors()
    for name in only:
        if name not in vendors:
            message = f"There is no vendor `{name}`; known are {', '.join(sorted(vendors))}"
            raise BadRequest(message, param="vendors")
    known = {alias: vendor.name for vendor in vendors.values() for alias in read_sheet(vendor).known_as}
    own = {name: name for name in vendors}
    return Names(catalogue=load_catalogue(vendors.values()), vendors=known | own, only=frozenset(only))


def _in_file(settings: Settings, names: Names) -> frozenset[str]:
    prices = read_again(settings, os.environ).prices
    return frozenset(names.catalogue.public_id(price.model) for price in prices)


def _row(each: PriceSet) -> PriceRow:
    return PriceRow(
        model=each.model, source=each.source, valid_from=moment(each.valid_from), prices=_dollars(each.meters)
    )


def _import_row(line: Line) -> ImportRow:
    return ImportRow(
        model=line.model,
        outcome=line.outcome,
        vendor=line.vendor,
        reason=line.reason,
        prices=_dollars(dict(line.meters)),
        before=_dollars(dict(line.before)),
    )


def _dollars(meters: dict[str, int]) -> dict[str, str]:
    return {key: dollars_per_unit(key, nanos) for key, nanos in sorted(meters.items())}
