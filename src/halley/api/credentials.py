"""Finds the key in a request. Every form has the same rights; two forms that disagree are refused. Pure.

The text is taken as it is: a key is hashed whole, so a missing `sk-` is part of another key.
"""

from collections.abc import Iterable, Mapping, Sequence

from halley.kernel.faults import Unauthenticated

KEY_HEADERS = frozenset(("x-key", "x-api-key", "x-goog-api-key", "api-key", "mj-api-secret"))
"""Headers that hold nothing but a key; `Authorization` is read beside them."""
QUERY_FIELD = "key"
SUBPROTOCOL_PREFIX = "openai-insecure-api-key."
SCHEMES = frozenset(("bearer", "token"))
PLACEHOLDER = "midjourney-proxy"
"""What clients of that proxy put into `Authorization` when their key is in `mj-api-secret`."""
HOW = "Send it as `Authorization: Bearer sk-…`"


def find_key(
    headers: Iterable[tuple[str, str]], query: Sequence[tuple[str, str]], key_headers: frozenset[str] = KEY_HEADERS
) -> str:
    """Give the one key of a request, from its headers (lower-case names) and query. Raises `Unauthenticated`."""
    keys = {key for name, value in headers if (key := _from_header(name, value, key_headers))}
    keys |= {value for name, value in query if name == QUERY_FIELD and value}
    return only_key(keys)


def key_in(headers: Mapping[str, str], key_headers: frozenset[str] = KEY_HEADERS) -> str | None:
    """Give the key of a request whose headers each came once, if it stands in `Authorization` alone.

    The commonest case, at a fraction of the price; None is for `find_key` to look into.
    """
    authorization = headers.get("authorization")
    if authorization is None or "sec-websocket-protocol" in headers or not key_headers.isdisjoint(headers):
        return None
    return _from_authorization(authorization)


def only_key(keys: set[str]) -> str:
    """Give the only one. Raises `Unauthenticated` for none, and for two that differ."""
    if not keys:
        message = f"No API key was sent. {HOW}"
        raise Unauthenticated(message)
    if len(keys) > 1:
        message = f"The request carries {len(keys)} API keys that differ; send one. {HOW}"
        raise Unauthenticated(message)
    return keys.pop()


def key_of_subprotocols(offered: str) -> str | None:
    """Give the key that a websocket client hid in its list of subprotocols."""
    for item in offered.split(","):
        name = item.strip()
        if name.startswith(SUBPROTOCOL_PREFIX):
            return name.removeprefix(SUBPROTOCOL_PREFIX) or None
    return None


def without_key(query: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Give the query's fields but for the key, so that nothing behind this point can log it."""
    return [(name, value) for name, value in query if name != QUERY_FIELD]


def _from_header(name: str, value: str, key_headers: frozenset[str]) -> str | None:
    if name == "authorization":
        return _from_authorization(value)
    if name == "sec-websocket-protocol":
        return key_of_subprotocols(value)
    return value.strip() or None if name in key_headers else None


def _from_authorization(value: str) -> str | None:
    text = value.strip()
    scheme, _, rest = text.partition(" ")
    if scheme.lower() in SCHEMES:
        text = rest.strip()
    elif rest:
        message = f"`Authorization` must be `Bearer` and the key, not another scheme. {HOW}"
        raise Unauthenticated(message)
    return None if text in ("", PLACEHOLDER) else text
