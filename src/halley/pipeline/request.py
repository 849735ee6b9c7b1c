"""What the pipeline knows of a call: the HTTP request, who makes it, in which format, for what."""

import asyncio

import msgspec

from halley.accounts.model import Caller
from halley.kernel.order import ImageOrder
from halley.vendors.contract import Dialect

CREDENTIALS = frozenset(
    (
        *("authorization", "x-key", "x-api-key", "x-goog-api-key", "api-key", "mj-api-secret"),
        *("sec-websocket-protocol", "cookie", "proxy-authorization"),
    )
)
"""Headers of a caller that hold a secret: they end with us."""


ID_PREFIX = "req_"


class RequestContext(msgspec.Struct, frozen=True, kw_only=True):
    """Facts of one request."""

    id: str
    """The request id: in the answer's header, in errors, in the log."""
    method: str
    path: str
    base_url: str
    """Our public base URL as this caller reaches it, without a slash at its end."""
    received_at: int
    idempotency_key: str | None = None
    directive: str | None = None
    """The `Halley-Test` header."""
    unwanted: asyncio.Event | None = None
    """Set once the caller of an order has hung up and cannot ask for it again: it is cancelled where its vendor can."""

    @property
    def is_unwanted(self) -> bool:
        """Whether nobody wants what was ordered any more."""
        return self.unwanted is not None and self.unwanted.is_set()

    @property
    def identity(self) -> str:
        """The 26 characters of the request id that no other has."""
        return self.id[len(ID_PREFIX) :]


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """An order on its way."""

    caller: Caller
    dialect: Dialect
    order: ImageOrder
    """With its public model id."""
    request: RequestContext
