"""The vendors that ship with the product, and those that plugins bring."""

from importlib import import_module
from importlib.metadata import entry_points

from halley.vendors.contract import CONTRACT, Vendor

BUILT_IN = ("openai", "anthropic", "gemini", "azure_openai", "bfl", "replicate")
CONFORMING = ("openai_compatible", "gateway")
"""Where vendors stand that conform to others' formats, several in a folder."""
ENTRY_POINT_GROUP = "halley.vendors"


def load_vendors() -> dict[str, Vendor]:
    """Load the built-in vendors, then the plugins'. Raises `ValueError` for a wrong contract or a name taken twice."""
    found = [import_module(f"halley.vendors.{name}").VENDOR for name in BUILT_IN]
    found += [vendor for name in CONFORMING for vendor in import_module(f"halley.vendors.{name}").VENDORS]
    found += [entry.load() for entry in entry_points(group=ENTRY_POINT_GROUP)]
    vendors: dict[str, Vendor] = {}
    for vendor in found:
        _check(vendor, vendors)
        vendors[vendor.name] = vendor
    return vendors


def _check(vendor: Vendor, known: dict[str, Vendor]) -> None:
    if vendor.contract != CONTRACT:
        message = f"Vendor `{vendor.name}` is made for contract {vendor.contract}; this Halley speaks {CONTRACT}"
        raise ValueError(message)
    if vendor.name in known:
        message = f"Two vendors are named `{vendor.name}`; remove one of the plugins"
        raise ValueError(message)
