import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from halley.catalogue import load_catalogue
from halley.catalogue.model import read_models
from halley.vendors import load_vendors
from halley.vendors.contract import Vendor

VENDORS = load_vendors()


def vendor_with(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, catalogue: str) -> Vendor:
    """A vendor whose package holds this catalogue."""
    package = folder / f"plugin_{name}"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "catalogue.toml").write_text(catalogue, encoding="utf-8")
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    return msgspec.structs.replace(VENDORS["bfl"], name=name, simulator=f"plugin_{name}.simulator:create_app")


def model(**fields: Any) -> str:
    rows = {"id": "tiny", "kind": "image", **fields}
    spelled = "\n".join(f"{name} = {_toml(value)}" for name, value in rows.items())
    return f"[[models]]\n{spelled}\n"


def _toml(value: str | list[str] | dict[str, str]) -> str:
    match value:
        case str():
            return f'"{value}"'
        case list():
            return str(value)
        case dict():
            return "{ " + ", ".join(f'{key} = "{price}"' for key, price in value.items()) + " }"


def test_every_model_that_ships_has_a_price_a_cost_and_a_description() -> None:
    catalogue = load_catalogue(VENDORS.values())
    assert set(catalogue.seed_prices()) == set(catalogue.models)
    for rows in catalogue.models.values():
        for row in rows.values():
            assert row.cost, f"{row.id} at {row.vendor}"
            assert row.description, f"{row.id} at {row.vendor}"


def test_a_name_of_another_vendor_leads_to_the_public_model() -> None:
    catalogue = load_catalogue(VENDORS.values())
    assert catalogue.public_id("black-forest-labs/flux-1.1-pro") == "flux-pro-1.1"
    assert catalogue.public_id("flux-pro-1.1") == "flux-pro-1.1"
    assert catalogue.public_id("nobody/knows") == "nobody/knows"
    row = catalogue.at_vendor("flux-pro-1.1", "replicate")
    assert row is not None
    assert row.vendor_model == "black-forest-labs/flux-1.1-pro"


def test_what_nobody_offers_is_not_there() -> None:
    catalogue = load_catalogue(VENDORS.values())
    assert catalogue.at_vendor("sdxl", "bfl") is None
    assert catalogue.cost("sdxl", "bfl") == {}


def test_models_are_listed_once_with_all_their_names() -> None:
    catalogue = load_catalogue(VENDORS.values())
    views = {view.id: view for view in catalogue.views()}
    assert list(views) == sorted(catalogue.models)
    assert "black-forest-labs/flux-dev" in views["flux-dev"].aliases


def test_a_model_with_two_prices_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    priced = model(price={"image": "1"}, cost={"image": "1"})
    vendors = [vendor_with(tmp_path, monkeypatch, name, priced) for name in ("alpha", "beta")]
    with pytest.raises(ValueError, match=r"`tiny` must have its price in exactly one .*alpha.*beta"):
        load_catalogue(vendors)


def test_a_model_without_a_price_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="`tiny` must have its price"):
        load_catalogue([vendor_with(tmp_path, monkeypatch, "gamma", model(cost={"image": "1"}))])


def test_an_alias_of_two_models_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = model(aliases=["small"], price={"image": "1"}) + model(id="mini", aliases=["small"], price={"image": "1"})
    with pytest.raises(ValueError, match="`small` is an alias of both `tiny` and `mini`"):
        load_catalogue([vendor_with(tmp_path, monkeypatch, "delta", both)])


@pytest.mark.parametrize(
    "wrong",
    [model(price={"parsec": "1"}), model(colour="red"), '[[models]]\nid = "x"\n'],
    ids=["meter", "unknown field", "no kind"],
)
def test_a_row_that_cannot_be_read_is_refused(wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError):
        read_models(vendor_with(tmp_path, monkeypatch, f"wrong{abs(hash(wrong))}", wrong))
