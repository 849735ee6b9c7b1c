"""One call at a time, for probes: is it up, does it answer what it should, what has the vendor counted."""

import http.client
from contextlib import closing

import msgspec

from bench.faults import Failed
from bench.load.model import Target

_TIMEOUT_S = 30.0
_OK = 200
_SHOWN = 300


def ask(target: Target, path: str | None = None) -> tuple[int, bytes]:
    """Send the first request of a target. Raises `OSError` and `http.client.HTTPException`."""
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=_TIMEOUT_S)
    with closing(connection):
        connection.request(target.method, path or target.paths[0], body=target.body or None, headers=target.headers)
        response = connection.getresponse()
        return response.status, response.read()


def demand(target: Target) -> bytes:
    """The body of a good answer. Raises `Failed` with the other side's words for any other."""
    try:
        status, body = ask(target)
    except (OSError, http.client.HTTPException) as error:
        raise Failed(f"`{target.method} {target.paths[0]}` got no answer: {error}") from error
    if status != _OK:
        words = body[:_SHOWN].decode(errors="replace")
        raise Failed(f"`{target.method} {target.paths[0]}` was answered with {status}: {words}")
    return body


def answers(port: int, path: str) -> bool:
    """Whether it is up."""
    return is_good(Target(port=port, method="GET", paths=(path,), headers={}))


def is_good(target: Target) -> bool:
    """Whether a call is answered well."""
    try:
        return ask(target)[0] == _OK
    except (OSError, http.client.HTTPException):
        return False


def counted(vendor_port: int) -> dict[str, int]:
    """What the vendor has answered so far."""
    target = Target(port=vendor_port, method="GET", paths=("/bench/stats",), headers={})
    return msgspec.json.decode(demand(target), type=dict[str, int])
