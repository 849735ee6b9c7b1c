"""Models, aliases, meters and prices: what may be ordered and what it costs."""

from halley.catalogue.model import Catalogue, Model, load_catalogue
from halley.catalogue.prices import PriceBook, PriceSet

__all__ = ["Catalogue", "Model", "PriceBook", "PriceSet", "load_catalogue"]
