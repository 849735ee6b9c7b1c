"""Wrong spend and budget races: parallel calls never spend more than there is, and a small balance is still of use."""

from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest
from tests.clients.served import Reply, Served
from tests.field.chats import CHAT, CONTENT, MESSAGES, body_of, booked, new_key
from tests.field.tenants import Tenants
from tests.field.vendor import INPUT_TOKENS, LONG, LONG_TOKENS, OUTPUT_TOKENS, SLOW

PATHS = [CHAT, MESSAGES, CONTENT]
AT_ONCE = 20
INPUT_NANOS = {CHAT: 100, MESSAGES: 1_000, CONTENT: 300}
OUTPUT_NANOS = {CHAT: 400, MESSAGES: 5_000, CONTENT: 2_500}
# In OpenAI's and Google's vocabularies an empty account is a 429.
REFUSED = {CHAT: (429, "insufficient_quota"), MESSAGES: (402, "billing_error"), CONTENT: (429, "RESOURCE_EXHAUSTED")}
_accounts = count(1)


def cost(path: str, output: int = OUTPUT_TOKENS) -> int:
    return INPUT_TOKENS * INPUT_NANOS[path] + output * OUTPUT_NANOS[path]


def poor_key(gateway: Served, credit: int, **terms: object) -> tuple[str, str]:
    """Make an account with so much: a live key of it, and the key's id."""
    name = f"poor{next(_accounts)}"
    gateway.new_account(name)
    if credit:
        gateway.console("accounts.credit", account=name, amount_nanos=credit)
    return new_key(gateway, name, livemode=True, **terms)


def at_once(gateway: Served, path: str, key: str) -> list[Reply]:
    body = body_of(path, SLOW) | ({"max_tokens": 100} if path == CHAT else {})
    if path == CONTENT:
        body["generationConfig"] = {"maxOutputTokens": 100}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        asking = [pool.submit(gateway.ask, "POST", path, body, key=key) for _ in range(AT_ONCE)]
        return [each.result() for each in asking]


def long_body(path: str, prompt: str = "Say hello") -> dict[str, Any]:
    """Ask for an answer that may be longer than can be paid."""
    return body_of(path, prompt) | ({"max_tokens": 16_000} if path == MESSAGES else {})


@pytest.mark.usefixtures("tenants")
@pytest.mark.parametrize("limited_by", ["balance", "budget"])
@pytest.mark.parametrize("path", PATHS)
def test_parallel_calls_never_spend_more_than_there_is(gateway: Served, path: str, limited_by: str):
    least = 30 * INPUT_NANOS[path] + 100 * OUTPUT_NANOS[path]
    enough = 3 * least
    if limited_by == "balance":
        key, key_id = poor_key(gateway, enough)
    else:
        key, key_id = poor_key(gateway, 1_000_000_000, budget_nanos=enough)
    replies = at_once(gateway, path, key)
    status, word = REFUSED[path]
    refused = [reply for reply in replies if reply.status != 200]
    assert {reply.status for reply in refused} == {status}
    assert all(word in reply.text for reply in refused)
    found = booked(gateway, key_id)
    served = len(replies) - len(refused)
    assert 1 <= served < AT_ONCE
    assert found.charged == served * cost(path) <= enough
    assert found.shortfall == found.open_holds == 0
    gateway.assert_books_are_sound()


@pytest.mark.usefixtures("tenants")
@pytest.mark.parametrize("path", PATHS)
def test_a_balance_below_the_ceiling_serves_what_it_can_pay(gateway: Served, path: str):
    key, key_id = poor_key(gateway, 500 * INPUT_NANOS[path] + 100 * OUTPUT_NANOS[path])
    reply = gateway.ask("POST", path, long_body(path), key=key)
    assert reply.status == 200, reply.text
    assert booked(gateway, key_id).charged == cost(path)


@pytest.mark.usefixtures("tenants")
@pytest.mark.parametrize("path", PATHS)
def test_use_above_a_capped_hold_takes_the_balance_and_leaves_the_rest_to_the_operator(gateway: Served, path: str):
    credit = 500 * INPUT_NANOS[path] + 100 * OUTPUT_NANOS[path]
    key, key_id = poor_key(gateway, credit)
    assert gateway.ask("POST", path, long_body(path, LONG), key=key).status == 200
    found = booked(gateway, key_id)
    assert found.charged == credit
    assert found.shortfall == cost(path, LONG_TOKENS) - credit > 0
    assert gateway.ask("GET", "/user/quota", key=key).json["total_quota"] == 0
    status, word = REFUSED[path]
    refused = gateway.ask("POST", path, body_of(path), key=key)
    assert (refused.status, word in refused.text) == (status, True)
    gateway.assert_books_are_sound()


@pytest.mark.parametrize("path", PATHS)
def test_an_empty_account_reaches_no_vendor_and_is_told_in_its_format(gateway: Served, tenants: Tenants, path: str):
    del tenants
    key, key_id = poor_key(gateway, 0)
    reply = gateway.ask("POST", path, body_of(path), key=key)
    status, word = REFUSED[path]
    assert (reply.status, word in reply.text) == (status, True)
    assert reply.headers["x-should-retry"] == "false"
    assert booked(gateway, key_id).outcomes == ()
