"""The catalogue: every vendor's `catalogue.toml`, merged by public model id; built once at start."""

import tomllib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from importlib.resources import files

import msgspec

from halley.catalogue.meters import nanos_per_million
from halley.vendors.contract import ModelView, Vendor


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """One model at one vendor."""

    id: str
    """The public id."""
    vendor: str
    vendor_model: str
    """What the vendor calls it."""
    aliases: tuple[str, ...] = ()
    kind: str
    description: str = ""
    price: dict[str, int] = {}
    """Seed price to callers, meter → nano-dollars per million base units; only its home vendor's row has one."""
    cost: dict[str, int] = {}
    """What the vendor bills the operator, in the same form."""


class Catalogue(msgspec.Struct, frozen=True, kw_only=True):
    """All models, by public id and vendor."""

    models: Mapping[str, Mapping[str, Model]]
    aliases: Mapping[str, str]

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
    return Catalogue(models=models, aliases=aliases)


def read_models(vendor: Vendor) -> list[Model]:
    """Read one vendor's `catalogue.toml`; prices are read as Decimal, never as float."""
    package = vendor.simulator.partition(":")[0].rpartition(".")[0]
    text = files(package).joinpath("catalogue.toml").read_text()
    return [_model(vendor.name, row) for row in tomllib.loads(text, parse_float=Decimal)["models"]]


def _model(vendor: str, row: dict[str, object]) -> Model:
    given = msgspec.convert(row, _Row)
    return Model(
        id=given.id,
        vendor=vendor,
        vendor_model=given.vendor_model or given.id,
        aliases=tuple(given.aliases),
        kind=given.kind,
        description=given.description,
        price={meter: nanos_per_million(meter, price) for meter, price in given.price.items()},
        cost={meter: nanos_per_million(meter, price) for meter, price in given.cost.items()},
    )


class _Row(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    kind: str
    vendor_model: str = ""
    aliases: list[str] = []
    description: str = ""
    price: dict[str, str] = {}
    cost: dict[str, str] = {}


def _check_price(rows: tuple[Model, ...]) -> None:
    priced = [row.vendor for row in rows if row.price]
    if len(priced) != 1:
        message = f"Model `{rows[0].id}` must have its price in exactly one vendor's catalogue, not in {priced}"
        raise ValueError(message)


def _view(rows: Mapping[str, Model]) -> ModelView:
    first = next(iter(rows.values()))
    aliases = tuple(dict.fromkeys(alias for row in rows.values() for alias in row.aliases))
    return ModelView(id=first.id, aliases=aliases, kind=first.kind, description=first.description)
