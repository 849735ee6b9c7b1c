"""The catalogue: every vendor's `catalogue.toml`, merged by public model id; built once at start."""

import tomllib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import cached_property
from importlib.resources import files
from typing import Annotated, Literal

import msgspec

from halley.catalogue.meters import read_prices, with_tools
from halley.catalogue.tariff import Tariff
from halley.kernel.operation import Kind, Operation
from halley.vendors.contract import ModelView, Vendor

Date = Annotated[str, msgspec.Meta(pattern=r"^(\d{4}-\d\d-\d\d)?$")]
Input = Literal["text", "image", "audio", "video", "file"]
Tokens = Annotated[int, msgspec.Meta(ge=1)]


class Model(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One model at one vendor."""

    id: str
    """The public id."""
    vendor: str
    vendor_model: str
    """What the vendor calls it."""
    aliases: tuple[str, ...] = ()
    kind: Kind
    description: str = ""
    context_tokens: int | None = None
    """The most that input and output may have together; None where it is not known or does not apply."""
    output_tokens_max: int | None = None
    operations: tuple[Operation, ...] = ()
    """The only operations that it answers, also of other kinds; empty: all of its vendor's for this kind."""
    inputs: tuple[str, ...] = ()
    """What it takes: `text`, `image`, `audio`, `video`, `file`; empty: not said."""
    searches: bool = False
    """Whether it searches the web for every answer, of which its replies say nothing."""
    deprecated: str = ""
    """ISO date on which the vendor stops, or has stopped, to serve it."""
    source: str
    """Where its prices can be compared."""
    checked: str
    """ISO date on which they last were."""
    price: dict[str, int] = {}
    """Seed price to callers, price key → nano-dollars per million base units; only its home vendor's row has one."""
    cost: dict[str, int] = {}
    """What the vendor bills the operator, in the same form; the price where the vendor's row says nothing else."""
    tools: dict[str, int] = {}
    """Of the price, what its vendor bills for tools that it runs itself: other price lists do not have it."""

    @cached_property
    def cost_tariff(self) -> Tariff:
        """What the vendor bills, ready to charge by."""
        return Tariff(self.cost)


class Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[models]]` of a catalogue."""

    id: str
    kind: Kind
    vendor_model: str = ""
    aliases: tuple[str, ...] = ()
    description: str = ""
    context_tokens: Tokens | None = None
    output_tokens_max: Tokens | None = None
    operations: tuple[Operation, ...] = ()
    inputs: tuple[Input, ...] = ()
    searches: bool = False
    deprecated: Date = ""
    source: str = ""
    checked: Date = ""
    price: dict[str, str] = {}
    cost: dict[str, str] = {}


class Sheet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A `catalogue.toml`."""

    source: str = ""
    """Where the prices of all rows can be compared that do not say otherwise."""
    checked: Date = ""
    known_as: tuple[str, ...] = ()
    """What price lists of others call this vendor."""
    tools: dict[str, str] = {}
    """What tools cost that this vendor runs itself for any of its chat models. A model's own price of a meter wins."""
    models: tuple[Row, ...]


class Catalogue(msgspec.Struct, frozen=True, kw_only=True):
    """All models, by public id and vendor."""

    models: Mapping[str, Mapping[str, Model]]
    aliases: Mapping[str, str]
    context_tokens: Mapping[str, int] = {}
    """The largest context that any vendor's row of a public model has."""
    searching: frozenset[str] = frozenset()
    """Public models that search the web for every answer."""

    def public_id(self, name: str) -> str:
        """Resolve an alias; any other name is itself."""
        return self.aliases.get(name, name)

    def at_vendor(self, model: str, vendor: str) -> Model | None:
        """Give the vendor's row of a public model."""
        return self.models.get(model, {}).get(vendor)

    def cost(self, model: str, vendor: str) -> dict[str, int]:
        """What this vendor bills the operator for this model; empty when not known."""
        row = self.at_vendor(model, vendor)
        return row.cost if row else {}

    def seed_prices(self) -> dict[str, dict[str, int]]:
        """Give the seed price of every model that has one."""
        return {row.id: row.price for rows in self.models.values() for row in rows.values() if row.price}

    def views(self) -> tuple[ModelView, ...]:
        """List the models for lookups, by id."""
        return tuple(_view(rows) for _, rows in sorted(self.models.items()))


def load_catalogue(vendors: Iterable[Vendor]) -> Catalogue:
    """Read and merge the catalogues of these vendors. Raises `ValueError` for rows that contradict each other."""
    models: dict[str, dict[str, Model]] = {}
    aliases: dict[str, str] = {}
    for vendor in vendors:
        for model in read_models(vendor):
            models.setdefault(model.id, {})[vendor.name] = model
            for alias in model.aliases:
                if aliases.setdefault(alias, model.id) != model.id:
                    message = f"`{alias}` is an alias of both `{aliases[alias]}` and `{model.id}`"
                    raise ValueError(message)
    for rows in models.values():
        _check_price(tuple(rows.values()))
    searching = frozenset(row.id for rows in models.values() for row in rows.values() if row.searches)
    return Catalogue(models=models, aliases=aliases, context_tokens=_contexts(models), searching=searching)


def _contexts(models: Mapping[str, Mapping[str, Model]]) -> dict[str, int]:
    largest = {model: max(row.context_tokens or 0 for row in rows.values()) for model, rows in models.items()}
    return {model: tokens for model, tokens in largest.items() if tokens}


def read_models(vendor: Vendor) -> list[Model]:
    """Read one vendor's catalogue; prices are read as Decimal, never as float. Raises `ValueError`."""
    sheet = read_sheet(vendor)
    return [_model(vendor.name, sheet, row) for row in sheet.models]


def read_sheet(vendor: Vendor) -> Sheet:
    """Read one vendor's catalogue as it is written; an empty one for a vendor that has none. Raises `ValueError`."""
    package, _, file = (vendor.catalogue or _beside_simulator(vendor)).partition(":")
    if not package:
        return Sheet(models=())
    text = files(package).joinpath(file).read_text(encoding="utf-8")
    try:
        return msgspec.convert(tomllib.loads(text, parse_float=Decimal), Sheet)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        message = f"The catalogue of `{vendor.name}` cannot be read: {error}"
        raise ValueError(message) from error


def _beside_simulator(vendor: Vendor) -> str:
    package = vendor.simulator.partition(":")[0].rpartition(".")[0]
    return f"{package}:catalogue.toml" if package else ""


def _model(vendor: str, sheet: Sheet, row: Row) -> Model:
    source, checked = row.source or sheet.source, row.checked or sheet.checked
    if not source or not checked:
        message = f"Model `{row.id}` at `{vendor}`: its prices need a `source` and the date `checked`, or the file does"
        raise ValueError(message)
    try:
        tools = read_prices(sheet.tools if row.kind is Kind.CHAT else {})
        price, cost = (with_tools(read_prices(each), tools) for each in (row.price, row.cost))
    except ValueError as error:
        message = f"Model `{row.id}`: {error}"
        raise ValueError(message) from error
    return Model(
        id=row.id,
        vendor=vendor,
        vendor_model=row.vendor_model or row.id,
        aliases=row.aliases,
        kind=row.kind,
        description=row.description,
        context_tokens=row.context_tokens,
        output_tokens_max=row.output_tokens_max,
        operations=row.operations,
        inputs=row.inputs,
        searches=row.searches,
        deprecated=row.deprecated,
        source=source,
        checked=checked,
        price=price,
        cost=cost or price,
        tools={key: each for key, each in price.items() if key.partition("@")[0] in tools},
    )


def _check_price(rows: tuple[Model, ...]) -> None:
    priced = [row.vendor for row in rows if row.price]
    if len(priced) != 1:
        message = f"Model `{rows[0].id}` must have its price in exactly one vendor's catalogue, not in {priced}"
        raise ValueError(message)


def _view(rows: Mapping[str, Model]) -> ModelView:
    first = next(iter(rows.values()))
    aliases = tuple(dict.fromkeys(alias for row in rows.values() for alias in row.aliases))
    return ModelView(id=first.id, aliases=aliases, kind=first.kind, description=first.description)
