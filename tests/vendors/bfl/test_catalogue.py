"""Models and prices of this vendor."""

import tomllib
from decimal import Decimal
from pathlib import Path

import halley.vendors.bfl
from halley.catalogue.meters import METERS, nanos_per_million
from halley.vendors.bfl.fields import MODELS

CATALOGUE = Path(halley.vendors.bfl.__file__).with_name("catalogue.toml")


def test_every_model_that_is_known_is_sold_and_the_other_way_round():
    catalogue = tomllib.loads(CATALOGUE.read_text())
    assert {model["id"] for model in catalogue["models"]} == set(MODELS)


def test_every_price_is_of_a_known_meter_and_exact():
    for model in tomllib.loads(CATALOGUE.read_text())["models"]:
        assert set(model["price"]) == set(model["cost"])
        assert set(model["price"]) <= set(METERS)
        assert all(nanos_per_million(meter, Decimal(price)) > 0 for meter, price in model["price"].items())
