"""The same chat in three formats, streams that can be left in the middle, and what was booked of them."""

import contextlib
import http.client
import json
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from threading import Event
from time import monotonic
from typing import Any

import msgspec
from tests.clients.served import Served

from halley.vendors.simulate import Journal

CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"
CONTENT = "/v1beta/models/gemini-2.5-flash:generateContent"
STREAMED_CONTENT = "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
SIMULATORS = {CHAT: "openai", MESSAGES: "anthropic", CONTENT: "gemini"}
LEFT = "client left"
_TURN_S = 0.02


class Booked(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in the books of the calls of one key."""

    outcomes: tuple[str, ...]
    charged: int
    shortfall: int
    open_holds: int


def body_of(path: str, prompt: str = "Say hello", *, stream: bool = False, **more: Any) -> dict[str, Any]:
    """Write a chat in the format of a path."""
    messages = [{"role": "user", "content": prompt}]
    match path:
        case "/v1/chat/completions":
            return {"model": "gpt-4.1-nano", "messages": messages, **({"stream": True} if stream else {}), **more}
        case "/v1/messages":
            told = {"stream": True} if stream else {}
            return {"model": "claude-haiku-4-5", "max_tokens": 100, "messages": messages, **told, **more}
        case _:
            return {"contents": [{"role": "user", "parts": [{"text": prompt}]}], **more}


def new_key(gateway: Served, account: str, **terms: object) -> tuple[str, str]:
    """Make a key: its text and its id."""
    made = gateway.console("keys.create", account=account, **terms)
    return made["key"], made["row"]["id"]


def pause(seconds: float) -> None:
    """Let the other processes go on."""
    Event().wait(seconds)


@contextmanager
def begun(
    gateway: Served, path: str, *, key: str, test: str, stream: bool
) -> Generator[http.client.HTTPResponse | None]:
    """Begin a call and leave it at the end; of a stream its beginning has come."""
    target = STREAMED_CONTENT if stream and path == CONTENT else path
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json", "halley-test": test}
    connection = http.client.HTTPConnection(*gateway.address, timeout=20)
    with contextlib.closing(connection):
        connection.request("POST", target, json.dumps(body_of(path, stream=stream)).encode(), headers)
        if not stream:
            yield None
            return
        response = connection.getresponse()
        assert response.status == 200, response.read()
        assert response.read1(1)
        yield response


def left(gateway: Served, vendor: str) -> int:
    """How often a client left before the simulator had answered it."""
    journal = Journal(gateway.data / "simulators.db", vendor=vendor)
    try:
        return journal.requests().get(LEFT, 0)
    finally:
        journal.close()


def booked(gateway: Served, key_id: str) -> Booked:
    """Read the books of a key."""
    # What the gateway reads itself has all that it will write in a moment.
    gateway.console("ledger.lost")
    with closing(sqlite3.connect(f"file:{gateway.data}/halley.db?mode=ro", uri=True)) as connection:
        usage = connection.execute(
            "SELECT outcome, price_nanos, order_id FROM usage WHERE key_id = ? ORDER BY id", (key_id,)
        ).fetchall()
        (holds,) = connection.execute("SELECT count(*) FROM open_holds WHERE key_id = ?", (key_id,)).fetchone()
        shortfall = 0
        for _, _, order in usage:
            sql = "SELECT coalesce(sum(amount_nanos), 0) FROM transfers WHERE kind = 'shortfall' AND order_id = ?"
            shortfall += connection.execute(sql, (order,)).fetchone()[0]
    return Booked(
        outcomes=tuple(outcome for outcome, _, _ in usage),
        charged=sum(price for _, price, _ in usage),
        shortfall=shortfall,
        open_holds=holds,
    )


def settled(gateway: Served, key_id: str, calls: int, *, within_s: float = 5.0) -> Booked:
    """Wait until so many calls of a key are in the books."""
    until = monotonic() + within_s
    while len((found := booked(gateway, key_id)).outcomes) < calls:
        assert monotonic() < until, found
        pause(_TURN_S)
    return found


def wait_until_left(gateway: Served, vendor: str, before: int, *, within_s: float) -> None:
    """See that the vendor's connection is closed in time."""
    until = monotonic() + within_s
    while left(gateway, vendor) == before:
        assert monotonic() < until, "the vendor still works for a caller who has left"
        pause(_TURN_S)
