"""Class 8: a key that is revoked while one of its calls is held open."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import pytest
from tests.clients.served import REVOKED_S_MAX, Reply, Served
from tests.field.tenants import SCHNELL, Tenants

NEVER = "x [[halley outcome=never_finishes]]"
SLOW_S_MAX = 5.0
"""A wait would be held for 30 s; a revoked key's must end long before."""


def wait_for_task(gateway: Served, key: str) -> Reply:
    task = gateway.order({"prompt": NEVER}, key=key)
    return gateway.ask("GET", f"/v1/tasks/{task}?wait=30", key=key)


def wait_for_prediction(gateway: Served, key: str) -> Reply:
    return gateway.ask("POST", SCHNELL, {"input": {"prompt": NEVER}}, key=key, headers={"prefer": "wait=30"})


@pytest.mark.parametrize("wait", [wait_for_task, wait_for_prediction])
def test_a_call_that_is_held_open_ends_when_its_key_is_revoked(
    gateway: Served, tenants: Tenants, wait: Callable[[Served, str], Reply]
):
    key = gateway.new_key("alice")
    open_before = requests_of(gateway, key)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(wait, gateway, key)
        wait_until_ordered(gateway, tenants, key, open_before)
        gateway.revoke(key)
        began = monotonic()
        reply = waiting.result()
    assert monotonic() - began < SLOW_S_MAX
    assert reply.status == 401


def test_a_revoked_keys_task_is_still_finished_and_charged(gateway: Served, tenants: Tenants):
    key, other = gateway.new_key("alice"), tenants.alice_test
    task = gateway.order({"prompt": "x [[halley delay=2]]"}, key=key)
    gateway.revoke(key)
    assert gateway.ended(task, key=other)["state"] == "succeeded"
    gateway.assert_books_are_sound()


def requests_of(gateway: Served, key: str) -> int:
    return len(gateway.ask("GET", "/v1/tasks?limit=100", key=key).json["data"])


def wait_until_ordered(gateway: Served, tenants: Tenants, key: str, before: int) -> None:
    until = monotonic() + SLOW_S_MAX + REVOKED_S_MAX
    while requests_of(gateway, tenants.alice_test) <= before:
        assert monotonic() < until
    del key
