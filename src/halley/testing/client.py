"""A caller of the gateway, as tests need one: it orders and fetches in any format and remembers every reply."""

import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec

from halley.vendors.contract import Action, Dialect, Route

CLIENT_S_MAX = 30


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """One whole answer."""

    method: str
    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def text(self) -> str:
        """Head and body, for searching."""
        return "\n".join((*(f"{name}: {value}" for name, value in self.headers.items()), self.body.decode("latin-1")))


class GatewayClient:
    """Calls one gateway with one key. `async with GatewayClient(url, key) as client`."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url
        self.key = key
        self.replies: list[Reply] = []
        """Every answer so far."""

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=CLIENT_S_MAX)
        self._session = aiohttp.ClientSession(timeout=timeout, headers={"authorization": f"Bearer {self.key}"})
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        data: Any = None,
    ) -> Reply:
        """Make one call; `path` may be a whole URL."""
        url = path if "://" in path else self.url + path
        async with self._session.request(method, url, json=body, data=data, headers=headers) as response:
            reply = Reply(
                method=method,
                url=url,
                status=response.status,
                headers={name.lower(): value for name, value in response.headers.items()},
                body=await response.read(),
            )
        self.replies.append(reply)
        return reply

    # any format, by its routes

    async def order(self, dialect: Dialect, body: Any, *, path: str = "", ending: str = "", key: str = "") -> Reply:
        """Order in a format, at its example's path unless another is given."""
        route = example_route(dialect)
        return await self.call(
            "POST", path or route.example_path or route.path, body, headers=order_headers(ending, key)
        )

    async def fetch(self, dialect: Dialect, identity: str) -> Reply:
        """Fetch in a format."""
        return await self.call("GET", _with_id(_route(dialect, Action.FETCH), identity))

    async def cancel(self, dialect: Dialect, identity: str) -> Reply:
        """Cancel in a format; where it has no such route, in our own."""
        found = [route for route in dialect.routes if route.action is Action.CANCEL]
        path = _with_id(found[0], identity) if found else f"/v1/tasks/{identity}/cancel"
        return await self.call("POST", path)

    async def task(self, identity: str, *, wait_s: int = 0) -> Any:
        """Fetch in our own format; the body."""
        query = f"?wait={wait_s}" if wait_s else ""
        return (await self.call("GET", f"/v1/tasks/{identity}{query}")).json


def order_headers(ending: str = "", key: str = "") -> dict[str, str]:
    """The headers that order an ending (`content_moderated; delay=2`) and name an idempotency key."""
    headers = {"halley-test": f"outcome={ending}"} if ending else {}
    return headers | ({"idempotency-key": key} if key else {})


def example_route(dialect: Dialect) -> Route:
    """The first route that takes an order and says how one looks."""
    return next(route for route in dialect.routes if route.action is Action.SUBMIT and route.example is not None)


def _route(dialect: Dialect, action: Action) -> Route:
    return next(route for route in dialect.routes if route.action is action)


def _with_id(route: Route, identity: str) -> str:
    return route.path.replace("{id}", identity) if "{id}" in route.path else f"{route.path}?id={identity}"
