"""The API reference as a document, for the command line and for tests; the server gives the same at `/openapi.json`."""

from collections.abc import Mapping
from typing import Any

from halley.api.reference import describe
from halley.api.routes import table
from halley.vendors.contract import Dialect


def document(dialects: Mapping[str, Dialect], version: str) -> dict[str, Any]:
    """Describe every public route as OpenAPI 3.1."""
    return describe(table(dialects), version)
